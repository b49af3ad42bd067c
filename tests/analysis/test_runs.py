"""From cell folders through a real MLflow into the DataFrame, and on into the table."""

from __future__ import annotations

import json
import math
import shutil
import time

import pytest

from analysis import render, runs, table
from analysis.cells import TableCell
from gta.cellfolder import CellFolder, Identity, NetworkScores, Result, Score
from gta.errors import UserError
from gta.journal import Journal
from gta.tracking import keys, store
from gta.tracking import sync as tracking
from gta.tracking.tags import EVALUATION_FIELDS, evaluations_in, gpu_seconds
from tests.helpers import tracked
from tests.helpers.tracked import fail

pytestmark = pytest.mark.slow


def make_cell(below, signature, method, labels, seed, last=None, error=None):
    folder = CellFolder(below / signature)
    Identity(
        signature=signature,
        method=method,
        label=f"the {method}",
        dataset="shapes",
        split=f"1_{400 // labels}",
        split_family="seed0",
        labels=labels,
        unlabeled=400 - labels,
        val=200,
        ratio=f"1/{round(400 / labels)}",
        seed=seed,
        digests={"labeled": f"{labels:064x}", "unlabeled": "b" * 64, "val": "c" * 64, "weights": "random"},
        params={"seed": str(seed)},
        created=time.time(),
    ).write(folder.identity_file)
    with Journal(folder.journal_file) as log:
        log.event("started", device="cuda:0", world_size=2)
        log.metrics(400, {"val/student/miou": 30.0, "loss/supervised": 1.0})
    if error:
        fail(folder.path, attempt=0, error=error)
    if last is not None:
        write_result(folder, method, last)
    return folder.path


def write_result(folder, method, last):
    def scores(miou, best, iteration, *iou):
        return NetworkScores(
            last=Score(iteration=800, miou=miou, iou=list(iou)), best=Score(iteration=iteration, miou=best)
        )

    both = method != "supervised"
    networks = {"student": scores(last - 2 * both, last, 600, 90.0, None)}
    if both:
        networks["teacher"] = scores(last, last + 1, 400, 95.5, 40.25)
    Result(
        signature=folder.signature,
        iteration=800,
        headline="teacher" if both else "student",
        evaluation="original size",
        classes=["background", "disc"],
        networks=networks,
        seconds=12.5,
        commit="abcdef1234567890",
        finished=time.time(),
    ).write(folder.result_file)


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """A store with a sweep of 2 x 2 x 2 cells (one failed, one running), and a cell of another sweep."""
    root = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{root}/mlflow.db"
    cells = []
    for method, lift in (("supervised", 0.0), ("gta", 10.0)):
        for labels in (50, 6):
            for seed in (0, 1):
                name = f"{method[:1]}{labels}{seed}"
                last, error = 50 + lift + labels / 10 + seed, None
                if name == "g61":
                    last, error = None, "out of memory"
                if name == "g501":
                    last = None
                cells.append(make_cell(root / "cells", name, method, labels, seed, last, error))
    assert tracking.sync(cells, uri, "shapes").problems == []
    other = make_cell(root / "cells", "other", "cutmix", 6, 0, 99.0)
    assert tracking.sync([other, cells[0]], uri, "another").problems == []
    # what groups the runs of a sweep in MLflow's page: a run that is no cell
    client = store.connect(uri)
    parent = client.create_run(client.get_experiment_by_name(keys.EXPERIMENT).experiment_id)
    client.set_tag(parent.info.run_id, f"{keys.SWEEP}shapes", "1")
    return uri


