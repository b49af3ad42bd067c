"""MLflow's SQLite store: thrown away, made by half, of another version, or not to be written to. A real MLflow."""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gta.cellfolder import CellFolder
from gta.cli.checks import places
from gta.config import PathsConfig
from gta.finding import Status
from gta.tracking import keys, store
from gta.tracking import sync as tracking
from gta.tracking.cell import files_of
from gta.tracking.sync_cache import Sent, remember
from tests.helpers.tracked import damage_an_index, expected, finish, history, make_cell, run_of, runs_of, train

DROP_CAPABILITY = 24  # prctl's PR_CAPBSET_DROP
# ends itself by -9 in the midst of MLflow's migrations
KILLED = """
import os, sys
import sqlalchemy
@sqlalchemy.event.listens_for(sqlalchemy.Engine, "before_cursor_execute")
def watch(connection, cursor, statement, *rest):
    if "_alembic_tmp_" in statement:
        os.kill(os.getpid(), 9)
"""


# ends itself by -9 within a transaction, some of which is in the file already
WRITER = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("pragma cache_size = 1")
database.execute("begin immediate")
for number in range(20000):
    database.execute("insert into experiment_tags values (?, 'x', 0)", (str(number),))
os.kill(os.getpid(), 9)
"""


def doctor(uri: str) -> tuple[Status, str]:
    (finding,) = places.mlflow(PathsConfig(tracking_uri=uri))
    return finding.status, f"{finding.detail} -> {finding.advice}"


def change(uri: str, statement: str) -> None:
    path = store.sqlite_path(uri)
    assert path is not None
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()


def away(uri: str) -> None:
    """What the sentence advises."""
    path = store.sqlite_path(uri)
    assert path is not None
    path.rename(f"{path}.away")  # MLflow keeps open what it once opened: not within one process


@pytest.fixture
def own_uri(tmp_path: Path, empty_store: Path) -> str:
    """A store of this test's own, which it may spoil."""
    (tmp_path / "runs").mkdir()
    return f"sqlite:///{shutil.copy(empty_store, tmp_path / 'runs/mlflow.db')}"


def test_an_experiment_in_the_trash_is_restored_with_its_runs(tmp_path: Path, own_uri: str) -> None:
    cells = [make_cell(tmp_path) for _ in range(2)]
    for cell in cells:
        train(cell, range(3))
        finish(cell)
    tracking.sync(cells[:1], own_uri, "shapes")
    client = store.connect(own_uri)
    before = run_of(client, cells[0]).info.run_id
    client.delete_experiment(client.get_experiment_by_name(keys.EXPERIMENT).experiment_id)
    status, said = doctor(own_uri)
    assert status is Status.PROBLEM
    assert "is in the trash" in said
    assert "gta sync" in said

    report = tracking.sync(cells, own_uri, "shapes")
    assert (report.created, report.problems) == (1, [])
    assert report.notes == ["MLflow's experiment 'gta' was in the trash: it is restored, with its runs."]
    assert run_of(client, cells[0]).info.run_id == before
    assert history(client, cells[0]) == expected(range(3)), "each point once"
    assert doctor(own_uri)[0] is Status.OK
    assert tracking.sync(cells, own_uri, "shapes").notes == []


def test_a_writer_that_was_killed_within_a_transaction_shuts_nobody_out(tmp_path: Path, own_uri: str) -> None:
    """Its journal lies beside the store, and a reader that may not write could not undo what it had begun."""
    cell = make_cell(tmp_path)
    train(cell, range(3))
    tracking.sync([cell], own_uri)
    path = store.sqlite_path(own_uri)
    assert path is not None
    died = subprocess.run([sys.executable, "-c", WRITER, str(path)], check=False)
    assert died.returncode == -9
    assert path.with_name(f"{path.name}-journal").stat().st_size > 0, "there is something to undo"
    train(cell, range(3, 5))
    assert tracking.sync([cell], own_uri).problems == []
    assert history(store.connect(own_uri), cell) == expected(range(5))


