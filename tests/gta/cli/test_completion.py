"""Completion in the shells themselves, from the same declarations, and quickly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gta.cellfolder import CellFolder
from gta.cli import candidates
from gta.cli.main import main
from gta.compose.compose import start, sweep_files
from gta.compose.overrides import GROUPS
from gta.config import Config
from gta.fields import describe
from gta.methods import METHODS
from launch.grid import plugins
from tests.helpers.cells import identity
from tests.helpers.program import ROOT

ZSH = """\
compdef() { : }
source <(gta completion zsh)
_path_files() { print files }
_describe() { print -l -- "${(@)${(P)3}%%:*}" }
compadd() { print -l -- "${(@P)@[-1]}" }  # what is offered, whether a space follows it or not
for line in "$@"; do
    words=(${(z)line}); [[ $line == *' ' ]] && words+=('')
    CURRENT=${#words}
    _gta_completion
    print -- ---
done
"""
BASH = """\
source <(gta completion bash)
compopt() { [[ $2 != nospace ]] || echo nospace; }
for COMP_LINE in "$@"; do
    COMP_POINT=${#COMP_LINE}
    _gta_completion gta
    printf '%s\\n' "${COMPREPLY[@]}" ---
done
"""
FISH = "gta completion fish | source; for line in $argv; complete -C $line; echo ---; end"
SHELLS = {"bash": ["--norc", "-c", BASH, "bash"], "zsh": ["-f", "-c", ZSH, "zsh"], "fish": ["--no-config", "-c", FISH]}
LINES = {
    "gta stat": ["status"],
    "gta splits sh": ["show"],
    "gta status --w": ["--watch"],
    "gta plan --re": ["--retry"],
    "gta plan --retry ca": ["cancelled"],
    "gta plan --retry=ca": ["--retry=cancelled"],
    "gta status sweep=sh": ["sweep=shapes"],
    "gta status sweep=m": ["sweep=mine"],
    "gta plan site=my": ["site=my_cluster"],
    "gta plan sweep=shapes method=sup": ["method=supervised"],
    "gta plan method=gta,full": ["method=gta,fully_supervised"],
    "gta plan hydra/launcher=s": ["hydra/launcher=slurm"],
    "gta plan schedule.iter": ["schedule.iterations="],
    "gta plan method.thresh": ["method.threshold="],
    "gta plan evaluation.flip=t": ["evaluation.flip=true"],
    "gta logs gt": ["gta/1/16/seed0"],
    "gta logs 0abd": ["0abd2222"],
    "gta diff cps/1/16/seed0 cp": [],
    "gta logs paths.runs=elsewhere gt": [],
    "gta table gt": [],
    "gta plan --cells c": ["cps/1/16/seed0"],
    "gta table --baseline mean": ["mean_teacher"],
    "gta status --state ne": ["never-run"],
    "gta status --state failed,los": ["failed,lost"],
    "gta logs --method sup": ["supervised"],
    "gta completion z": ["zsh"],
}
# what a shell's script can spoil: a description, a comma, an equals sign, no space after a setting, nothing to offer
TYPED = (
    "gta stat",
    "gta plan --retry=ca",
    "gta plan sweep=shapes method=sup",
    "gta plan method=gta,full",
    "gta plan schedule.iter",
    "gta plan method.thresh",
    "gta logs gt",
    "gta table gt",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two cells, a sweep and a site of the user's own, and `gta` on the PATH."""
    for signature, method in (("0abc1111", "gta"), ("0abd2222", "cps")):
        identity(CellFolder(tmp_path / "runs/cells" / signature), method=method, label=method, split="1/16")
    for name in ("sweeps/mine.yaml", "conf/site/my_cluster.yaml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    program = tmp_path / "bin/gta"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gta "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_offered(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("_GTA_COMPLETE", "fish_complete")
    for line, offered in LINES.items():
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", line.split(" ")[-1])
        assert main([]) == 0
        found = [answer.split(",", 1)[1].split("\t")[0] for answer in capsys.readouterr().out.split("\n") if answer]
        assert found == offered, line


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.slow
def test_what_a_shell_offers(shell: str, here: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    answer = subprocess.run([program, *SHELLS[shell], *TYPED], cwd=here, capture_output=True, text=True)
    parts = [part.split("\n") for part in answer.stdout.split("---\n")[:-1]]
    offered = {line: [found.split("\t")[0] for found in part if found] for line, part in zip(TYPED, parts, strict=True)}
    if shell == "bash":
        assert offered["gta plan schedule.iter"].pop(0) == "nospace", "the value follows at once"
        for line, found in offered.items():  # bash replaces what comes after the =
            before, equals, _ = line.split(" ")[-1].rpartition("=")
            offered[line] = [f"{before}{equals}{word}" for word in found]
        offered["gta plan method.thresh"].remove("nospace")
    assert offered == {line: LINES[line] for line in TYPED}


def test_completion_imports_nothing_heavy(here: Path) -> None:
    code = "import sys; from gta.__main__ import main; main()\n"
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'hydra', 'omegaconf', 'numpy', 'yaml')))"
    for line in ("gta logs g", "gta plan method.", "gta plan method=", "gta table --baseline "):
        asked = {"_GTA_COMPLETE": "bash_complete", "GTA_LINE": line}
        answer = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True
        )
        assert answer.returncode == 0, line
        assert answer.stdout, line


def test_what_is_read_off_files_is_what_hydra_and_the_methods_know(here: Path) -> None:
    plugins.install()
    loader = start().config_loader
    found = candidates.groups()
    assert set(found) == set(GROUPS)
    assert set(found["sweep"]) == set(sweep_files())
    for group in set(GROUPS) - {"sweep", "hydra/launcher"}:
        assert found[group] == sorted(loader.get_group_options(group)), group
    assert set(found["hydra/launcher"]) <= set(loader.get_group_options("hydra/launcher"))

    assert set(candidates.methods()) == set(METHODS)
    known = {name: row["help"] for name, row in describe(Config).items()}
    for name, method in METHODS.items():
        rows = describe(method.Config, "method.")
        offered = {f"method.{setting}" for setting in candidates.methods()[name]}
        assert offered | {"method.label", "method.paper_label"} == set(rows), name
        known |= {setting: row["help"] for setting, row in rows.items()}
    assert set(candidates.settings()) == set(known)
