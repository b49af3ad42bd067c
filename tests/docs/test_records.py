"""docs/reference/records.md says what a cell's folder and its run in MLflow really have."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from gta import cellfolder
from gta.cellfolder import CellFolder, JsonRecord
from gta.certificate import Certificate
from gta.evaluations import Evaluation
from gta.files import write_text
from gta.journal import Journal
from gta.notices import Notified
from gta.provenance.environment import environment
from gta.tracking import store
from gta.tracking import sync as tracking
from tests.helpers.program import ROOT
from tests.helpers.snippets import table
from tests.helpers.tracked import attempt, evaluated, fail, finish, make_cell, run_of

NUMBERED = {"attempt_file", "silence_file", "evaluation_file", "by_image_file"}  # several, whose names are made
PAGE = ROOT / "docs/reference/records.md"
RECORDS: dict[str, type[JsonRecord]] = {
    "cell.json": cellfolder.Identity,
    "submitted.json": cellfolder.Submitted,
    "attempts/NNNN.json": cellfolder.Attempt,
    "attempts/NNNN.silent-R.json": cellfolder.Silence,
    "failure.json": cellfolder.Failure,
    "cancelled.json": cellfolder.Cancelled,
    "result.json": cellfolder.Result,
    "Drills": Certificate,
    "order.json": cellfolder.Orders,
    "notified.json": Notified,
    "evaluations/NAME.json": Evaluation,
}


@pytest.mark.parametrize("name", RECORDS)
def test_the_fields_of_a_record_are_those_of_the_page(name: str) -> None:
    kind = RECORDS[name]
    fields = {item.name for item in dataclasses.fields(kind)} - getattr(kind, "UNWRITTEN", frozenset())
    assert {field for row in table(PAGE, name) for field in re.findall(r"`(\w+)`", row[0])} == fields


def test_every_file_of_a_cell_is_on_the_page() -> None:
    folder = CellFolder(Path())
    files = {str(getattr(folder, name)) for name in dir(CellFolder) if name.endswith("_file") and name not in NUMBERED}
    shown = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text().partition("\n## ")[0], re.MULTILINE)
    assert files | {
        "attempts/NNNN.json",
        "attempts/NNNN.silent-R.json",
        "artifacts/",
        "damaged/",
        "evaluations/",
    } == set(shown)


def test_a_run_has_the_tags_and_artifacts_of_the_page(tmp_path: Path, empty_store: Path) -> None:
    uri = f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"
    cells = [make_cell(tmp_path) for _ in range(2)]
    for cell in cells:
        (log := tmp_path / "log.out").write_text("a line")
        attempt(cell, 1, job="7", log=str(log), environment=environment() | {"commit": "abc", "dirty": False})
        CellFolder(cell).checkpoint_file.touch()
        write_text(CellFolder(cell).config_file, "data: {root: /data/voc}\n")
        with Journal(CellFolder(cell).journal_file) as journal:
            journal.event("resumed", timm="1.0.9")
    fail(cells[0], attempt=1)
    order = cellfolder.NewOrder(number=1, iteration=400)
    with Journal(CellFolder(cells[1]).journal_file) as log_of_run:
        log_of_run.event("resumed", iteration=400, timm="1.0.0")
    finish(cells[1], orders=[order])
    write_text(CellFolder(cells[1]).artifacts_folder / "confusion.json", "{}")
    write_text(CellFolder(cells[1]).artifacts_folder / "images/0_a.png", "a picture")
    made = evaluated(cells[1])
    assert tracking.sync(cells, uri).problems == []
    client = store.connect(uri)
    runs = [run_of(client, cell) for cell in cells]
    found = {tag for run in runs for tag in run.data.tags}
    words = [word.replace("NAME", made.name) for word in promised("tags")]
    assert {f"gta.{word.removeprefix('gta').strip('.')}" for word in words} <= found
    assert set(promised("MLflow's own tags")) <= found
    assert {f"gta.digest.{name}" for name in ("labeled", "unlabeled", "val", "weights")} <= found
    sent = {item.path for item in client.list_artifacts(runs[1].info.run_id)}
    assert {word.rstrip("/") for word in promised("artifacts")} == sent
    assert {word.replace("NAME", made.name) for word in promised("metrics")} <= set(runs[1].data.metrics)


def promised(row: str) -> list[str]:
    """What a row of the table of MLflow has in backticks."""
    (cells,) = [cells for cells in table(PAGE, "MLflow") if cells[0] == row]
    return re.findall(r"`([^`]+)`", cells[1])
