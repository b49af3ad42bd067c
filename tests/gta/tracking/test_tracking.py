"""Journals arrive in MLflow, each point once, whatever happened before. A real MLflow on one SQLite store."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from analysis import runs
from gta.cellfolder import CellFolder, NewOrder, Orders, Result
from gta.data.lists import digest
from gta.files import write_json, write_text
from gta.journal import CUT_BACK, Journal, read
from gta.tracking import keys
from gta.tracking import sync as tracking
from gta.tracking.cell import TrackedCell
from tests.helpers.tracked import CLASSES, VAL, evaluated, expected, finish, history, in_tags, make_cell, run_of, train
from tests.helpers.works import whole, works

LISTS = ("labeled", "unlabeled", "val")


def test_a_finished_cell_is_one_complete_run(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    train(cell, range(0, 2500), "finished")  # more points than one call takes
    finish(cell)
    with works() as kept:
        report = tracking.sync([cell], uri, "shapes")
    assert whole(kept) == {"writing cells to MLflow": 1}
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
    iou = {name: value for name, value in run.data.metrics.items() if name.startswith(keys.CLASS_IOU)}
    assert iou == {"iou/background": 90.0, "iou/disc_ round": 50.12345}, "the third class is absent"
    lists = {(one.dataset.name, one.dataset.digest): in_tags(one)[keys.CONTEXT] for one in run.inputs.dataset_inputs}
    digests = {"labeled": "a" * 36, "unlabeled": "b" * 36, "val": digest(VAL)[:36]}
    assert lists == {(f"shapes {n}", digests[n]): n for n in LISTS}
    written = read(CellFolder(cell).journal_file)
    assert run.info.start_time == round(written[0]["time"] * 1000)
    times = [p.timestamp for p in client.get_metric_history(run.info.run_id, "lr")]
    assert min(times) == round(written[1]["time"] * 1000)  # the journal's clock, not the sync's


def test_an_evaluation_that_the_folder_no_longer_has_is_none_of_the_run(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    finish(cell)
    gone, kept = evaluated(cell), evaluated(cell, network="student")
    tracking.sync([cell], uri)
    assert {keys.EVALUATED + one.name for one in (gone, kept)} <= run_of(client, cell).data.tags.keys()
    for path in CellFolder(cell).evaluations_folder.glob(f"{gone.name}.*"):
        path.unlink()
    tracking.sync([cell], uri)
    tags = run_of(client, cell).data.tags
    assert [name for name in tags if name.startswith(keys.EVALUATED)] == [keys.EVALUATED + kept.name]
    assert tags["gta.headline"] == "teacher", "what stays is left alone"


def test_an_evaluation_that_cannot_be_read_for_now_stays_in_the_run(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    finish(cell)
    made = evaluated(cell)
    tracking.sync([cell], uri)
    path = CellFolder(cell).evaluation_file(made.name)
    content = path.read_bytes()
    path.unlink()
    path.symlink_to(path.name)  # the system gives nothing, as of a file server that does not answer
    other = make_cell(tmp_path)
    report = tracking.sync([cell, other], uri)
    (problem,) = report.damaged
    assert report.created == 1, "of the other cell"
    assert f"{path} cannot be read (" in problem
    assert keys.EVALUATED + made.name in run_of(client, cell).data.tags
    path.unlink()
    path.write_bytes(content)
    assert tracking.sync([cell], uri).damaged == []
    path.write_text("{")
    assert tracking.sync([cell], uri).damaged == []
    assert keys.EVALUATED + made.name not in run_of(client, cell).data.tags, "a damaged one counts as absent"


def test_every_version_of_timm_that_made_a_network_is_told(tmp_path):
    cell = make_cell(tmp_path)
    with Journal(CellFolder(cell).journal_file) as log:
        log.event("started", iteration=0, timm="1.0.9")
        log.event("resumed", iteration=4, timm="1.0.9")
        log.event("resumed", iteration=8, timm="1.0.27")
    assert TrackedCell.read(CellFolder(cell)).tags()[keys.TIMM] == "1.0.9, 1.0.27"
    assert keys.TIMM not in TrackedCell.read(CellFolder(make_cell(tmp_path))).tags()


def test_an_evaluation_that_somebody_changed_in_mlflow_costs_no_table(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    finish(cell)
    hurt, kept = evaluated(cell), evaluated(cell, network="student")
    tracking.sync([cell], uri)
    run_id = run_of(client, cell).info.run_id
    for text in ("{", "[1]", '{"network": "teacher"}'):
        client.set_tag(run_id, keys.EVALUATED + hurt.name, text)
        found = runs.load(uri, [cell.name]).set_index("network")["evaluations"]
        assert [one["miou"] for one in found["student"]] == [kept.miou]
        assert found["teacher"] == []


def test_config_and_result_are_artifacts_beside_the_store(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    finish(cell)
    tracking.sync([cell], uri)
    run = run_of(client, cell)
    assert {item.path for item in client.list_artifacts(run.info.run_id)} == {"config.yaml", "cell.json", keys.RESULT}
    sent = Path(run.info.artifact_uri.removeprefix("file://")) / keys.RESULT
    assert Result.read(sent) == CellFolder(cell).result()
    assert json.loads(run.data.tags["gta.iou.teacher"]) == [90.0, 50.1234, None]
    assert Path(uri.removeprefix("sqlite:///")).parent in sent.parents


def test_syncing_again_changes_nothing(tmp_path, uri, client):
    cell = make_cell(tmp_path)
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
    cell = make_cell(tmp_path)
    train(cell, range(10))
    assert tracking.sync([cell], uri).points == 20
    assert run_of(client, cell).info.status == "RUNNING"
    train(cell, range(10, 13), "stopped")
    assert tracking.sync([cell], uri).points == 6
    assert run_of(client, cell).info.status == "KILLED"
    with Journal(CellFolder(cell).journal_file) as log:
        log.event("resumed")
    tracking.sync([cell], uri)
    assert run_of(client, cell).info.status == "RUNNING"
    train(cell, range(13, 14), "finished")
    finish(cell)
    assert tracking.sync([cell], uri).points == 2
    assert run_of(client, cell).info.status == "FINISHED"
    assert history(client, cell) == expected(range(14))


def test_of_iterations_done_twice_after_a_kill_the_first_counts(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    train(cell, range(10))
    tracking.sync([cell], uri)
    with Journal(CellFolder(cell).journal_file) as log:
        log.event("resumed")
        for i in range(5, 15):
            log.metrics(i, {"loss/supervised": 100.0 + i})
    assert tracking.sync([cell], uri).points == 5
    assert history(client, cell) == expected(range(10)) + [(i, 100.0 + i) for i in range(10, 15)]


def test_a_torn_line_in_the_middle_is_no_matter(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    train(cell, range(5))
    path = CellFolder(cell).journal_file
    path.write_bytes(path.read_bytes()[:-10])
    assert tracking.sync([cell], uri).points == 8
    train(cell, range(4, 6))
    tracking.sync([cell], uri)
    assert history(client, cell) == expected(range(6))


@pytest.mark.parametrize("cursor", ["0", "7", None])
def test_a_kill_between_the_points_and_the_cursor_sends_nothing_twice(tmp_path, uri, client, cursor):
    cell = make_cell(tmp_path)
    train(cell, range(20))
    finish(cell)
    tracking.sync([cell], uri)
    # As the kill leaves it: the points are there, the cursor is behind, nothing is remembered.
    run_id = run_of(client, cell).info.run_id
    if cursor is None:
        client.delete_tag(run_id, keys.CURSOR)
    else:
        client.set_tag(run_id, keys.CURSOR, cursor)
    CellFolder(cell).sync_cache_file.unlink()
    assert tracking.sync([cell], uri).problems == []
    for name in ("loss/supervised", "lr"):
        assert Counter(i for i, _ in history(client, cell, name)) == Counter(range(20))
    assert history(client, cell, "val/teacher/miou_last") == [(800, 70.0)]
    assert run_of(client, cell).data.tags[keys.CURSOR] == "40"


def test_artifacts_of_the_last_evaluation_are_sent_once_and_again_when_they_change(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    folder = CellFolder(cell).artifacts_folder
    write_json(folder / "confusion.json", {"matrix": [[1, 0], [0, 1]]})
    write_text(folder / "images/0_a.png", "one")
    write_text(folder / "images/.0_a.png.tmp", "half a file")
    tracking.sync([cell], uri)
    run_id = run_of(client, cell).info.run_id
    names = {item.path for item in client.list_artifacts(run_id)}
    assert names == {"config.yaml", "cell.json", "confusion.json", "images"}
    assert [item.path for item in client.list_artifacts(run_id, "images")] == ["images/0_a.png"]
    sent = Path(client.download_artifacts(run_id, "confusion.json"))
    before = sent.stat().st_mtime_ns
    write_text(folder / "images/0_a.png", "two")
    tracking.sync([cell], uri)
    assert Path(client.download_artifacts(run_id, "images/0_a.png")).read_text() == "two"
    assert sent.stat().st_mtime_ns == before


def test_points_that_a_run_was_cut_back_from_leave_mlflow(tmp_path, uri, client):
    """The run is made anew with those that count, also where they were sent before; its words say the order."""
    cell = make_cell(tmp_path)
    train(cell, range(0, 8))
    tracking.sync([cell], uri, "shapes")
    Orders(orders=[NewOrder(number=1, iteration=4), NewOrder(number=2)]).write(CellFolder(cell).order_file)
    with Journal(CellFolder(cell).journal_file) as log:
        log.event("resumed", iteration=4)
        log.event(CUT_BACK, iteration=4)
        log.metrics(5, {"loss/supervised": 50.0})
    tracking.sync([cell], uri, "shapes")
    assert history(client, cell) == sorted([*expected(range(5)), (5, 50.0)])
    with Journal(CellFolder(cell).journal_file) as log:
        log.metrics(6, {"loss/supervised": 60.0})
    report = tracking.sync([cell], uri, "shapes")
    assert (report.created, report.points, report.problems) == (0, 1, [])
    assert history(client, cell) == sorted([*expected(range(5)), (5, 50.0), (6, 60.0)])
    assert run_of(client, cell).data.tags["gta.order"] == "order 1 from iteration 4"
    finish(cell)  # killed before a step with the second order, say: none of its batches counts
    tracking.sync([cell], uri, "shapes")
    assert "gta.order" not in TrackedCell.read(CellFolder(cell)).tags()


def test_a_cut_back_by_a_clock_that_was_set_back_reaches_mlflow(tmp_path, uri, client, monkeypatch):
    cell = make_cell(tmp_path)
    train(cell, range(0, 8))
    for clock, iteration, value in ((2e9, 4, 50.0), (1e9, 3, 40.0)):
        tracking.sync([cell], uri, "shapes")
        with Journal(CellFolder(cell).journal_file) as log, monkeypatch.context() as then:
            then.setattr("time.time", lambda now=clock: now)
            log.event(CUT_BACK, iteration=iteration)
            log.metrics(iteration + 1, {"loss/supervised": value})
    report = tracking.sync([cell], uri, "shapes")
    assert report.problems == []
    assert history(client, cell) == sorted([*expected(range(4)), (4, 40.0)])
    assert tracking.sync([cell], uri, "shapes").problems == []
