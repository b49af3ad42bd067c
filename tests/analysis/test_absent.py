"""A class that is nowhere in the evaluation: from a trained cell's score through the store to every footer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from analysis import render
from gta.cellfolder import Result
from tests.helpers.program import SMALL_SCHEDULE

pytestmark = pytest.mark.slow


def test_every_footer_names_the_classes_that_are_in_no_mean(tmp_path: Path) -> None:
    """One validation image has not all classes, and a network of eight iterations does not guess the others."""
    from gta.cli import composing
    from gta.cli.table import build
    from gta.sweep import Sweep
    from gta.train.run import train
    from launch.state.ledger import ledger
    from launch.submit.recorder import sync

    folders = [f"paths.{name}={tmp_path / name}" for name in ("data", "splits", "runs", "results")]
    words = ["sweep=shapes", "method=supervised", "data.split=1/4", "seed=0", *SMALL_SCHEDULE, *folders]
    words += ["data.generator.train=40", "data.generator.val=1", "data.allow_absent_classes=true"]
    words += ["site.workers=0", "site.device=cpu"]
    _, (cell,) = composing.grid(words)
    cell.write()
    assert train(cell)
    sweep = Sweep("shapes")
    assert sync([cell], sweep) == []
    _, table, _ = build(sweep, ledger([cell]))

    result = Result.read(cell.folder.result_file)
    score = result.networks["student"].last
    absent = [name for name, value in zip(result.classes, score.iou, strict=True) if value is None]
    there = [value for value in score.iou if value is not None]
    assert absent
    assert there
    assert math.isclose(score.miou, sum(there) / len(there))
    said = (
        f"The mean is over {len(there)} of {len(result.classes)} classes: neither masks nor predictions of the "
        f"evaluation have {', '.join(absent)} (public code counts 0 for these)."
    )
    for shown in (render.terminal, render.markdown, render.latex, render.html, render.to_json):
        assert said in " ".join(shown(table).split()), shown.__name__
