"""Journals arrive in MLflow, each point once, whatever happened before. A real MLflow on one SQLite store."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from gta import keys, stamps, store, tracking
from gta.errors import UserError
from gta.files import write_json, write_text
from gta.journal import Journal, read

CLASSES = ["background", "disc, round", "ring"]


@pytest.fixture(scope="module")
def uri(tmp_path_factory, empty_store):
    path = shutil.copy(empty_store, tmp_path_factory.mktemp("store") / "mlflow.db")
    store.create(f"sqlite:///{path}")
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def client(uri):
    return store.connect(uri)


def make_cell(folder: Path, seed: int = 0, method: str = "gta", **changes) -> Path:
    """A cell folder that has started; its signature is made from the folder's name."""
    signature = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    cell = {
        "signature": signature,
        "method": method,
        "label": method,
        "dataset": "shapes",
        "split": "1_64",
        "split_family": "seed0",
        "labels": 6,
        "unlabeled": 394,
        "val": 200,
        "ratio": "1/67",
        "seed": seed,
        "digests": {"labeled": "a" * 64, "unlabeled": "b" * 64, "val": "c" * 64, "weights": "random"},
        "params": {"schedule.lr": "0.1", "data.classes": str(CLASSES), "model.width": ""},
        "created": time.time(),
    }
    write_json(folder / "cell.json", cell | changes)
    write_text(folder / "config.yaml", "seed: 0\n")
    with Journal(folder / "journal.jsonl") as log:
        log.event("started")
    return folder


def train(folder: Path, iterations, event: str = "") -> None:
    with Journal(folder / "journal.jsonl") as log:
        for i in iterations:
            log.metrics(i, {"loss/supervised": 1 / (1 + i), "lr": 0.1})
        if event:
            log.event(event)


def finish(folder: Path, last: float = 70.0, best: float = 71.5) -> None:
    def scores(lift: float) -> dict:
        return {
            "last": {"iteration": 800, "miou": last + lift, "iou": [90.0, 50.12345, None]},
            "best": {"iteration": 600, "miou": best + lift, "iou": [91.0, 51.0, None]},
        }

    result = {
        "signature": signature_of(folder),
        "iteration": 800,
        "headline": "teacher",
        "evaluation": "original size",
        "classes": CLASSES,
        "networks": {"student": scores(-5), "teacher": scores(0)},
        "seconds": 12.5,
        "commit": "abcdef1234567890",
        "finished": time.time(),
    }
    write_json(folder / "result.json", result)


def signature_of(folder: Path) -> str:
    return json.loads((folder / "cell.json").read_text())["signature"]


def runs_of(client, folder: Path) -> list:
    experiment = client.get_experiment_by_name(keys.EXPERIMENT).experiment_id
    return list(client.search_runs([experiment], f"tags.`gta.signature` = '{signature_of(folder)}'"))


def run_of(client, folder: Path):
    (run,) = runs_of(client, folder)
    return run


def history(client, folder: Path, name: str = "loss/supervised") -> list[tuple[int, float]]:
    """What MLflow has stored of one metric: (iteration, value), sorted, doubles included."""
    points = client.get_metric_history(run_of(client, folder).info.run_id, name)
    return sorted((p.step, p.value) for p in points)


def expected(iterations) -> list[tuple[int, float]]:
    return [(i, 1 / (1 + i)) for i in iterations]