def test_a_store_whose_pages_do_not_fit_together_is_told(own_uri: str) -> None:
    assert store.damage(own_uri) == ""
    path = store.sqlite_path(own_uri)
    assert path is not None
    store.create(own_uri)
    store.connect(own_uri).create_run("0", tags={"gta.signature": "x"})
    damage_an_index(path)
    assert "mlflow.db is damaged (" in store.damage(own_uri)
    assert store.damage("http://127.0.0.1:9") == "", "only a file can be looked at"


def older(uri: str) -> None:
    change(uri, "update alembic_version set version_num = '0a8213491aaa'")  # one of MLflow's first


def garbled(uri: str) -> None:
    path = store.sqlite_path(uri)
    assert path is not None
    path.write_bytes(b"no database" * 100)


def a_folder(uri: str) -> None:
    path = store.sqlite_path(uri)
    assert path is not None
    path.unlink()
    (path / "inside").mkdir(parents=True)


def of_something_else(uri: str) -> None:
    change(uri, "drop table alembic_version")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda uri: change(uri, "update alembic_version set version_num = 'ffffffffffff'"), "does not know (ffff"),
        (older, "is of an older version than the MLflow"),
        (garbled, "cannot be read (file is not a database)"),
        (a_folder, "is a folder"),
        (of_something_else, "is no store of MLflow's, or one that was made by half"),
    ],
)
def test_a_store_that_mlflow_cannot_open_is_moved_away_and_made_anew(
    tmp_path: Path, own_uri: str, spoil: Callable[[str], None], words: str
) -> None:
    cell = make_cell(tmp_path)
    train(cell, range(5))
    sent = Sent(run_id="0" * 32, files=files_of(CellFolder(cell)), sweeps=[], cursor=10)  # all of it was there
    remember(CellFolder(cell), own_uri, sent)
    spoil(own_uri)
    (problem,) = tracking.sync([cell], own_uri).problems
    assert words in problem
    assert "\n" not in problem
    assert "`gta sync` makes it anew from the journals" in problem
    status, said = doctor(own_uri)
    assert status is Status.PROBLEM
    assert words in said
    away(own_uri)
    assert tracking.sync([cell], own_uri).problems == []
    assert history(store.connect(own_uri), cell) == expected(range(5))
    assert doctor(own_uri)[0] is Status.OK


