"""What a cell's run in MLflow says beside its numbers: who, where, by which code, lists as data sets, the log."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND
from mlflow.tracking import MlflowClient

from analysis import runs, unlike
from gta.cellfolder import Attempt, CellFolder
from gta.files import write_text
from gta.journal import Journal
from gta.provenance.environment import commit_of, environment
from gta.tracking import keys
from gta.tracking import sync as tracking
from gta.tracking.cell import TrackedCell
from gta.tracking.sync_cache import cached, remember
from gta.tracking.tags import gpu, started_by
from tests.helpers.tracked import attempt, finish, in_tags, make_cell, run_of, train


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
    assert tags["gta.commit"] == (found["commit"] or commit_of(found))
    assert tags.get("gta.dirty") == (str(found["dirty"]).lower() if found["commit"] else None)


def test_what_computed_a_cell_and_where_its_pictures_were_reach_the_analysis(tmp_path, uri, client):
    """From MLflow, and from the cell's own folder; of a record that says nothing there is nothing."""
    cell, bare = make_cell(tmp_path), make_cell(tmp_path)
    write_text(CellFolder(cell).config_file, "data: {root: /data/voc}\n")
    packages = {"torch": "2.11.0+cpu", "numpy": "2.3.4", "opencv-python-headless": "4.12.0.88", "mlflow": "3.5"}
    found = {"cpu": "AMD EPYC", "gpus": [], "packages": packages}
    attempt(cell, 1, environment=found)
    attempt(bare, 1, environment={"packages": "none", "cpu": None})
    for one in (cell, bare):
        finish(one)
    tracking.sync([cell, bare], uri)
    names = ["gpu", "cpu", "versions", "data_root"]
    for frame in (runs.load(uri), runs.of_folders([CellFolder(cell), CellFolder(bare)])):
        rows = frame[frame["headline"]].set_index("signature")[names].to_dict("index")
        told = ["none", "AMD EPYC", "torch 2.11.0+cpu, numpy 2.3.4, opencv 4.12.0.88", "/data/voc"]
        assert list(rows[cell.name].values()) == told
        assert list(rows[bare.name].values()) == ["", "", "", ""]


def test_a_run_of_before_gets_the_tags_that_came_later_at_the_next_sync_and_once(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    attempt(cell, 1, environment={"packages": {"torch": "2.11.0"}})
    tracking.sync([cell], uri)
    client.delete_tag(run_of(client, cell).info.run_id, keys.VERSIONS)
    remember(CellFolder(cell), uri, replace(cached(CellFolder(cell), uri), tags=0))
    assert tracking.sync([cell], uri).unchanged == 0
    assert run_of(client, cell).data.tags[keys.VERSIONS] == "torch 2.11.0"
    assert tracking.sync([cell], uri).unchanged == 1


def test_code_without_a_commit_is_told_by_its_digest_and_never_called_clean(tmp_path, uri, client):
    """Also of a record of before, which calls it clean; MLflow's own tag is for commits of git."""
    cell = make_cell(tmp_path)
    attempt(cell, 1, environment={"commit": None, "dirty": False, "tree": "0123456789abcdef"})
    tracking.sync([cell], uri)
    tags = run_of(client, cell).data.tags
    assert tags["gta.commit"] == "tree:01234567"
    assert "gta.dirty" not in tags
    assert "mlflow.source.git.commit" not in tags


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
    attempts = [] if seen is None else [Attempt(number=1, environment={"gpus": seen})]
    assert gpu(records, attempts) == told


def on(torch: str, cpu: str, gpus: list[str], began: int | None) -> dict[str, Any]:
    """The fields of an attempt that began at an iteration."""
    return {"began": began, "environment": {"cpu": cpu, "gpus": gpus, "packages": {"torch": torch, "numpy": "2.3.4"}}}


def test_every_attempt_counts_of_whose_training_something_is_left(tmp_path):
    """Not the second, which saved nothing; nor the third, which never began and has no line in the journal."""
    cell = make_cell(tmp_path)
    starts = [("started", 0, "cpu"), ("resumed", 400, "cpu"), ("resumed", 400, "cuda:0"), ("resumed", 600, "cuda:0")]
    with Journal(CellFolder(cell).journal_file) as log:
        for event, iteration, device in starts:
            log.event(event, iteration=iteration, device=device)
    attempt(cell, 1, **on("2.6.0", "AMD EPYC", [], 0))
    attempt(cell, 2, **on("2.7.0", "ARM", [], 400))
    attempt(cell, 3, **on("2.8.0", "POWER", ["NVIDIA P100"], None), ended="failed")
    attempt(cell, 4, **on("2.11.0", "AMD EPYC", ["NVIDIA A100"], 400))
    attempt(cell, 5, **on("2.11.0", "Intel Xeon", ["NVIDIA H200"], 600))
    finish(cell)
    tags = TrackedCell.read(CellFolder(cell)).tags()
    assert tags[keys.VERSIONS] == "torch 2.6.0, torch 2.11.0, numpy 2.3.4"
    assert tags[keys.CPU] == "AMD EPYC, Intel Xeon"
    assert tags[keys.GPU] == "none, NVIDIA A100, NVIDIA H200"
    frame = runs.of_folders([CellFolder(cell)])
    assert unlike.computed_by(frame[frame["headline"]]) == [
        "torch 2.6.0 and 2.11.0 (1 cell)", "trained on a CPU and NVIDIA A100 and NVIDIA H200 (1 cell)",
    ]  # fmt: skip


def test_a_training_from_its_beginning_leaves_nothing_of_those_before(tmp_path):
    """Also where one of them died before its record said that it began: the journal has its device."""
    records = [
        {"time": 1.0, "kind": "event", "event": event, "iteration": iteration, "device": device}
        for event, iteration, device in [("started", 0, "cuda:0"), ("started", 0, "cpu"), ("resumed", 8, "cuda:0")]
    ]
    attempts = [
        Attempt(number=number, **on("2.11.0", "", ["NVIDIA H200"], began)) for number, began in [(1, 0), (3, 8)]
    ]
    assert gpu(records, attempts) == "none, NVIDIA H200"
    assert gpu(records[:2], attempts[:1] * 2) == "none"


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
    assert keys.class_metrics(["a, b", "a; b 2", "a; b"]) == ["iou/a_ b", "iou/a_ b 2", "iou/a_ b 2 2"]