def test_a_finished_cell_is_one_complete_run(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    train(cell, range(0, 2500), "finished")  # more points than one call takes
    finish(cell)
    report = tracking.sync([cell], uri, "shapes")
    assert (report.created, report.points, report.problems) == (1, 5000, [])
    run = run_of(client, cell)
    assert run.info.status == "FINISHED"
    assert history(client, cell) == expected(range(2500))
    assert run.data.params == {"schedule.lr": "0.1", "data.classes": str(CLASSES), "model.width": ""}
    tags = run.data.tags
    assert {k: tags[f"gta.{k}"] for k in ("method", "labels", "ratio", "seed", "headline", "evaluation")} == {
        "method": "gta",
        "labels": "6",
        "ratio": "1/67",
        "seed": "0",
        "headline": "teacher",
        "evaluation": "original size",
    }
    assert tags["gta.digest.labeled"] == "a" * 64
    assert tags["gta.sweep.shapes"] == "1"
    assert run.data.metrics["val/teacher/miou_last"] == 70.0
    assert run.data.metrics["val/student/miou_best"] == 66.5
    assert run.data.metrics["miou_last"] == 70.0
    written = read(cell / "journal.jsonl")
    assert run.info.start_time == round(written[0]["time"] * 1000)
    times = [p.timestamp for p in client.get_metric_history(run.info.run_id, "lr")]
    assert min(times) == round(written[1]["time"] * 1000)  # the journal's clock, not the sync's


def test_config_and_per_class_iou_are_artifacts_beside_the_store(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    finish(cell)
    tracking.sync([cell], uri)
    run_id = run_of(client, cell).info.run_id
    names = {item.path for item in client.list_artifacts(run_id)}
    assert names == {"config.yaml", "cell.json", "result.json", "iou.csv"}
    text = Path(client.download_artifacts(run_id, "iou.csv")).read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["class"] for row in rows] == CLASSES
    assert [row["teacher_last"] for row in rows] == ["90.0", "50.12345", ""]
    assert (
        Path(uri.removeprefix("sqlite:///")).parent
        in Path(run_of(client, cell).info.artifact_uri.removeprefix("file://")).parents
    )


def test_syncing_again_changes_nothing(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    train(cell, range(10))
    finish(cell)
    tracking.sync([cell], uri)
    before = run_of(client, cell).to_dictionary()
    assert tracking.sync([cell], uri).unchanged == 1
    forced = tracking.sync([cell], uri, force=True)
    assert (forced.points, forced.created, forced.problems) == (0, 0, [])
    assert run_of(client, cell).to_dictionary() == before
    assert history(client, cell) == expected(range(10))
    assert history(client, cell, "val/teacher/miou_last") == [(800, 70.0)]


def test_a_growing_journal_sends_only_what_is_new(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    train(cell, range(10))
    assert tracking.sync([cell], uri).points == 20
    assert run_of(client, cell).info.status == "RUNNING"
    train(cell, range(10, 13), "stopped")
    assert tracking.sync([cell], uri).points == 6
    assert run_of(client, cell).info.status == "KILLED"
    with Journal(cell / "journal.jsonl") as log:
        log.event("resumed")
    tracking.sync([cell], uri)
    assert run_of(client, cell).info.status == "RUNNING"
    train(cell, range(13, 14), "finished")
    finish(cell)
    assert tracking.sync([cell], uri).points == 2
    assert run_of(client, cell).info.status == "FINISHED"
    assert history(client, cell) == expected(range(14))


def test_of_iterations_done_twice_after_a_kill_the_first_counts(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    train(cell, range(10))
    tracking.sync([cell], uri)
    with Journal(cell / "journal.jsonl") as log:
        log.event("resumed")
        for i in range(5, 15):
            log.metrics(i, {"loss/supervised": 100.0 + i})
    assert tracking.sync([cell], uri).points == 5
    assert history(client, cell) == expected(range(10)) + [(i, 100.0 + i) for i in range(10, 15)]


def test_a_torn_line_in_the_middle_is_no_matter(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    train(cell, range(5))
    path = cell / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    assert tracking.sync([cell], uri).points == 8
    train(cell, range(4, 6))
    tracking.sync([cell], uri)
    assert history(client, cell) == expected(range(6))


@pytest.mark.parametrize("cursor", ["0", "7", None])
def test_a_kill_between_the_points_and_the_cursor_sends_nothing_twice(tmp_path, uri, client, cursor):
    cell = make_cell(tmp_path / "cell")
    train(cell, range(20))
    finish(cell)
    tracking.sync([cell], uri)
    # As the kill leaves it: the points are there, the cursor is behind, the stamp is not written.
    run_id = run_of(client, cell).info.run_id
    if cursor is None:
        client.delete_tag(run_id, keys.CURSOR)
    else:
        client.set_tag(run_id, keys.CURSOR, cursor)
    (cell / stamps.NAME).unlink()
    assert tracking.sync([cell], uri).problems == []
    for name in ("loss/supervised", "lr"):
        assert Counter(i for i, _ in history(client, cell, name)) == Counter(range(20))
    assert history(client, cell, "val/teacher/miou_last") == [(800, 70.0)]
    assert run_of(client, cell).data.tags[keys.CURSOR] == "40"


def test_a_cell_of_two_sweeps_is_one_run_with_two_tags(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    train(cell, range(3))
    tracking.sync([cell], uri, "one")
    report = tracking.sync([cell], uri, ["two"])
    assert (report.created, report.points) == (0, 0)
    assert tracking.sync([cell], uri, ["one", "two"]).unchanged == 1
    tags = run_of(client, cell).data.tags
    assert (tags["gta.sweep.one"], tags["gta.sweep.two"]) == ("1", "1")


def sweep_run(client, name: str):
    experiment = client.get_experiment_by_name(keys.EXPERIMENT).experiment_id
    (run,) = client.search_runs([experiment], f"tags.`gta.sweep` = '{name}'")
    return run


def test_a_sweep_is_a_run_above_those_of_its_cells(tmp_path, uri, client):
    cells = [make_cell(tmp_path / str(seed), seed=seed) for seed in range(3)]
    tracking.sync(cells[:1], uri, "first")
    assert sweep_run(client, "first").info.status == "RUNNING"
    for cell in cells:
        finish(cell)
    tracking.sync(cells[1:], uri, "second")
    tracking.sync(cells, uri, ["first"], force=True)
    tracking.sync(cells[:2], uri, "second")
    first, second = sweep_run(client, "first"), sweep_run(client, "second")
    assert [run_of(client, cell).data.tags["mlflow.parentRunId"] for cell in cells] == [
        first.info.run_id,
        second.info.run_id,  # a cell of two sweeps stays below the one that had it first
        second.info.run_id,
    ]
    assert (first.info.status, first.info.run_name) == ("FINISHED", "first")
    ends = [json.loads((cell / "result.json").read_text())["finished"] for cell in cells]
    assert first.info.end_time == round(max(ends) * 1000)


def test_a_cell_knows_its_sweep_by_itself(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    write_text(cell / "config.yaml", "seed: 0\nsweep_name: own\n")
    tracking.sync([cell], uri)  # as `sync` without a sweep does, after the launcher died
    tags = run_of(client, cell).data.tags
    assert (tags["gta.sweep.own"], tags["mlflow.parentRunId"]) == ("1", sweep_run(client, "own").info.run_id)


def test_a_run_left_by_a_dead_process_is_closed_as_what_it_was(tmp_path, uri, client):
    stopped, failed, alive = (make_cell(tmp_path / name) for name in ("stopped", "failed", "alive"))
    cells = [stopped, failed, alive]
    for cell in cells:
        write_json(cell / "attempts/0001.json", {"host": "node1", "pid": 1})
        train(cell, range(3))
    tracking.sync(cells, uri, "dead", alive=lambda folder: True)
    assert [run_of(client, cell).info.status for cell in cells] == ["RUNNING"] * 3
    write_json(failed / "failure.json", {"attempt": 1, "error": "out of memory", "time": time.time()})
    report = tracking.sync(cells, uri, "dead", alive=lambda folder: folder == alive)
    assert (report.updated, report.unchanged) == (2, 1)
    assert [run_of(client, cell).info.status for cell in cells] == ["KILLED", "FAILED", "RUNNING"]
    assert run_of(client, stopped).info.end_time == round(read(stopped / "journal.jsonl")[-1]["time"] * 1000)
    assert sweep_run(client, "dead").info.status == "RUNNING"
    # a later attempt that dies before its first word is no failure: the failure was of the one before
    write_json(failed / "attempts/0002.json", {"host": "node2", "pid": 1})
    tracking.sync(cells, uri, "dead", alive=lambda folder: False)
    assert [run_of(client, cell).info.status for cell in cells] == ["KILLED"] * 3
    assert sweep_run(client, "dead").info.status == "KILLED"


def test_the_latest_attempt_says_who_where_and_by_which_code(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    write_json(cell / "attempts/0001.json", {"host": "node1", "job": "12"})
    attempt = {"host": "node2", "job": "13_4", "gpu": "H200", "commit": "abc", "dirty": True}
    write_json(cell / "attempts/0002.json", attempt)
    (cell / "checkpoint.pt").touch()
    tracking.sync([cell], uri)
    tags = run_of(client, cell).data.tags
    assert {name: tags[f"gta.{name}"] for name in ("attempt", "host", "job", "gpu", "commit", "dirty")} == {
        "attempt": "2",
        "host": "node2",
        "job": "13_4",
        "gpu": "H200",
        "commit": "abc",
        "dirty": "true",
    }
    assert tags["gta.checkpoint"] == str(cell / "checkpoint.pt")
    os.utime(cell / "attempts/0002.json")  # the heartbeat is no news
    assert tracking.sync([cell], uri).unchanged == 1
    (cell / "attempts/0002.json").write_text("{")  # a crash of the machine
    tracking.sync([cell], uri)
    assert run_of(client, cell).data.tags["gta.attempt"] == "2"


def test_artifacts_of_the_last_evaluation_are_sent_once_and_again_when_they_change(tmp_path, uri, client):
    cell = make_cell(tmp_path / "cell")
    write_json(cell / "artifacts/confusion.json", {"matrix": [[1, 0], [0, 1]]})
    write_json(cell / "artifacts/per_class_iou.json", {"iou": [1.0]})
    write_text(cell / "artifacts/images/0_a.png", "one")
    write_text(cell / "artifacts/images/.0_a.png.tmp", "half a file")
    tracking.sync([cell], uri)
    run_id = run_of(client, cell).info.run_id
    names = {item.path for item in client.list_artifacts(run_id)}
    assert names == {"config.yaml", "cell.json", "confusion.json", "per_class_iou.json", "images"}
    assert [item.path for item in client.list_artifacts(run_id, "images")] == ["images/0_a.png"]
    sent = Path(client.download_artifacts(run_id, "confusion.json"))
    before = sent.stat().st_mtime_ns
    write_text(cell / "artifacts/images/0_a.png", "two")
    tracking.sync([cell], uri)
    assert Path(client.download_artifacts(run_id, "images/0_a.png")).read_text() == "two"
    assert sent.stat().st_mtime_ns == before


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
        "import sys\nfrom gta.tracking import sync\nreport = sync(sys.argv[2:], sys.argv[1], 'shapes')\n"
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
        "import sys\nfrom gta.tracking import sync\n"
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
    assert time.perf_counter() - started < 100  # MLflow by itself tries for four minutes
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
