"""How cells are trained and on what, in words for people: said at a run's start and in a table's footer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from gta.config import AugmentConfig, Config, DataConfig, ScheduleConfig
from gta.encoders import title
from gta.fields import default_of
from gta.scheduleconfig import ADAMW, DECAY, MOMENTUM, POLY, POWER, SGD

_OPTIMIZERS = {SGD: "SGD", ADAMW: "AdamW"}


def parts(config: Config) -> tuple[str, ...]:
    """How a cell is trained, a few words each on network, length, batch, crop, optimizer and views."""
    model, schedule = config.model, config.schedule
    width = f" (width {model.width})" if model.width else ""
    weights = "random weights" if model.weights == "random" else f"weights {Path(model.weights).name}"
    decoder = "" if schedule.decoder_lr_factor == 1 else f", decoder x {schedule.decoder_lr_factor:g}"
    return (
        f"{title(model)}{width}, {weights}",
        f"{schedule.iterations:,} iterations",
        f"{schedule.batch_size} + {schedule.batch_size} images a step{_more(config.data)}",
        f"crop {config.data.crop_size}{scaled(config.data.input_scale)}",
        f"{_OPTIMIZERS[schedule.optimizer]}, lr {schedule.lr:g}{_course(schedule)}{decoder}{_unusual(schedule)}",
        views(config.data.augment),
    )


def views(config: AugmentConfig) -> str:
    """The random views in a few words: "views augseg" of a shipped set or data set, "plain views" at the defaults, else
    8 digits of a digest of the settings, which tell them apart from others.
    """
    changed = {item.name: value for item in fields(config) if (value := getattr(config, item.name)) != default_of(item)}
    if not changed:
        return _PLAIN
    digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:8]
    return f"views {_SETS.get(digest, digest)}"


def scaled(input_scale: float) -> str:
    """Of which size the images are that the network sees, where that is not their own."""
    return "" if input_scale == 1 else f" of images at {input_scale:g} of their size"


def remarkable(words: Iterable[str]) -> bool:
    """Whether what cells say of one part of their training is to be shown: of views that are the default, or a
    shipped data set's own, it is where cells differ.
    """
    distinct = list(dict.fromkeys(words))
    return len(distinct) > 1 or distinct[0] not in _USUAL


_PLAIN = "plain views"
_SETS = {  # digest of what a file in conf/augment sets -> its name; tests/gta/test_recipe.py makes them from the files
    "6b141c8b": "augseg",
    "64c20269": "augseg_cityscapes",
    "8b2ea59a": "gta/u2pl",
    "57bd182e": "unimatch",  # and unimatch_v2
    "778ac53a": "shapes",  # of conf/data
    "6dbd035e": "camvid",
}
_USUAL = {_PLAIN, "views shapes", "views camvid"}


def folder_of(data: DataConfig) -> str:
    """The name of the folder of `data.unlabeled_root`, with the glob where it is one; empty where there is none."""
    parts = Path(data.unlabeled_root).parts if data.unlabeled_root else ()
    plain = next((place for place, part in enumerate(parts) if set("*?[") & set(part)), len(parts))
    return "/".join(parts[max(0, plain - 1) :])


def _more(data: DataConfig) -> str:
    folder = folder_of(data)
    return f" (unlabeled ones also of {folder})" if folder else ""


def _course(schedule: ScheduleConfig) -> str:
    """How lr moves where that is not poly from the first step on."""
    course = "" if schedule.lr_schedule == POLY else f" ({schedule.lr_schedule})"
    return f"{course} after {schedule.lr_warm_up:,} steps of warm-up" if schedule.lr_warm_up else course


def _unusual(schedule: ScheduleConfig) -> str:
    """The optimizer's other settings where they are not at their defaults; AdamW's decay, which has no usual one."""
    decay = None if schedule.optimizer == ADAMW else DECAY
    usual = {"weight_decay": decay, "momentum": MOMENTUM, "power": POWER}
    told = {name.replace("_", " "): (getattr(schedule, name), value) for name, value in usual.items()}
    return "".join(f", {name} {value:g}" for name, (value, default) in told.items() if value != default)


def line(configs: Iterable[Config]) -> str:
    """The recipe of some cells, such as "Training: tiny (width 8), random weights; 800 iterations; 8 + 8 images a step;
    crop 48; SGD, lr 0.1. Data: shapes.": what differs between them has "or" between.
    """
    configs = list(configs)
    told = "; ".join(_distinct(words) for words in zip(*map(parts, configs), strict=True) if remarkable(words))
    return f"Training: {told}. Data: {_distinct(config.data.name for config in configs)}."


def _distinct(words: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(words))
