"""Cells as a training leaves them, and what MLflow has of them."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from gta.files import write_json, write_text
from gta.journal import Journal
from gta.tracking import keys

CLASSES = ["background", "disc, round", "ring"]


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
