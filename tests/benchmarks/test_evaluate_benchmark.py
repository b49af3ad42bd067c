"""The benchmark of scoring: every look has its rows, and plain scoring and ours count the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import evaluate
from tests.helpers.program import ROOT

ABSENT = ["cv2", "PIL", "yaml", "omegaconf", "hydra", "mlflow", "tabulate", "click", "submitit", "pandas", "timm"]
SMALL = ["height=40", "width=56", "images=3", "batch=2", "classes=5", "window=24", "rounds=1"]


def test_each_look_has_its_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.main([*SMALL, f"json={tmp_path / 'out.json'}"])
    rows = [
        [word.strip() for word in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines() if "|" in line
    ]
    works = ["forward", "plain scoring", "ours", "ours, batches of 2", "ours, from files", "two networks, from files"]
    assert [row[:2] for row in rows[2:]] == [[look, work] for look in evaluate.LOOKS for work in works]
    seconds = json.loads((tmp_path / "out.json").read_text())["seconds"]
    assert {len(taken) for of_look in seconds.values() for taken in of_look.values()} == {1}


def test_all_rows_of_a_look_count_the_same(tmp_path: Path) -> None:
    options = {**evaluate.DEFAULTS, **evaluate.parse(SMALL, evaluate.DEFAULTS, None)}
    for rows in evaluate.made(options, tmp_path).values():
        plain, one, batches = (rows[name]() for name in list(rows)[1:4])
        assert isinstance(plain, torch.Tensor)
        assert isinstance(batches, torch.Tensor)
        assert torch.equal(plain, one)  # type: ignore[arg-type]
        assert plain.sum() == 3 * 38 * 56, "but for the rows that are ignored"
        assert (plain - batches).abs().sum() <= 2


@pytest.mark.slow
def test_it_runs_without_pillow_and_opencv(tmp_path: Path) -> None:
    """On a machine with torch and numpy alone."""
    hidden = f"import sys; [sys.modules.__setitem__(name, None) for name in {ABSENT!r}]"
    words = [*SMALL, "looks=whole"]
    begin = f"{hidden}; sys.path.insert(0, {str(ROOT)!r}); from benchmarks import evaluate; evaluate.main({words!r})"
    said = subprocess.run([sys.executable, "-c", begin], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "nothing is read from files" in said.stdout
    assert "| whole | ours |" in said.stdout


def test_unknown_words_are_sentences() -> None:
    with pytest.raises(SystemExit, match="unknown: imagse"):
        evaluate.main(["imagse=3"])
    with pytest.raises(SystemExit, match="looks=sideways: there are whole, windows, scales"):
        evaluate.main(["looks=whole,sideways"])
