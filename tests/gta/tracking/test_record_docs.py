"""The snippets of docs/record.md run, and its table names what a run really has."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from gta.cellfolder import CellFolder
from gta.files import write_text
from gta.provenance.environment import environment
from gta.tracking import sync as tracking
from tests.helpers.program import ROOT, SMALL_SHAPES, Run
from tests.helpers.tracked import attempt, fail, finish, make_cell, run_of

TEXT = (ROOT / "docs/record.md").read_text()


def snippet(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)
    return found


@pytest.mark.parametrize("line", [line.split("#")[0].strip() for line in snippet("bash").splitlines()])
def test_commands_run(line: str, say: Run, generated: Path) -> None:
    small = [*SMALL_SHAPES, f"paths.data={generated}", "data.split=1/5"] if "sweep=" in line else []
    answer = say(*shlex.split(line)[3:], *small)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("0 cells: 0 new in MLflow")


def test_python_runs(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_cell(tmp_path / "runs/cells", signature="0123456789abcdef")
    shutil.copy(empty_store, tmp_path / "runs/mlflow.db")
    exec(snippet("python"), {})
    assert capsys.readouterr().out.startswith("1 cells: 1 new in MLflow")


def test_a_run_has_the_tags_and_artifacts_of_the_table(tmp_path: Path, uri: str, client: MlflowClient) -> None:
    cells = [make_cell(tmp_path) for _ in range(2)]
    for cell in cells:
        attempt(cell, 1, job="7", environment=environment() | {"commit": "abc", "dirty": False})
        CellFolder(cell).checkpoint_file.touch()
    fail(cells[0], attempt=1)
    finish(cells[1])
    write_text(CellFolder(cells[1]).artifacts_folder / "confusion.json", "{}")
    write_text(CellFolder(cells[1]).artifacts_folder / "images/0_a.png", "a picture")
    assert tracking.sync(cells, uri).problems == []
    runs = [run_of(client, cell) for cell in cells]
    found = {tag for run in runs for tag in run.data.tags}
    assert {f"gta.{word.removeprefix('gta').strip('.')}" for word in named("tags")} <= found
    assert {word.rstrip("/") for word in named("artifacts")} == {
        item.path for item in client.list_artifacts(runs[1].info.run_id)
    }


def named(row: str) -> list[str]:
    """What a row of the table has in backticks."""
    (found,) = re.findall(rf"^\| {row} \|(.*)\|$", TEXT, flags=re.MULTILINE)
    return re.findall(r"`([^`]+)`", found)
