"""A cell that trains in a second, and what stops or ends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gta import journal
from gta.cell import Cell
from gta.cellfolder import CellFolder
from gta.config import (
    AugmentConfig,
    Config,
    DataConfig,
    ModelConfig,
    PathsConfig,
    ScheduleConfig,
    ShapesConfig,
    SiteConfig,
)
from gta.data.prepare import prepare
from gta.data.splits.split import load_split
from gta.methods import METHODS
from gta.train.control import Control, Request
from gta.train.run import train


def make(folder: Path, method: str = "gta", **schedule: Any) -> Config:
    """A cell that trains in a second, with dropout and augmentation on."""
    data = DataConfig(
        name="shapes",
        root=str(folder / "shapes"),
        classes=["background", "red", "green", "cyan", "violet"],
        split="1/5",
        split_dir=str(folder / "splits"),
        crop_size=32,
        augment=AugmentConfig(),
        generator=ShapesConfig(train=40, val=5),
    )
    times = {
        "iterations": 10,
        "warm_up": 4,
        "eval_every": 5,
        "checkpoint_every": 3,
        "log_every": 1,
        "lr": 0.05,
        **schedule,
    }
    config = Config(
        method=METHODS[method].Config(),
        data=data,
        model=ModelConfig(encoder="tiny", width=4, decoder_channels=8, output_stride=8, weights="random"),
        schedule=ScheduleConfig(batch_size=4, group_size=2, ema_decay=0.9, **times),
        site=SiteConfig(workers=0, device="cpu"),
        paths=PathsConfig(),
    )
    prepare(config.data)
    return config


def cell_in(folder: Path, config: Config, signature: str = "sig") -> Cell:
    """A cell of that config that is trained in `folder`, whatever its signature would be."""
    split = load_split(config.data)
    return Cell(config, split, signature, {}, CellFolder(folder), split.sizes)


def train_in(folder: Path, config: Config, signature: str = "sig", control: Control | None = None) -> bool:
    """Train the config in `folder`: True at the end, False where `control` asked to stop."""
    return train(cell_in(folder, config, signature), control)


class StopAfter(Control):
    """Asks to stop at the end of the n-th step."""

    def __init__(self, steps: int):
        self.left = steps

    def request(self) -> Request:
        self.left -= 1
        return Request.STOP if self.left <= 0 else Request.NONE


class DieAfter(Control):
    """Stands for a kill -9: leaves within the n-th step, with nothing saved of it."""

    def __init__(self, steps: int):
        self.left = steps

    def request(self) -> Request:
        self.left -= 1
        if self.left <= 0:
            raise KeyboardInterrupt
        return Request.NONE


def points(cell: Path) -> dict[tuple[str, int], float]:
    """Every metric but times and the machine's, the first occurrence of each, as MLflow will have it."""
    found: dict[tuple[str, int], float] = {}
    for record in journal.counted(journal.read(cell / "journal.jsonl")):
        for name, value in record["values"].items():
            found.setdefault((name, record["iteration"]), value)
    return {key: value for key, value in found.items() if key[0] != "seconds" and not key[0].startswith("system/")}


def result(cell: Path) -> dict[str, Any]:
    return json.loads((cell / "result.json").read_text())
