"""Journals arrive in MLflow, each point once, whatever happened before. A real MLflow on one SQLite store."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from pathlib import Path

import pytest
import torch
from mlflow.entities import DatasetInput
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND
from mlflow.tracking import MlflowClient

from gta.cellfolder import Attempt, CellFolder, NewOrder, Orders, Result
from gta.files import write_json, write_text
from gta.journal import CUT_BACK, Journal, read
from gta.provenance.environment import environment
from gta.tracking import keys
from gta.tracking import sync as tracking
from gta.tracking.cell import TrackedCell
from gta.tracking.tags import gpu, started_by
from tests.helpers.tracked import CLASSES, attempt, expected, fail, finish, history, make_cell, run_of, train
from tests.helpers.works import whole, works

LISTS = ("labeled", "unlabeled", "val")


def in_tags(one: DatasetInput) -> dict[str, str]:
    return {tag.key: tag.value for tag in one.tags}


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
    assert lists == {(f"shapes {n}", n[0].replace("l", "a").replace("u", "b").replace("v", "c") * 36): n for n in LISTS}
    written = read(CellFolder(cell).journal_file)
    assert run.info.start_time == round(written[0]["time"] * 1000)
    times = [p.timestamp for p in client.get_metric_history(run.info.run_id, "lr")]
    assert min(times) == round(written[1]["time"] * 1000)  # the journal's clock, not the sync's


def test_lists_that_cells_share_say_no_other_cells_split(tmp_path, uri, client):
    """MLflow keeps one data set for all runs of an experiment; each run has its own split and family."""
    splits = [("1_50", "seed0", "a"), ("1_25", "seed0", "d"), ("8", "cps", "a")]
    digests = [{"labeled": labeled * 64, "unlabeled": "b" * 64, "val": "c" * 64} for *_, labeled in splits]
    cells = [
        make_cell(tmp_path, split=split, split_family=family, digests=of)
        for (split, family, _), of in zip(splits, digests, strict=True)
    ]
    assert tracking.sync(cells, uri).problems == []
    for cell, (split, family, labeled) in zip(cells, splits, strict=True):
        inputs = {in_tags(one)[keys.CONTEXT]: one for one in run_of(client, cell).inputs.dataset_inputs}
        own = {"split": split, "split_family": family}
        assert {name: {k: v for k, v in in_tags(one).items() if k in own} for name, one in inputs.items()} == {
            "labeled": own, "unlabeled": own, "val": {},
        }  # fmt: skip
        source = json.loads(inputs["labeled"].dataset.source)
        assert source == {"dataset": "shapes", "sha256": labeled * 64}
        assert json.loads(inputs["val"].dataset.source) == {"dataset": "shapes", "sha256": "c" * 64}


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


def test_a_cell_of_two_sweeps_is_one_run_with_two_tags(tmp_path, uri, client):
    cell = make_cell(tmp_path)
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
    cells = [make_cell(tmp_path, seed=seed) for seed in range(3)]
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
    assert first.info.end_time == round(max(CellFolder(cell).result().finished for cell in cells) * 1000)


def test_a_sweeps_own_run_keeps_the_order_of_its_rows_whatever_part_was_synced(tmp_path, uri, client):
    cells = [make_cell(tmp_path, seed=seed) for seed in range(3)]
    for cell in cells:
        finish(cell)

    def told(part: list, rows: list[str]) -> list[str]:
        assert tracking.sync(part, uri, "ordered", rows=rows).problems == []
        return keys.rows_of(sweep_run(client, "ordered"))

    assert told(cells[2:], ["gta"]) == ["gta"], "a part comes first"
    assert told(cells, ["supervised", "cps", "gta"]) == ["supervised", "cps", "gta"], "then the whole"
    assert told(cells[1:], ["gta", "cps"]) == ["supervised", "cps", "gta"], "a part moves none"
    assert told(cells[2:], ["gta", "own"]) == ["supervised", "cps", "gta", "own"]
    assert told(cells, ["cps", "supervised", "gta", "own"])[:2] == ["cps", "supervised"], "another order of the sweep"
    assert tracking.sync(cells, uri, "ordered", rows=["cps", "supervised", "gta", "own"]).updated == 0


def test_a_cell_knows_its_sweep_by_itself(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    write_text(CellFolder(cell).config_file, "seed: 0\nsweep_name: own\n")
    tracking.sync([cell], uri)  # as `sync` without a sweep does, after the launcher died
    tags = run_of(client, cell).data.tags
    assert (tags["gta.sweep.own"], tags["mlflow.parentRunId"]) == ("1", sweep_run(client, "own").info.run_id)


def test_a_run_left_by_a_dead_process_is_closed_as_what_it_was(tmp_path, uri, client):
    stopped, failed, alive = (make_cell(tmp_path) for _ in range(3))
    cells = [stopped, failed, alive]
    for cell in cells:
        attempt(cell, 1, host="node1", pid=1)
        train(cell, range(3))
    tracking.sync(cells, uri, "dead", alive=lambda folder: True)
    assert [run_of(client, cell).info.status for cell in cells] == ["RUNNING"] * 3
    fail(failed, attempt=1)
    report = tracking.sync(cells, uri, "dead", alive=lambda folder: folder == alive)
    assert (report.updated, report.unchanged) == (2, 1)
    assert [run_of(client, cell).info.status for cell in cells] == ["KILLED", "FAILED", "RUNNING"]
    assert run_of(client, stopped).info.end_time == round(read(CellFolder(stopped).journal_file)[-1]["time"] * 1000)
    assert sweep_run(client, "dead").info.status == "RUNNING"
    # a later attempt that dies before its first word is no failure: the failure was of the one before
    attempt(failed, 2, host="node2", pid=1)
    tracking.sync(cells, uri, "dead", alive=lambda folder: False)
    assert [run_of(client, cell).info.status for cell in cells] == ["KILLED"] * 3
    assert sweep_run(client, "dead").info.status == "KILLED"


def test_the_latest_attempt_says_who_where_and_by_which_code(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    attempt(cell, 1, host="node1", job="12")
    found = {"commit": "abc", "dirty": True, "gpus": [], "user": "ada"}
    latest = attempt(cell, 2, host="node2", node="node2", job="13_4", environment=found)
    CellFolder(cell).checkpoint_file.touch()
    tracking.sync([cell], uri)
    tags = run_of(client, cell).data.tags
    assert {name: tags[f"gta.{name}"] for name in ("attempt", "host", "job", "gpu", "commit", "dirty")} == {
        "attempt": "2",
        "host": "node2",
        "job": "13_4",
        "gpu": "none",
        "commit": "abc",
        "dirty": "true",
    }
    own = ("user", "source.name", "source.type", "source.git.commit")
    assert [tags[f"mlflow.{name}"] for name in own] == ["ada", "gta train", "JOB", "abc"]
    assert tags["gta.checkpoint"] == str(CellFolder(cell).checkpoint_file)
    os.utime(latest)  # the heartbeat is no news
    assert tracking.sync([cell], uri).unchanged == 1


@pytest.mark.parametrize(
    ("job", "node", "kind"), [("13_4", "n1", "JOB"), ("4711", None, "LOCAL"), (None, None, "LOCAL")]
)
def test_only_a_job_of_slurm_is_a_job_in_mlflow(job, node, kind):
    """The local launcher's is the number of a process."""
    assert started_by(None, Attempt(number=1, job=job, node=node))[keys.SOURCE_TYPE] == kind


