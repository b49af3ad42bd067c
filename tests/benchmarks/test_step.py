"""The step benchmark runs every method with torch and numpy alone, and prints a ratio to the supervised step."""

from __future__ import annotations

import sys

import pytest

from benchmarks import step
from gta.methods import METHODS
from tests.helpers.program import run_alone

TINY = ("device=cpu", "encoder=tiny", "crop=17", "batch=2", "classes=3", "rounds=1", "steps=1")


def rows_of(printed: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in printed.splitlines() if line.startswith(("| fp32", "| bf16"))]


@pytest.fixture(scope="module")
def alone() -> str:
    """What it prints of every method, in a process that has torch and numpy alone."""
    answer = run_alone("benchmarks/step.py", *TINY, "precision=fp32")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.slow
def test_every_method_runs_on_torch_and_numpy_alone(alone: str) -> None:
    rows = rows_of(alone)
    assert [(row[0], row[1]) for row in rows] == [("fp32", name) for name in METHODS]
    assert all(float(row[2]) > 0 and float(row[3]) > 0 for row in rows)
    assert all(row[3] == "1.00" for row in rows if row[1] == "supervised")
    for row in rows:
        gflop, share, gb, moved = (float(value) for value in row[5:9])
        assert gflop > 0
        assert gb > 0
        assert share >= 0
        assert moved >= 0
    assert "measured here" in alone


@pytest.mark.slow
def test_one_method_brings_its_baseline_and_says_its_memory_also_in_parts(
    alone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    step.main([*TINY, "method=gta", "precision=bf16", "memory=yes", "batch=4", "accumulate=2"])
    rows = rows_of(capsys.readouterr().out)
    assert [row[:2] for row in rows] == [["bf16", "supervised"], ["bf16", "gta"]]
    if sys.platform == "linux":
        assert all(50 < float(row[4]) < 5000 for row in rows), "a process with torch in it"
    work = {row[1]: float(row[5]) for row in rows}
    assert work["gta"] > 4 * work["supervised"], "15 against 3 passes"
    half = {row[1]: float(row[5]) for row in rows_of(alone)}
    assert work == pytest.approx({name: 2 * half[name] for name in work}, rel=1e-3), "arithmetic knows no precision"


@pytest.mark.parametrize("word", ["method=gtb", "crap=17"])
def test_an_unknown_word_is_said(word: str) -> None:
    with pytest.raises(SystemExit, match="unknown: "):
        step.parse([*TINY, word])
