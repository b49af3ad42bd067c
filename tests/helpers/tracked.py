"""Cells as a training leaves them, and what MLflow has of them."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import DatasetInput

from gta import evaluations
from gta.cellfolder import Attempt, CellFolder, Failure, Identity, NetworkScores, NewOrder, Result, Score
from gta.data.lists import digest
from gta.evaluations import ByImage, Evaluation
from gta.files import write_text
from gta.journal import Journal
from gta.tracking import keys

CLASSES = ["background", "disc, round", "ring"]
VAL = ["a", "b"]  # the images of the validation list


def make_cell(below: Path, seed: int = 0, method: str = "gta", signature: str = "", **changes: Any) -> Path:
    """The folder of a cell that has started, in `below`; without a `signature` it gets one of its own."""
    folder = CellFolder(below / (signature or uuid.uuid4().hex[:16]))
    fields: dict[str, Any] = {
        "method": method,
        "label": method,
        "dataset": "shapes",
        "split": "1_64",
        "split_family": "seed0",
        "labels": 6,
        "unlabeled": 394,
        "val": len(VAL),
        "ratio": "1/67",
        "seed": seed,
        "digests": {"labeled": "a" * 64, "unlabeled": "b" * 64, "val": digest(VAL), "weights": "random"},
        "params": {"schedule.lr": "0.1", "data.classes": str(CLASSES), "model.width": ""},
        "created": time.time(),
    }
    Identity(signature=folder.signature, **{**fields, **changes}).write(folder.identity_file)
    write_text(folder.config_file, "seed: 0\n")
    with Journal(folder.journal_file) as log:
        log.event("started")
    return folder.path


def damage_an_index(path: Path) -> None:
    """A bit of the page that finds MLflow's runs by their tags; the rest of the SQLite store is whole."""
    with closing(sqlite3.connect(path)) as database:
        ((size,),) = database.execute("pragma page_size").fetchall()
        ((page,),) = database.execute("select rootpage from sqlite_master where name = 'sqlite_autoindex_tags_1'")
    content = bytearray(path.read_bytes())
    at = content.rindex(b"gta.", (page - 1) * size, page * size)
    content[at : at + 4] = b"gtz."
    path.write_bytes(content)


def train(folder: Path, iterations, event: str = "") -> None:
    with Journal(CellFolder(folder).journal_file) as log:
        for i in iterations:
            log.metrics(i, {"loss/supervised": 1 / (1 + i), "lr": 0.1})
        if event:
            log.event(event)


def attempt(folder: Path, number: int, **fields: Any) -> Path:
    """The record of an attempt at the cell."""
    path = CellFolder(folder).attempt_file(number)
    Attempt(**{"time": 1.0, **fields}).write(path)
    return path


def fail(folder: Path, attempt: int, error: str = "out of memory") -> None:
    Failure(attempt=attempt, error=error, time=time.time()).write(CellFolder(folder).failure_file)


def finish(
    folder: Path,
    last: float = 70.0,
    best: float = 71.5,
    classes: list[str] = CLASSES,
    iou: tuple[float | None, ...] = (90.0, 50.12345, None),
    orders: Sequence[NewOrder] = (),
) -> None:
    """The result of a student and a teacher 5 points above it."""

    def scores(lift: float) -> NetworkScores:
        return NetworkScores(
            last=Score(iteration=800, miou=last + lift, iou=list(iou)),
            best=Score(iteration=600, miou=best + lift, iou=[91.0, 51.0, None]),
        )

    cell = CellFolder(folder)
    Result(
        signature=cell.signature,
        iteration=800,
        headline="teacher",
        evaluation="original size",
        classes=classes,
        networks={"student": scores(-5), "teacher": scores(0)},
        seconds=12.5,
        commit="abcdef1234567890",
        finished=time.time(),
        orders=list(orders),
    ).write(cell.result_file)


def evaluated(folder: Path, **changes: Any) -> Evaluation:
    """The teacher of a finished cell, scored by sliding windows: two images, of which the first is right everywhere."""
    cell = CellFolder(folder)
    intersection, union = np.array([[60, 20, 20], [30, 0, 0]]), np.array([[60, 20, 20], [80, 20, 0]])
    iou = [100 * float(part) for part in intersection.sum(0) / union.sum(0)]
    fields: dict[str, Any] = {
        "signature": cell.signature,
        "network": "teacher",
        "which": "last",
        "iteration": 800,
        "evaluation": "sliding window 48, stride 2/3, mean of logits",
        "settings": {"evaluation.protocol": "sliding_window"},
        "images": 2,
        "classes": CLASSES,
        "miou": sum(iou) / 3,
        "iou": list(iou),
        "commit": "abcdef1234567890",
        "finished": time.time(),
        "by_image": True,
    }
    made = Evaluation(**{**fields, **changes})
    evaluations.write(cell, made, ByImage(VAL, intersection, union) if made.by_image else None)
    return made


def runs_of(client, folder: Path) -> list:
    experiment = client.get_experiment_by_name(keys.EXPERIMENT).experiment_id
    return list(client.search_runs([experiment], f"tags.`gta.signature` = '{folder.name}'"))


def run_of(client, folder: Path):
    (run,) = runs_of(client, folder)
    return run


def history(client, folder: Path, name: str = "loss/supervised") -> list[tuple[int, float]]:
    """What MLflow has stored of one metric: (iteration, value), sorted, doubles included."""
    points = client.get_metric_history(run_of(client, folder).info.run_id, name)
    return sorted((p.step, p.value) for p in points)


def expected(iterations) -> list[tuple[int, float]]:
    return [(i, 1 / (1 + i)) for i in iterations]


def in_tags(one: DatasetInput) -> dict[str, str]:
    """What a run says of a data set that it was trained on."""
    return {tag.key: tag.value for tag in one.tags}
