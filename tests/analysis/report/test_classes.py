"""IoU by class in the report: the differences are those of the notebooks' figures."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from analysis.report import against
from analysis.report.classes import classes
from tests.helpers.tables import table

CLASSES = ["sky", "road"]


@pytest.mark.parametrize("baseline", ["supervised", ""])
def test_differences_are_paired_by_seed_as_in_notebooks_and_in_the_order_of_the_data_set(baseline):
    made = table({("supervised", "x"): [60.0, "queued", "queued"], ("gta", "x"): [61.0, 70.0, 80.0],
                  ("supervised", "y"): ["queued", 50.0], ("gta", "y"): [60.0, "queued"]})  # fmt: skip
    made.baseline = baseline
    done = [(s.cell.signature, s.last) for entry in made.entries.values() for s in entry.done]
    frame = pd.DataFrame([{"signature": name, "classes": CLASSES, "iou": [iou + 1, 50.0]} for name, iou in done])
    frame = frame.assign(headline=True, status="FINISHED")
    means, _, less = str(classes(frame, made)).partition("Difference to supervised")
    assert "sky, gta: 71.33" in means, "of all its seeds"
    assert re.findall(r'title="(.*?)"', less) == ["sky, gta: +1.00", "road, gta: +0.00", "mIoU, gta: +1.00"]
    figure = against.class_differences(frame, replace(made, baseline="supervised"), "x")
    assert [text.get_text() for text in figure.axes[0].texts] == ["+1.0", "+0.0"]
    assert "y labels" not in less, "no seed of both"
