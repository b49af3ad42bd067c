"""Cells that failed, broke or began anew; stores that are down, wrong or shared. A real MLflow on one SQLite store."""

from __future__ import annotations

import math
import re
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from analysis import runs
from gta.cellfolder import CellFolder
from gta.errors import UserError
from gta.journal import Journal
from gta.tracking import keys, sqlite_schema, store
from gta.tracking import sync as tracking
from tests.helpers.holding import held
from tests.helpers.tracked import attempt, expected, fail, finish, history, make_cell, run_of, runs_of, train

pytestmark = pytest.mark.slow


def test_a_failure_is_recorded_and_forgotten_when_the_cell_runs_again(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    attempt(cell, 1)
    fail(cell, attempt=1)
    tracking.sync([cell], uri)
    run = run_of(client, cell)
    assert (run.info.status, run.data.tags[keys.ERROR]) == ("FAILED", "out of memory")
    attempt(cell, 2)
    tracking.sync([cell], uri)
    run = run_of(client, cell)
    assert run.info.status == "RUNNING"
    assert keys.ERROR not in run.data.tags
    finish(cell)
    tracking.sync([cell], uri)
    assert run_of(client, cell).info.status == "FINISHED"


def test_a_failure_before_any_attempt_counts(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    fail(cell, attempt=0, error="no such data set")
    tracking.sync([cell], uri)
    run = run_of(client, cell)
    assert (run.info.status, run.data.tags[keys.ERROR]) == ("FAILED", "no such data set")


def test_a_cell_that_has_not_started_makes_no_run(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    CellFolder(cell).journal_file.unlink()
    report = tracking.sync([cell, tmp_path / "no-such-cell"], uri)
    assert (report.waiting, report.created) == (2, 0)
    assert runs_of(client, cell) == []


BROKEN = {
    "empty": b"",
    "cut": b'{"signature": "0123',
    "a list": b"[1, 2]\n",
    "of another version": b'{"version": 99}\n',
    "not UTF-8": b'{"version": "\xff\xfe"}\n',
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return make_cell(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize(
    ("name", "how"),
    [
        (name, how)
        for name in ("identity", "result", "failure", "config")
        for how in BROKEN
        if (name, how) != ("config", "of another version")  # it has none
    ],
)
def test_a_broken_record_is_named_and_keeps_no_other_cell_out(tmp_path, uri, client, sound, name, how):
    broken = make_cell(tmp_path)
    path = getattr(CellFolder(broken), f"{name}_file")
    path.write_bytes(BROKEN[how])
    for _ in range(2):  # and is so again, until it is mended
        report = tracking.sync([broken, sound], uri, force=True)
        (problem,) = report.damaged
        assert report.problems == []
        assert problem.startswith(f"not synced: {path} ")
        assert problem.count(":") == 2, "what is wrong, and what to do"
        assert report.created + report.updated == 1
    assert runs_of(client, broken) == []
    path.unlink()
    if name != "identity":
        assert tracking.sync([broken, sound], uri).problems == []
        run_of(client, broken)


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_attempt_is_one_of_an_unknown_host(tmp_path, uri, client, how):
    cell = make_cell(tmp_path)
    attempt(cell, 1, host="node1")
    attempt(cell, 2, host="node2").write_bytes(BROKEN[how])
    assert tracking.sync([cell], uri).problems == []
    tags = run_of(client, cell).data.tags
    assert (tags[keys.ATTEMPT], tags[keys.HOST]) == ("2", "an unknown host")


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_sync_cache_is_made_anew(tmp_path, uri, client, how):
    cell = make_cell(tmp_path)
    train(cell, range(3))
    tracking.sync([cell], uri)
    CellFolder(cell).sync_cache_file.write_bytes(BROKEN[how])
    report = tracking.sync([cell], uri)
    assert (report.updated, report.points, report.problems) == (1, 0, [])
    for entry in ("7", '{"run_id": 1}', '{"version": 99}'):
        CellFolder(cell).sync_cache_file.write_text(f'{{"{uri}": {entry}}}')
        assert tracking.sync([cell], uri).updated == 1
    assert tracking.sync([cell], uri).unchanged == 1
    assert history(client, cell) == expected(range(3))


@pytest.mark.parametrize("how", BROKEN)
def test_a_journal_without_a_line_is_named_and_one_that_was_cut_is_not(tmp_path, uri, client, sound, how):
    cell = make_cell(tmp_path)
    finish(cell)
    path = CellFolder(cell).journal_file
    path.write_bytes(BROKEN[how])
    problems = tracking.sync([cell, sound], uri).damaged
    if b"\n" not in BROKEN[how]:  # a first line that never came
        assert problems == []
        assert run_of(client, cell).info.status == "FINISHED"
    else:
        assert problems == [
            f"not synced: {path} has lines, and none is one of a journal: remove it; its numbers are lost."
        ]
        assert runs_of(client, cell) == []


@pytest.mark.parametrize(
    "line", ['{"time": "noon", "kind": "event", "event": "a"}', '{"time": 1, "kind": "event"}', "3"]
)
def test_a_line_that_is_none_of_a_journal_is_left_out(tmp_path, uri, client, line):
    cell = make_cell(tmp_path)
    with open(CellFolder(cell).journal_file, "a") as journal:
        journal.write(line + "\n")
    train(cell, range(3))
    assert tracking.sync([cell], uri).problems == []
    assert history(client, cell) == expected(range(3))


def test_a_sweep_is_not_finished_while_a_cell_of_it_cannot_be_read(tmp_path, uri, client):
    cells = [make_cell(tmp_path) for _ in range(2)]
    for cell in cells:
        finish(cell)
    whole = CellFolder(cells[1]).result_file.read_bytes()
    for content, status in ((BROKEN["cut"], "KILLED"), (whole, "FINISHED")):
        CellFolder(cells[1]).result_file.write_bytes(content)
        tracking.sync(cells, uri, "partly")
        experiment = client.get_experiment_by_name(keys.EXPERIMENT).experiment_id
        (sweep,) = client.search_runs([experiment], f"tags.`{keys.SWEEP_RUN}` = 'partly'")
        assert sweep.info.status == status


def test_a_record_of_another_cell_is_named(tmp_path, uri, client):
    cell, other = make_cell(tmp_path), make_cell(tmp_path)
    finish(other)
    CellFolder(cell).result_file.write_bytes(CellFolder(other).result_file.read_bytes())
    (problem,) = tracking.sync([cell, other], uri).damaged
    assert f"is of the cell {other.name}" in problem


def test_nan_and_names_that_mlflow_refuses(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    with Journal(CellFolder(cell).journal_file) as log:
        log.metrics(1, {"iou(a+b)[0]": 5, "loss/supervised": float("nan")})
    assert tracking.sync([cell], uri).problems == []
    assert history(client, cell, "iou_a_b__0_") == [(1, 5.0)]
    ((_, value),) = history(client, cell)
    assert math.isnan(value)


def test_a_cell_run_anew_from_nothing_gets_a_run_of_its_own(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    train(cell, range(10))
    tracking.sync([cell], uri)
    old = CellFolder(cell).journal_file.read_bytes()
    CellFolder(cell).journal_file.unlink()
    with Journal(CellFolder(cell).journal_file) as log:
        log.metrics(0, {"loss/supervised": 9.0})
    tracking.sync([cell], uri)
    assert history(client, cell) == [(0, 9.0)]
    CellFolder(cell).journal_file.write_bytes(old)  # another machine's folder, with the earlier attempt
    assert "later" in tracking.sync([cell], uri).problems[0]
    assert history(client, cell) == [(0, 9.0)]


def test_a_deleted_run_is_made_again(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    train(cell, range(4))
    tracking.sync([cell], uri)
    client.delete_run(run_of(client, cell).info.run_id)
    assert tracking.sync([cell], uri).created == 1
    assert history(client, cell) == expected(range(4))


@pytest.mark.parametrize("remembered", [0, 4, 7])
def test_cells_are_found_again_page_by_page(tmp_path, uri, monkeypatch, remembered):
    monkeypatch.setattr(tracking, "_PAGE", 3)
    cells = [make_cell(tmp_path, seed=i) for i in range(7)]
    assert tracking.sync(cells, uri).created == 7
    for cell in cells[remembered:]:
        CellFolder(cell).sync_cache_file.unlink()
    report = tracking.sync(cells, uri, force=True)
    assert (report.created, report.updated, report.problems) == (0, 7, [])


def test_nothing_new_does_not_import_mlflow(tmp_path, uri):
    cells = [make_cell(tmp_path, seed=i) for i in range(12)]
    for cell in cells:
        finish(cell)
    tracking.sync(cells, uri, "shapes")
    code = (
        "import sys\nfrom gta.tracking.sync import sync\nreport = sync(sys.argv[2:], sys.argv[1], 'shapes')\n"
        "assert report.unchanged == 12 and not report.problems, report\n"
        "assert not {'mlflow', 'sqlalchemy', 'torch', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, uri, *map(str, cells)], check=True)


def test_two_syncs_at_once_on_no_store_yet_make_one_run_a_cell(tmp_path):
    uri = f"sqlite:///{tmp_path}/runs/mlflow.db"
    cells = [make_cell(tmp_path, seed=i) for i in range(5)]
    for cell in cells:
        train(cell, range(50))
    code = (
        "import sys\nfrom gta.tracking.sync import sync\n"
        "report = sync(sys.argv[2:], sys.argv[1], 'x', force=True)\n"
        "print(report)\nsys.exit(bool(report.problems))"
    )
    command = [sys.executable, "-c", code, uri, *map(str, cells)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    texts = [process.communicate()[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    for text in texts:  # and MLflow is quiet; who waits for the other for long says so, on a machine that is slow
        said = [line for line in text.splitlines() if not line.startswith("Waiting for ")]
        assert len(said) == 1, texts
    client = store.connect(uri)
    for cell in cells:
        assert history(client, cell) == expected(range(50))


def hang_up(server: socket.socket, calls: list[socket.socket]) -> None:
    with suppress(OSError):
        while True:
            calls.append(server.accept()[0])
            calls[-1].close()


def test_a_store_that_is_down_is_told_and_loses_nothing(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    train(cell, range(3))
    with socket.create_server(("127.0.0.1", 0)) as server:  # hangs up on everybody
        calls: list[socket.socket] = []
        down = f"http://127.0.0.1:{server.getsockname()[1]}"
        threading.Thread(target=hang_up, args=(server, calls), daemon=True).start()
        (problem,) = tracking.sync([cell], down).problems
        assert len(calls) <= 3, "MLflow by itself tries eight times, for four minutes"
    assert down in problem
    assert "\n" not in problem
    assert tracking.sync([cell], uri).points == 6
    assert history(client, cell) == expected(range(3))


def test_a_store_that_is_no_store_is_told(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is no database, " * 100)
    cell = make_cell(tmp_path)
    (problem,) = tracking.sync([cell], f"sqlite:///{tmp_path}/mlflow.db").problems
    assert "mlflow.db" in problem


def test_a_writer_that_was_stopped_is_named_and_the_journals_keep_everything(tmp_path, empty_store, monkeypatch):
    monkeypatch.setattr("gta.locks.STOPPED_SECONDS", 0.1)
    path = Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))
    cell = make_cell(tmp_path)
    with held("lock", tmp_path / "mlflow.db.lock") as other:
        (problem,) = tracking.sync([cell], f"sqlite:///{path}").problems
        assert f"(process {other.pid} on " in problem
        assert f"`kill -CONT {other.pid}` lets it go on" in problem
        assert problem.endswith(tracking.LATER)
    assert tracking.sync([cell], f"sqlite:///{path}").created == 1


def test_a_store_that_is_locked_or_no_file_is_told_before_mlflow_tries_for_minutes(tmp_path, empty_store, monkeypatch):
    monkeypatch.setattr(sqlite_schema, "SECONDS", 0.1)
    path = Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))
    cell, uri = make_cell(tmp_path), f"sqlite:///{path}"
    with monkeypatch.context() as nothing, held("store", path):
        nothing.setattr("mlflow.tracking.MlflowClient", None)
        (problem,) = tracking.sync([cell], uri).problems
        assert f"store {path} has been locked for more than " in problem
        with held("lock", tmp_path / "mlflow.db.lock") as other, pytest.raises(UserError) as refused:
            runs.load(uri)  # a table takes no lock, and knows who has it
        assert re.search(rf" has been locked by .* \(process {other.pid} on ", str(refused.value))
        assert f"which is stopped: `kill -CONT {other.pid}` lets it go on" in str(refused.value)
    assert tracking.sync([cell], uri).created == 1
    path.unlink()
    path.mkdir()
    with monkeypatch.context() as nothing:
        nothing.setattr("mlflow.tracking.MlflowClient", None)
        (problem,) = tracking.sync([cell], uri).problems
        assert f"store {path} is a folder: move it away" in problem
        with pytest.raises(UserError, match="is a folder: move it away"):
            runs.load(uri)


@pytest.mark.parametrize("uri", ["runs/mlruns", "file:///tmp/mlruns", "sqlite://", "mlflow.db"])
def test_a_uri_that_cannot_be_written_to_is_refused(uri):
    with pytest.raises(UserError, match="sqlite:///FILE"):
        tracking.sync([], uri)


def test_a_sweep_name_that_cannot_be_a_tag_is_refused(uri):
    with pytest.raises(UserError, match="sweep name"):
        tracking.sync([], uri, "a+b")


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install psycopg2-binary"):
        tracking.sync([], "postgresql://me@host/gta")