@pytest.mark.slow
def test_a_kill_while_the_store_is_made_leaves_none(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    cell = make_cell(tmp_path / "cells")
    train(cell, range(3))
    send = f"{KILLED}\nfrom gta.tracking.sync import sync\nsync([{str(cell)!r}], {uri!r})"
    killed = subprocess.run([sys.executable, "-c", send], capture_output=True)
    assert killed.returncode == -9, killed.stderr
    assert not store.exists(uri)
    assert any(path.name.endswith(".tmp") for path in tmp_path.iterdir()), "it was at it"
    assert tracking.sync([cell], uri).problems == []
    assert history(store.connect(uri), cell) == expected(range(3))
    assert {path.name for path in tmp_path.iterdir()} == {
        "cells",
        "mlflow.db",
        "mlflow.db.lock",
        "mlflow.db.holder.json",
        "mlartifacts",
    }


@pytest.mark.slow
def test_a_store_that_was_made_by_half_is_named(tmp_path: Path) -> None:
    """As versions before left them: MLflow itself was ended while it made the store in its place."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    make = f"{KILLED}\nfrom mlflow.tracking import MlflowClient\nMlflowClient({uri!r}).search_experiments()"
    assert subprocess.run([sys.executable, "-c", make], capture_output=True).returncode == -9
    cell = make_cell(tmp_path / "cells")
    (problem,) = tracking.sync([cell], uri).problems
    assert "was made by half: move it away" in problem
    away(uri)
    assert tracking.sync([cell], uri).created == 1


def test_a_store_that_says_otherwise_than_what_was_sent_is_put_right(tmp_path: Path, own_uri: str) -> None:
    cell = make_cell(tmp_path)
    finish(cell)
    tracking.sync([cell], own_uri)
    client = store.connect(own_uri)
    client.update_run(run_of(client, cell).info.run_id, status="KILLED")
    assert tracking.sync([cell], own_uri).updated == 1
    assert run_of(client, cell).info.status == "FINISHED"
    assert tracking.sync([cell], own_uri).unchanged == 1


def test_a_copy_of_a_cells_folder_is_named_and_changes_no_number(tmp_path: Path, own_uri: str) -> None:
    cell = make_cell(tmp_path)
    finish(cell, last=20.24)
    tracking.sync([cell], own_uri)
    copy = Path(shutil.copytree(cell, f"{cell}.bak"))
    result = copy / "result.json"
    result.write_text(result.read_text().replace("20.24", "99.99"))
    (problem,) = tracking.sync([cell, copy], own_uri, force=True).damaged
    assert str(copy) in problem
    assert f"is of the cell {cell.name}, not of this one" in problem
    client = store.connect(own_uri)
    (run,) = runs_of(client, cell)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["miou_last"] == 20.24


def powerless() -> None:
    """root may write everywhere, unless it gives that up."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(DROP_CAPABILITY, capability)


@pytest.mark.slow
def test_a_store_that_cannot_be_written_to_is_one_sentence(tmp_path: Path, own_uri: str) -> None:
    cells = [make_cell(tmp_path, seed=seed) for seed in range(6)]
    tracking.sync(cells, own_uri, "shapes")
    for cell in cells:
        finish(cell)
    path = store.sqlite_path(own_uri)
    assert path is not None
    path.chmod(0o444)
    code = (
        "import sys\nfrom gta.tracking.sync import sync\n"
        "print(*sync(sys.argv[2:], sys.argv[1], 'shapes').problems, sep='\\n')"
    )
    command = [sys.executable, "-c", code, own_uri, *map(str, cells)]
    preparation = powerless if os.geteuid() == 0 else None
    told = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=preparation)
    assert told.stderr == "", "MLflow says nothing of its own"
    (sentence,) = told.stdout.splitlines()
    assert "readonly database" in sentence
    assert "3 more cells were not tried" in sentence
    path.chmod(0o644)
    assert tracking.sync(cells, own_uri, "shapes").updated == 6


def test_a_store_that_was_moved_takes_its_artifacts_along(tmp_path: Path, empty_store: Path) -> None:
    before, after, alone = (tmp_path / name for name in ("before", "after", "alone"))
    for folder in (before, alone):
        folder.mkdir()
    shutil.copy(empty_store, before / "mlflow.db")
    old = make_cell(before / "cells")
    finish(old)
    assert tracking.sync([old], f"sqlite:///{before}/mlflow.db").problems == []
    shutil.copy(before / "mlflow.db", alone)
    uri = f"sqlite:///{alone}/mlflow.db"
    assert tracking.sync([old], uri).notes == [], "the store alone: its artifacts are where they were"
    assert not (alone / "mlartifacts").exists()
    before.rename(after)
    before.write_text("nobody can write below this")
    new = make_cell(after / "cells", seed=1)
    finish(new)
    uri = f"sqlite:///{after}/mlflow.db"
    report = tracking.sync([new], uri)
    assert report.problems == []
    said = f"MLflow's store was moved: the artifacts of its runs are those in {after}/mlartifacts, not in {before}/mlar"
    assert [note[: len(said)] for note in report.notes] == [said]
    assert tracking.sync([after / "cells" / old.name, new], uri, force=True).notes == [], "once"
    client = store.connect(uri)
    for cell in (new, old):
        run = run_of(client, cell)
        assert "config.yaml" in {item.path for item in client.list_artifacts(run.info.run_id)}
