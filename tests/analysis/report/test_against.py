"""The figures of rows against the baseline: what they show, and when they are refused."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from analysis.report import against, figures
from analysis.table import Table
from gta.errors import UserError
from tests.helpers.tables import everything, table

COLUMN = "1/67 (6)"
CLASSES = ["sky", "road"]


def runs(table: Table, iou: dict[str, list[float]]) -> pd.DataFrame:
    """Of each finished cell of the table its row's IoU by class."""
    cells = [score.cell for entry in table.entries.values() for score in entry.done]
    rows = [{"signature": cell.signature, "classes": CLASSES, "iou": iou[cell.row]} for cell in cells]
    return pd.DataFrame(rows).assign(headline=True, status="FINISHED")


def test_differences_have_a_mark_a_row_and_an_interval_from_three_seeds_on():
    made = everything()
    figure = against.differences(made, COLUMN)
    text = figures.svg(figure)
    assert "mIoU less that of supervised, at 1/67 (6) labels" in text
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mean_teacher", "gta"]
    marks = {bar.get_label(): bar for bar in axes.containers}
    found = made.comparison("gta", COLUMN)
    assert found is not None
    assert marks["gta"].lines[0].get_xdata()[0] == found.difference == 8.0
    assert marks["gta"].has_xerr
    assert not marks["mean_teacher"].has_xerr, "two paired seeds"
    assert "gta" not in {bar.get_label() for bar in against.differences(made, "no column").axes[0].containers}


def test_differences_by_class_say_the_points_and_leave_out_what_is_absent():
    made = everything()
    iou = {"supervised": [50.0, 40.0], "mean_teacher": [52.5, float("nan")], "gta": [47.0, 41.0]}
    figure = against.class_differences(runs(made, iou), made, COLUMN)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["+2.5", "-3.0", "–", "+1.0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == CLASSES
    same = against.class_differences(runs(made, {row: [50.0, 40.0] for row in iou}), made, COLUMN)
    assert {text.get_text() for text in same.axes[0].texts} == {"+0.0"}
    none = against.class_differences(runs(made, {row: [] for row in iou}), made, COLUMN)
    assert [text.get_text() for text in none.axes[0].texts] == ["No finished run has its IoU by class."]
    assert "IoU less that of supervised" in figures.svg(none)


def test_differences_by_class_are_paired_by_seed_and_a_partly_done_sweep_has_its_figures():
    made = table({("supervised", "x"): [60.0, "queued", "queued"], ("gta", "x"): [60.0, 70.0, 80.0],
                  ("supervised", "y"): ["queued"] * 3, ("gta", "y"): [60.0, "queued", "queued"]})  # fmt: skip
    made.baseline = "supervised"
    done = [(s.cell.signature, s.last) for entry in made.entries.values() for s in entry.done]
    frame = pd.DataFrame([{"signature": name, "classes": CLASSES, "iou": [iou, iou]} for name, iou in done])
    frame = frame.assign(headline=True, status="FINISHED")
    figure = against.class_differences(frame, made, "x")
    assert [text.get_text() for text in figure.axes[0].texts] == ["+0.0", "+0.0"], "by the seed that both have"
    undone = against.class_differences(frame, made, "y")
    assert [text.get_text() for text in undone.axes[0].texts] == ["–", "–"], "the baseline is not done there"
    assert [label.get_text() for label in undone.axes[0].get_yticklabels()] == CLASSES


def test_without_a_baseline_it_is_said_how_to_give_one():
    for draw in (against.differences, lambda table, column: against.class_differences(pd.DataFrame(), table, column)):
        with pytest.raises(UserError, match="baseline=ROW"):
            draw(replace(everything(), baseline=""), COLUMN)