def test_a_row_a_network_typed_and_complete(uri):
    frame = runs.load(uri, sweep="shapes")
    assert list(frame.columns) == list(runs.COLUMNS)
    assert len(frame) == 4 + 2 * 2 + 2  # supervised; gta with two networks; two without a score
    assert set(frame["signature"]) == {f"{m}{n}{s}" for m in "sg" for n in (50, 6) for s in (0, 1)}
    one = frame[(frame["signature"] == "g60") & frame["headline"]].iloc[0]
    assert (one["method"], one["label"], one["labels"], one["ratio"], one["seed"]) == (
        "gta",
        "the gta",
        6,
        "1/67",
        0,
    )
    assert (one["network"], one["miou_last"], one["miou_best"]) == ("teacher", 60.6, 61.6)
    assert (one["iteration"], one["best_iteration"], one["evaluation"]) == (800, 400, "original size")
    assert (one["status"], one["seconds"], one["commit"]) == ("FINISHED", 12.5, "abcdef1234567890")
    assert 0 <= one["gpu_hours"] < 0.1
    assert (one["digest_labeled"], one["digest_weights"]) == (f"{6:064x}", "random")
    assert (one["classes"], one["iou"]) == (["background", "disc"], [95.5, 40.25])
    student = frame[(frame["signature"] == "g60") & ~frame["headline"]].iloc[0]
    assert (student["network"], student["miou_last"]) == ("student", 58.6)
    assert student["iou"][0] == 90.0
    assert math.isnan(student["iou"][1])


def test_iou_of_more_classes_than_a_tag_holds(tmp_path, empty_store):
    uri = f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"
    classes = [f"class number {index}" for index in range(700)]
    iou = [None, *(index / 7 for index in range(699))]
    few = [f"c{index}" for index in range(700)]  # their names fit a tag, the numbers do not
    cells = [tracked.make_cell(tmp_path / "cells") for _ in range(2)]
    for cell, names in zip(cells, (classes, few), strict=True):
        tracked.finish(cell, classes=names, iou=tuple(iou))
    assert tracking.sync(cells, uri).problems == []
    assert keys.IOU + "teacher" not in tracked.run_of(store.connect(uri), cells[1]).data.tags
    frame = runs.load(uri).set_index(["signature", "network"])
    for cell, names in zip(cells, (classes, few), strict=True):
        for network in ("student", "teacher"):
            row = frame.loc[cell.name, network]
            assert row["classes"] == names
            assert math.isnan(row["iou"][0])
            assert row["iou"][1:] == [round(value, 4) for value in iou[1:]]
    shutil.rmtree(tmp_path / "mlartifacts")  # a store whose artifacts are elsewhere
    frame = runs.load(uri)
    assert list(frame["miou_last"]) == [65.0, 70.0] * 2
    assert all(row == [] for row in frame["iou"])


def test_gpu_hours_are_those_of_all_attempts():
    def at(time, **event):
        return {"time": time, "kind": "event", **event} if event else {"time": time, "kind": "metrics"}

    first = [at(100.0, event="started", device="cuda:0", world_size=4), at(150.0), at(160.0)]
    again = [at(1000.0, event="resumed", device="cuda", world_size=1), at(1010.0), at(1030.0, event="finished")]
    assert gpu_seconds([*first, *again]) == 4 * 60 + 30
    assert gpu_seconds([at(0.0, event="started", device="cpu", world_size=1), at(9.0)]) == 0.0
    assert gpu_seconds([]) is None


def test_runs_without_scores_are_there_with_their_status(uri):
    frame = runs.load(uri, sweep="shapes").set_index("signature")
    failed, running = frame.loc["g61"], frame.loc["g501"]
    assert (failed["status"], failed["error"], failed["network"]) == ("FAILED", "out of memory", "")
    assert (running["status"], running["iteration"]) == ("RUNNING", 0)
    assert math.isnan(running["miou_last"])
    assert not failed["headline"]


def test_the_choice_of_runs(uri):
    assert set(runs.load(uri, sweep="another")["signature"]) == {"other", "s500"}
    assert set(runs.load(uri, signatures=["g60", "other", "none"])["signature"]) == {"g60", "other"}
    assert set(runs.load(uri, signatures=["g60", "other"], sweep="shapes")["signature"]) == {"g60"}
    assert len(set(runs.load(uri)["signature"])) == 9
    assert runs.load(uri, sweep="never-run").empty


def test_no_store_is_an_empty_frame_and_makes_none(tmp_path):
    frame = runs.load(f"sqlite:///{tmp_path}/mlflow.db", sweep="shapes")
    assert (len(frame), list(frame.columns)) == (0, list(runs.COLUMNS))
    assert list(tmp_path.iterdir()) == []
    assert table.build(frame, [TableCell("a", "gta", "1/8", 50, 0, "never run")]).missing


def test_a_store_that_does_not_answer_is_told():
    with pytest.raises(UserError, match="cannot be read"):
        runs.load("http://127.0.0.1:9", sweep="shapes")


