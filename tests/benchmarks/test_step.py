"""The step benchmark runs every method with torch and numpy alone, and prints a ratio to the supervised step."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gta.methods import METHODS
from tests.helpers.program import ROOT

# Everything that the project installs beside torch and numpy; an import of it fails in the child.
BLOCKED = (
    "hydra", "omegaconf", "mlflow", "submitit", "cv2", "PIL", "pandas", "tabulate", "rich", "torchmetrics", "yaml",
)  # fmt: skip
ALONE = f"""
import runpy, sys

sys.modules.update(dict.fromkeys({BLOCKED!r}))  # as if they were not installed
sys.argv = ["step.py", *sys.argv[1:]]
runpy.run_path("benchmarks/step.py", run_name="__main__")
"""
TINY = ("device=cpu", "encoder=tiny", "crop=17", "batch=2", "classes=3", "rounds=1", "steps=1")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ALONE, *TINY, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)


@pytest.mark.slow
def test_every_method_runs_on_torch_and_numpy_alone() -> None:
    answer = run()
    assert answer.returncode == 0, answer.stderr
    rows = [
        line.strip("| ").split(" | ") for line in answer.stdout.splitlines() if line.startswith(("| fp32", "| bf16"))
    ]
    assert [(row[0], row[1]) for row in rows] == [(p, name) for p in ("fp32", "bf16") for name in METHODS]
    assert all(float(row[2]) > 0 and float(row[3]) > 0 for row in rows)
    assert all(row[3] == "1.00" for row in rows if row[1] == "supervised")
    for row in rows:
        gflop, share, gb, moved = (float(value) for value in row[5:9])
        assert gflop > 0
        assert gb > 0
        assert share >= 0
        assert moved >= 0
    work = {(row[0], row[1]): float(row[5]) for row in rows}
    assert work["bf16", "gta"] == work["fp32", "gta"] > 4 * work["fp32", "supervised"], "15 against 3 passes"
    assert "measured here" in answer.stdout


@pytest.mark.slow
def test_one_method_brings_its_baseline_and_says_its_memory_also_in_parts() -> None:
    answer = run("method=gta", "precision=fp32", "memory=yes", "batch=4", "accumulate=2")
    rows = [line.strip("| ").split(" | ") for line in answer.stdout.splitlines() if line.startswith("| fp32")]
    assert [row[1] for row in rows] == ["supervised", "gta"]
    if sys.platform == "linux":
        assert all(50 < float(row[4]) < 5000 for row in rows), "a process with torch in it"


@pytest.mark.parametrize("word", ["method=gtb", "crap=17"])
@pytest.mark.slow
def test_an_unknown_word_is_said(word: str) -> None:
    answer = run(word)
    assert answer.returncode == 1
    assert "unknown: " in answer.stderr
