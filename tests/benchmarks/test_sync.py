"""The sync benchmark runs, and its cells arrive whole."""

from __future__ import annotations

import runpy

import pytest

from tests.helpers.program import ROOT


@pytest.mark.slow
def test_it_prints_a_row_of_times(capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(ROOT / "benchmarks/sync.py"))["main"]
    main(["runs=2", "lines=4"])
    words = capsys.readouterr().out.splitlines()[-1].strip("| ").split(" | ")
    assert words[:2] == ["2", str(2 * (4 * 9 + 4 * 2))]
    assert all(float(word) >= 0 for word in words[2:])