def test_from_the_store_to_the_table(uri):
    reasons = {"g61": "failed: out of memory", "g501": "running"}
    wanted = [
        TableCell(f"{row[:1]}{n}{seed}", row, f"1/{400 // n} ({n})", n, seed, reasons.get(f"g{n}{seed}", ""))
        for row in ("supervised", "gta")
        for n in (50, 6)
        for seed in (0, 1)
    ]
    built = table.build(runs.load(uri, [w.signature for w in wanted], "shapes"), wanted, "shapes")
    assert [[render.text(built.entries[r, c]) for c in built.columns] for r in built.rows] == [
        ["51.10 ± 0.71 (2) [51.10]", "55.50 ± 0.71 (2) [55.50]"],
        ["60.60 (1 of 2) [61.60]", "65.00 (1 of 2) [66.00]"],
    ]
    assert built.missing == [
        "gta, 1/66 (6), seed 1 (1 of 2 seeds): failed: out of memory",
        "gta, 1/8 (50), seed 1 (1 of 2 seeds): running",
    ]
    assert "Network: student (supervised), teacher (gta)." in built.notes
    (absent,) = [note for note in built.notes if note.startswith("The mean is over")]
    assert absent.startswith("The mean is over 1 of 2 classes in supervised: neither masks nor predictions ")
    assert " have disc (" in absent


def test_one_damaged_cell_ends_neither_a_table_nor_a_sync(tmp_path, empty_store):
    """Three cells with a checkpoint that the file system cannot look at: the others are read, and sent."""
    uri = f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"
    cells = [CellFolder(tracked.make_cell(tmp_path / "cells", seed=seed)) for seed in range(5)]
    for cell in cells:
        tracked.finish(cell.path)
    hurt, sound = cells[:4], cells[4]
    for cell in hurt:
        cell.checkpoint_file.symlink_to("x" * 300)
    said: list[str] = []
    frame = runs.of_folders(cells, said.append)
    assert set(frame["signature"]) == {sound.signature}
    assert len(said) == len(hurt)
    assert all(cell.signature in line and "cannot be read" in line for cell, line in zip(hurt, said, strict=True))
    report = tracking.sync([cell.path for cell in cells], uri)
    assert report.created == 1
    assert len(report.damaged) == len(hurt)
    assert report.problems == [], "the store is well"


DEEP = "[" * 5000


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (keys.ITERATION, "x"),
        (keys.SECONDS, "x"),
        ("gta.labels", "x"),
        ("gta.labels", "9" * 30),
        (keys.CLASSES, "x"),
        (keys.CLASSES, "5"),
        (f"{keys.IOU}student", DEEP),
        (f"{keys.IOU}student", '[["x"], 3]'),
    ],
)
def test_a_changed_tag_costs_that_run_alone(uri, tmp_path, tag, text):
    """The run is left out and named; `gta table` has its number from the cell's folder then."""
    own = f"sqlite:///{shutil.copy(store.sqlite_path(uri), tmp_path / 'mlflow.db')}"
    whole = runs.load(own, sweep="shapes")
    run = whole[whole["headline"]].iloc[0]
    store.connect(own).set_tag(run["run_id"], tag, text)
    said: list[str] = []
    frame = runs.load(own, sweep="shapes", say=said.append)
    assert set(frame["signature"]) == set(whole["signature"]) - {run["signature"]}
    (sentence,) = said
    assert run["run_id"] in sentence


@pytest.mark.parametrize(
    "changed",
    [
        {"network": [1]},
        {"commit": {}},
        {"iou": None},
        {"iou": 5},
        {"iou": [[1.0]]},
        {"miou": float("nan")},
        {"miou": True},
        {"miou": 10**400},
        {"iteration": "800"},
        DEEP,
    ],
)
def test_an_evaluation_that_somebody_changed_is_none(changed):
    sound = dict.fromkeys(EVALUATION_FIELDS, "x") | {"iteration": 8, "images": 2, "miou": 5, "by_image": True}
    text = changed if isinstance(changed, str) else json.dumps({**sound, **changed})
    tags = {f"{keys.EVALUATED}a": text, f"{keys.EVALUATED}b": json.dumps({**sound, "iou": [1.5, None]})}
    assert [one["iou"] for one in evaluations_in(tags)] == [[1.5, None]]
