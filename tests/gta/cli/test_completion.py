"""Completion in a shell: in bash itself, and quickly."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gta.cellfolder import CellFolder
from gta.cli.completion import complete, run
from gta.errors import UserError
from tests.helpers.cells import identity


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for signature, method in (("0abc1111", "gta"), ("0abd2222", "cps")):
        identity(CellFolder(tmp_path / "runs/cells" / signature), method=method, label=method, split="1/16")
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps/mine.yaml").touch()


def test_words() -> None:
    assert complete(["st"]) == ["status"]
    assert {"status", "logs", "multirun"} <= set(complete([""]))
    assert complete(["status", "sweep=sh"]) == ["sweep=shapes"]
    assert complete(["status", "sweep=m"]) == ["sweep=mine"], "a user's own"
    assert complete(["status", "--w"]) == ["--watch"]
    assert complete(["logs", "gt"]) == ["gta/1/16/seed0"]
    assert complete(["logs", "0ab"]) == ["0abc1111", "0abd2222"]
    assert complete(["diff", "cps/1/16/seed0", "c"]) == [], "each cell once"
    assert complete(["logs", "paths.runs=elsewhere", "gt"]) == []
    assert "sweep=" in complete(["table", ""])
    assert complete(["table", "gt"]) == [], "it takes no cells"


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, gta.cli.main; gta.cli.main.main(['completion', 'words', '--', 'logs', 'g'])\n"
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'hydra', 'omegaconf', 'numpy', 'yaml')))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.returncode, answer.stdout.split()) == (0, ["gta/1/16/seed0"])


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("python -m gta stat", ["status"]),
        ("python -m gta status sweep=sha", ["shapes"]),
        ("gta logs 0abd", ["0abd2222"]),
        ("python script.py stat", []),
    ],
)
def test_in_bash(line: str, found: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    assert run(["bash"]) == 0
    script = capsys.readouterr().out
    ask = f'compopt() {{ :; }}\n_gta_python={sys.executable}\nCOMP_LINE="{line}"; COMP_POINT={len(line)}; _gta\n'
    said = subprocess.run(
        ["bash", "-c", f'{script}{ask}printf "%s\\n" "${{COMPREPLY[@]}}"'], capture_output=True, text=True
    )
    assert said.stdout.split() == found, said.stderr


def test_another_shell_is_refused() -> None:
    with pytest.raises(UserError, match="bash or zsh"):
        run(["fish"])
