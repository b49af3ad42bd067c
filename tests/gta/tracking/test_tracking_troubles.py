"""Cells that failed, broke or began anew; stores that are down, wrong or shared. A real MLflow on one SQLite store."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import pytest

from gta.errors import UserError
from gta.files import write_json
from gta.journal import Journal
from gta.tracking import keys, store
from gta.tracking import sync as tracking
from gta.tracking import sync_cache as stamps
from tests.helpers.tracked import expected, finish, history, make_cell, run_of, runs_of, train


def test_a_failure_is_recorded_and_forgotten_when_the_cell_runs_again(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    write_json(cell / "failure.json", {"error": "out of memory", "time": time.time()})
    tracking.sync([cell], uri)
    run = run_of(client, cell)
    assert (run.info.status, run.data.tags[keys.ERROR]) == ("FAILED", "out of memory")
    with Journal(cell / "journal.jsonl") as log:
        log.event("resumed")
    tracking.sync([cell], uri)
    assert run_of(client, cell).info.status == "RUNNING"
    (cell / "failure.json").unlink()
    finish(cell)
    tracking.sync([cell], uri)
    run = run_of(client, cell)
    assert run.info.status == "FINISHED"
    assert keys.ERROR not in run.data.tags


def test_a_cell_that_has_not_started_makes_no_run(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    (cell / "journal.jsonl").unlink()
    report = tracking.sync([cell, tmp_path / "no-such-cell"], uri)
    assert (report.waiting, report.created) == (2, 0)
    assert runs_of(client, cell) == []


def test_a_broken_cell_does_not_keep_the_others_out(tmp_path, uri, client):
    broken, sound = make_cell(tmp_path / "broken"), make_cell(tmp_path / "sound")
    (broken / "cell.json").write_text('{"signature": ')
    report = tracking.sync([broken, sound], uri)
    assert report.created == 1
    (problem,) = report.problems
    assert "broken" in problem
    run_of(client, sound)


def test_nan_and_names_that_mlflow_refuses(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    with Journal(cell / "journal.jsonl") as log:
        log.metrics(1, {"iou(a+b)[0]": 5, "loss/supervised": float("nan")})
    assert tracking.sync([cell], uri).problems == []
    assert history(client, cell, "iou_a_b__0_") == [(1, 5.0)]
    ((_, value),) = history(client, cell)
    assert math.isnan(value)


def test_a_cell_run_anew_from_nothing_gets_a_run_of_its_own(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    train(cell, range(10))
    tracking.sync([cell], uri)
    old = (cell / "journal.jsonl").read_bytes()
    (cell / "journal.jsonl").unlink()
    with Journal(cell / "journal.jsonl") as log:
        log.metrics(0, {"loss/supervised": 9.0})
    tracking.sync([cell], uri)
    assert history(client, cell) == [(0, 9.0)]
    (cell / "journal.jsonl").write_bytes(old)  # another machine's folder, with the earlier attempt
    assert "later" in tracking.sync([cell], uri).problems[0]
    assert history(client, cell) == [(0, 9.0)]


def test_a_deleted_run_is_made_again(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    train(cell, range(4))
    tracking.sync([cell], uri)
    client.delete_run(run_of(client, cell).info.run_id)
    assert tracking.sync([cell], uri).created == 1
    assert history(client, cell) == expected(range(4))


@pytest.mark.parametrize("stamped", [0, 4, 7])
def test_cells_are_found_again_page_by_page(tmp_path, uri, monkeypatch, stamped):
    monkeypatch.setattr(tracking, "_PAGE", 3)
    cells = [make_cell(tmp_path / f"cell{i}", seed=i) for i in range(7)]
    assert tracking.sync(cells, uri).created == 7
    for cell in cells[stamped:]:
        (cell / stamps.NAME).unlink()
    report = tracking.sync(cells, uri, force=True)
    assert (report.created, report.updated, report.problems) == (0, 7, [])


def test_nothing_new_does_not_import_mlflow(tmp_path, uri):
    cells = [make_cell(tmp_path / f"cell{i}", seed=i) for i in range(12)]
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
    cells = [make_cell(tmp_path / f"cell{i}", seed=i) for i in range(5)]
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
    assert all(len(text.splitlines()) == 1 for text in texts), texts  # and MLflow is quiet
    client = store.connect(uri)
    for cell in cells:
        assert history(client, cell) == expected(range(50))


def test_a_store_that_is_down_is_told_and_loses_nothing(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    train(cell, range(3))
    started = time.perf_counter()
    (problem,) = tracking.sync([cell], "http://127.0.0.1:9").problems
    assert time.perf_counter() - started < 20  # MLflow by itself tries for four minutes
    assert "http://127.0.0.1:9" in problem
    assert "\n" not in problem
    assert tracking.sync([cell], uri).points == 6
    assert history(client, cell) == expected(range(3))


def test_a_store_that_is_no_store_is_told(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is no database, " * 100)
    cell = make_cell(tmp_path / "cell")
    (problem,) = tracking.sync([cell], f"sqlite:///{tmp_path}/mlflow.db").problems
    assert "mlflow.db" in problem


@pytest.mark.parametrize("uri", ["runs/mlruns", "file:///tmp/mlruns", "sqlite://", "mlflow.db"])
def test_a_uri_that_cannot_be_written_to_is_refused(uri):
    with pytest.raises(UserError, match="sqlite:///FILE"):
        tracking.sync([], uri)


def test_a_sweep_name_that_cannot_be_a_tag_is_refused(uri):
    with pytest.raises(UserError, match="sweep name"):
        tracking.sync([], uri, "a+b")


def test_a_password_is_neither_shown_nor_stored(tmp_path):
    cell = make_cell(tmp_path / "cell")
    uri = "postgresql://me:secret@127.0.0.1:9/gta"
    (problem,) = tracking.sync([cell], uri).problems
    assert "me:***@127.0.0.1" in problem
    assert "secret" not in problem
    stamps.write(cell, uri, run_id="1", files={}, sweeps=[])
    assert "secret" not in (cell / stamps.NAME).read_text()
    assert stamps.read(cell, uri)["run_id"] == "1"


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install psycopg2-binary"):
        tracking.sync([], "postgresql://me@host/gta")
