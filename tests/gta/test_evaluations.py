"""What a cell scores by any protocol, as it is kept in its folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gta import evaluations
from gta.cellfolder import BrokenRecord, CellFolder
from gta.evaluations import ByImage, Evaluation
from gta.files import write_json
from tests.helpers.program import ROOT
from tests.helpers.tracked import evaluated, make_cell

WORDS = "sliding window 48, stride 2/3, mean of logits"


def test_what_is_written_is_found_by_protocol_network_weights_and_iteration(tmp_path: Path) -> None:
    cell = CellFolder(make_cell(tmp_path))
    made = evaluated(cell.path)
    shutil.copy(cell.evaluation_file(made.name), cell.evaluations_folder / f"{made.name}_old.json")
    assert evaluations.all_of(cell) == [made], "a copy under another name is no evaluation"
    (cell.evaluations_folder / f"{made.name}_old.json").unlink()
    place = ("sliding_window", WORDS, "teacher", "last")
    assert evaluations.find(cell, *place) == evaluations.find(cell, *place, 800) == made
    assert evaluations.find(cell, *place, 400) is None, "of another checkpoint"
    assert evaluations.find(cell, "sliding_window", WORDS, "student", "last") is None
    assert evaluations.find(cell, "sliding_window", "sliding window 32", "teacher", "last") is None
    found = evaluations.read_by_image(cell, made)
    assert found is not None
    assert found.ids == ["a", "b"]
    assert found.intersection.tolist() == [[60, 20, 20], [30, 0, 0]]
    assert found.union.tolist() == [[60, 20, 20], [80, 20, 0]]


def test_one_in_the_place_of_other_weights_is_none(tmp_path: Path) -> None:
    cell = CellFolder(make_cell(tmp_path))
    made = evaluated(cell.path)
    other = evaluations.name_of("sliding_window", WORDS, "teacher", "best")
    shutil.copy(cell.evaluation_file(made.name), cell.evaluation_file(other))
    assert evaluations.find(cell, "sliding_window", WORDS, "teacher", "best") is None


@pytest.mark.parametrize(
    ("without", "changed"),
    [("settings", {"evaluation.window": "48"}), ("classes", ["background", "disc, round"]), ("iou", [])],
    ids=["protocol", "class", "iou"],
)
def test_a_record_names_its_protocol_and_each_class(tmp_path: Path, without: str, changed: object) -> None:
    cell = CellFolder(make_cell(tmp_path))
    made = evaluated(cell.path)
    with pytest.raises(ValueError, match="names its protocol, and has an IoU for each class"):
        replace(made, **{without: changed})
    path = cell.evaluation_file(made.name)
    write_json(path, {**json.loads(path.read_text()), without: changed})
    with pytest.raises(BrokenRecord, match="names its protocol"):
        Evaluation.read(path)
    assert evaluations.all_of(cell) == []


def test_one_in_place_of_another_leaves_nothing_of_it(tmp_path: Path) -> None:
    cell = CellFolder(make_cell(tmp_path))
    evaluated(cell.path)
    made = evaluated(cell.path, by_image=False)
    assert [path.suffix for path in cell.evaluations_folder.iterdir()] == [".json"]
    assert evaluations.read_by_image(cell, made) is None


@pytest.mark.parametrize("content", [b"", b"PK not a zip", None], ids=["empty", "another kind", "absent"])
def test_counts_that_cannot_be_read_are_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    cell = CellFolder(make_cell(tmp_path))
    made = evaluated(cell.path)
    path = cell.by_image_file(made.name)
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(BrokenRecord, match="`gta eval CELL` makes it again".replace("CELL", cell.signature)):
        evaluations.read_by_image(cell, made)


def test_counts_of_another_evaluation_are_refused(tmp_path: Path) -> None:
    cell = CellFolder(make_cell(tmp_path))
    made = evaluated(cell.path)
    counts = np.array([[60, 20, 20], [31, 0, 0]])
    evaluations.write(cell, made, ByImage(["a", "b"], counts, np.maximum(counts, 1)))
    with pytest.raises(BrokenRecord, match="and its evaluation"):
        evaluations.read_by_image(cell, made)
    evaluations.write(cell, made, ByImage(["a"], counts[:1], counts[:1]))
    with pytest.raises(BrokenRecord, match="other images or classes"):
        evaluations.read_by_image(cell, made)


def test_counts_of_another_val_list_are_refused(tmp_path: Path) -> None:
    cell = CellFolder(make_cell(tmp_path))
    made = evaluated(cell.path)
    counts = evaluations.read_by_image(cell, made)
    assert counts is not None
    evaluations.write(cell, made, ByImage(["a", "c"], counts.intersection, counts.union))
    with pytest.raises(BrokenRecord, match="other images than the val list that the cell was frozen with"):
        evaluations.read_by_image(cell, made)
    longer = CellFolder(make_cell(tmp_path, val=200))
    with pytest.raises(BrokenRecord, match="other images than the val list"):
        evaluations.read_by_image(longer, evaluated(longer.path))
    partly = CellFolder(make_cell(tmp_path, val=200, params={"schedule.eval_images": "2"}))
    assert evaluations.read_by_image(partly, evaluated(partly.path)) is not None, "the first two are all it scores"


def test_a_broken_record_or_one_of_another_cell_counts_as_absent(tmp_path: Path) -> None:
    one, other = (CellFolder(make_cell(tmp_path)) for _ in range(2))
    made = evaluated(one.path)
    shutil.copytree(one.evaluations_folder, other.evaluations_folder)
    assert evaluations.all_of(other) == []
    assert evaluations.find(other, "sliding_window", WORDS, "teacher", "last") is None
    one.evaluation_file(made.name).write_text("{")
    assert evaluations.all_of(one) == []


def test_cells_of_before_there_were_evaluations_have_none() -> None:
    cells = [CellFolder(path) for path in (ROOT / "tests/fixtures/cell_v1").iterdir() if path.is_dir()]
    assert cells
    assert [evaluations.all_of(cell) for cell in cells] == [[] for _ in cells]
