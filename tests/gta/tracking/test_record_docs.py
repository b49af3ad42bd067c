"""The snippets of docs/record.md run, and its table names the tags that there are."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from gta.tracking import keys
from tests.helpers.program import ROOT, SMALL_SHAPES, Run
from tests.helpers.tracked import make_cell

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
    make_cell(tmp_path / "runs/cells/0123456789abcdef")
    shutil.copy(empty_store, tmp_path / "runs/mlflow.db")
    exec(snippet("python"), {})
    assert capsys.readouterr().out.startswith("1 cells: 1 new in MLflow")


def test_the_tags_of_the_table_exist() -> None:
    (row,) = re.findall(r"^\| tags \|(.*)\|$", TEXT, flags=re.MULTILINE)
    named = {word.removeprefix("gta").strip(".") for word in re.findall(r"`([^`]+)`", row)}
    known = {*keys.CELL_TAGS, *keys.ATTEMPT_TAGS}
    known |= {tag.removeprefix("gta.") for tag in (keys.COMMIT, keys.DIRTY, keys.ATTEMPT, keys.CHECKPOINT, keys.ERROR)}
    assert named <= known
