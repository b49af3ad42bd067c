"""The store benchmark fills a store that MLflow reads: each copy a run of its own, the sweep's among them."""

from __future__ import annotations

import runpy

import pytest

from analysis import runs
from tests.helpers.program import ROOT


@pytest.mark.slow
def test_the_copies_are_runs(tmp_path, capsys):
    made = runpy.run_path(str(ROOT / "benchmarks/store.py"))
    made["fill"](tmp_path / "30.db", 30, 5)
    made["report"](tmp_path, [30], 5, 1)
    frame = runs.load(f"sqlite:///{tmp_path}/30.db")
    assert frame["signature"].nunique() == frame["run_id"].nunique() == 30
    assert len(frame) == 2 * 30, "two networks"
    sweep = runs.load(f"sqlite:///{tmp_path}/30.db", sweep=made["SWEEP"])
    assert sweep["signature"].nunique() == 5
    assert set(sweep["signature"]) <= set(frame["signature"])
    assert (sweep["miou_last"] == 50.0).all()
    assert sweep["iou"].map(len).eq(21).all()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 30 ")]
    assert len(rows) == 1
    assert "| 1.00 |" in rows[0]
