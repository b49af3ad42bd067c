"""A class that is nowhere in the evaluation: from a trained cell's score through the store to every footer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from analysis import render
from analysis.table import Table, build
from analysis.view import View
from gta.cellfolder import Result
from gta.errors import UserError
from tests.helpers.program import SMALL_SCHEDULE
from tests.helpers.tables import frame, run, want

NAN = float("nan")
ALL, WITHOUT_C = [50.0, 50.0, 50.0], [50.0, 50.0, NAN]


def scored(signature: str, last: list[float], best: list[float], **more: Any) -> dict[str, Any]:
    return run(signature, 50.0, classes=["a", "b", "c"], iou=last, best_iou=best, **more)


def said(table: Table) -> list[str]:
    return [note.partition(": neither")[0] for note in table.notes if "mean is over" in note or "MIXED classes" in note]


def test_the_classes_are_those_of_the_scores_that_are_shown() -> None:
    """Of a teacher that found no c in its last evaluation, but in its best one, beside a student that always did."""
    rows = frame(scored("x", WITHOUT_C, ALL), scored("x", ALL, ALL, network="student", headline=False))
    cells = [want("x")]
    assert said(build(rows, cells)) == ["The mean is over 2 of 3 classes"], "the best one, in brackets, is over all"
    assert said(build(rows, cells, view=View(scores=("best",)))) == []
    of_both = build(rows, cells, view=View(scores=("last", "best")))
    assert said(of_both) == ["In columns marked last, the mean is over 2 of 3 classes"]
    assert said(build(rows, cells, view=View(networks=True))) == ["The mean is over 2 of 3 classes in gta (teacher)"]
    other = frame(scored("x", ALL, WITHOUT_C))
    assert said(build(other, cells)) == ["In brackets the mean is over 2 of 3 classes"]
    assert said(build(other, cells, best=False)) == []
    of_before = build(frame(scored("x", WITHOUT_C, [])), cells, view=View(scores=("best",)))
    assert "not recorded which classes" in " ".join(of_before.notes)


def test_means_over_other_classes_are_named_and_are_mixed() -> None:
    rows = frame(
        scored("s0", ALL, ALL),
        scored("s1", ALL, ALL, seed=1),
        scored("g0", WITHOUT_C, ALL),
        scored("g1", ALL, ALL, seed=1),
    )
    cells = [want(f"{row[0]}{seed}", row, seed=seed) for row in ("supervised", "gta") for seed in (0, 1)]
    table = build(rows, cells, baseline="supervised")
    assert said(table) == [
        "The mean is over 2 of 3 classes in gta 1/67 (6) seed 0",
        "MIXED classes: differences to supervised are between means over other classes for gta 1/67 (6) seed 0.",
    ]
    with pytest.raises(UserError, match=r"its runs have 2 sets of classes \(3 of 3 classes in supervised, gta"):
        table.refuse_gaps()
    alike = [one | {"iou": WITHOUT_C} for one in rows.to_dict("records")]
    table = build(frame(*alike), cells, baseline="supervised")
    assert (said(table), table.mixed) == (["The mean is over 2 of 3 classes"], [])


@pytest.mark.slow
def test_every_footer_names_the_classes_that_are_in_no_mean(tmp_path: Path) -> None:
    """One validation image has not all classes, and a network of eight iterations does not guess the others."""
    from gta.cli import composing
    from gta.cli.table import build as built
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
    _, table, _ = built(sweep, ledger([cell]))

    result = Result.read(cell.folder.result_file)
    score = result.networks["student"].last
    absent = [name for name, value in zip(result.classes, score.iou, strict=True) if value is None]
    there = [value for value in score.iou if value is not None]
    assert absent
    assert there
    assert math.isclose(score.miou, sum(there) / len(there))
    wanted = (
        f"The mean is over {len(there)} of {len(result.classes)} classes: neither masks nor predictions of the "
        f"evaluation have {', '.join(absent)} (public code counts 0 for these)."
    )
    for shown in (render.terminal, render.markdown, render.latex, render.html, render.to_json):
        assert wanted in " ".join(shown(table).split()), shown.__name__