def test_code_and_gpus_are_those_that_an_attempt_finds(tmp_path, uri, client, monkeypatch):
    """Of a node with two kinds of GPU; the rest of the record is that of this machine."""
    names = ["NVIDIA A100-SXM4-80GB", "NVIDIA A100-SXM4-80GB", "NVIDIA H200"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", names.__getitem__)
    found = environment()
    assert "problems" not in found
    cell = make_cell(tmp_path)
    attempt(cell, 1, host=found["host"], environment=found)
    assert tracking.sync([cell], uri).problems == []
    tags = run_of(client, cell).data.tags
    assert tags["gta.gpu"] == "NVIDIA A100-SXM4-80GB, NVIDIA H200"
    assert tags["gta.host"] == socket.gethostname()
    assert tags.get("gta.commit") == found["commit"]
    assert tags["gta.dirty"] == str(found["dirty"]).lower()


@pytest.mark.parametrize(
    ("start", "seen", "told"),
    [
        ({"device": "cuda:0", "gpu": "NVIDIA H200"}, ["NVIDIA A100", "NVIDIA H200"], "NVIDIA A100, NVIDIA H200"),
        ({"device": "cuda:0", "gpu": "NVIDIA H200"}, None, "NVIDIA H200"),  # no attempt, or one that could not ask
        ({"device": "cuda:0", "gpu": "NVIDIA H200"}, [], "NVIDIA H200"),
        ({"device": "cuda:0"}, None, "unknown"),  # of an older version
        ({"device": "cpu"}, ["NVIDIA H200"], "none"),  # the machine has one that was not used
        ({"device": "cpu"}, None, "none"),
        ({}, None, ""),
    ],
)
def test_the_gpu_is_the_one_that_the_cell_trained_on(start, seen, told):
    records = [{"time": 1.0, "kind": "event", "event": "resumed", "iteration": 0, **start}]
    latest = None if seen is None else Attempt(number=1, environment={"gpus": seen})
    assert gpu(records, latest) == told


def test_the_log_of_a_cell_that_is_over_is_sent_without_passwords_and_again_when_it_grew(tmp_path, uri, client):
    cell, log = make_cell(tmp_path), tmp_path / "7_0_log.out"
    attempt(cell, 1, log=str(log))
    log.write_text("cloning https://me:hunter2@host\n")
    tracking.sync([cell], uri, alive=lambda folder: True)
    run_id = run_of(client, cell).info.run_id
    assert keys.LOG not in {item.path for item in client.list_artifacts(run_id)}, "it grows with every line"
    finish(cell)
    tracking.sync([cell], uri)

    def sent() -> Path:
        return Path(client.download_artifacts(run_id, keys.LOG))

    assert sent().read_text() == "cloning https://***@host\n"
    before = sent().stat().st_mtime_ns
    train(cell, range(2))
    assert tracking.sync([cell], uri).updated == 1
    assert sent().stat().st_mtime_ns == before, "it is the same log"
    log.write_text("more\n")
    attempt(cell, 1, log=str(log), ended="done")
    tracking.sync([cell], uri)
    assert sent().read_text() == "more\n"
    log.unlink()
    assert tracking.sync([cell], uri, force=True).problems == []


@pytest.mark.parametrize("error", [MlflowException("no such page", error_code=ENDPOINT_NOT_FOUND), None])
def test_a_server_of_before_data_sets_gets_everything_else(tmp_path, uri, client, monkeypatch, error):
    """And a server that has them gets them once."""
    asked = []
    real = MlflowClient.log_inputs

    def log_inputs(self, run_id, datasets):
        asked.append(len(datasets))
        if error:
            raise error
        real(self, run_id, datasets)

    monkeypatch.setattr(MlflowClient, "log_inputs", log_inputs)
    cell = make_cell(tmp_path)
    finish(cell)
    for _ in range(2):
        assert tracking.sync([cell], uri, force=True).problems == []
    assert run_of(client, cell).info.status == "FINISHED"
    assert asked == ([3, 3] if error else [3])


def test_classes_whose_names_mlflow_cannot_tell_apart_are_metrics_of_their_own():
    names = keys.class_metrics(["a, b", "a; b", "../x//y", " ", "été"])
    assert names == ["iou/a_ b", "iou/a_ b 1", "iou/.._x__y", "iou/3", "iou/été"]


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
