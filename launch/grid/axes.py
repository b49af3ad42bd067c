"""What the file of a sweep varies, and which cells are to be trained alike because it varies nothing between them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from omegaconf import DictConfig

from gta.cell import Cell
from gta.compose.filerules import OURS, PARAMS

# A method and a data set bring settings of their own, and the length in epochs is by the split's number of images.
_ROWS_AND_COLUMNS = ("method", "data.name", "data.split", "data.split_family")
_BECOMES = {  # in a cell's config
    "augment": ["data.augment"],
    "schedule.epochs": ["schedule.iterations"],
    "schedule.lr_batch_size": ["schedule.lr"],
    "schedule.scale_lr": ["schedule.lr"],
    "schedule.batch_size": ["schedule.batch_size", "schedule.lr"],  # by scale_lr
}


def declared(master: DictConfig) -> tuple[str, ...]:
    """The settings and groups that the sweep's file of a grid varies; none for a grid without one."""
    added = {str(word).partition("=")[0].lstrip("+") for word in master.hydra.overrides.hydra if str(word)[0] == "+"}
    found = [str(name) for name in master.hydra.sweeper.params or {}]
    return tuple(name.lstrip("+") for name in found if f"{PARAMS}.{name}" not in added)


def alike(cell: Cell, axes: Iterable[str]) -> str:
    """What the cells of a grid share that should be trained alike: method, data set, split, and what the sweep's file
    varies (`axes`); of a group of the user's own, which is no setting of ours, what the cell chose of it.
    """
    axes = list(axes)
    names = {name for axis in axes for name in _BECOMES.get(axis, [axis])} | set(_ROWS_AND_COLUMNS)
    said = {**cell.params, "data.name": cell.config.data.name, "data.split": cell.config.data.split}
    said |= {f"data.{name}": getattr(cell.config.data, name) for name in ("split_family", "unlabeled_root")}
    kept = {key: text for key, text in said.items() if any(_below(key, name) for name in names)}
    return json.dumps([kept, _chosen(cell, {axis for axis in axes if axis.partition(".")[0] not in OURS})])


def _chosen(cell: Cell, groups: Collection[str]) -> list[tuple[str, str]]:
    """(group, option) of what the cell was made with, of these groups."""
    told = (word.lstrip("+").partition("=") for word in cell.overrides)
    return [(name, option) for name, _, option in told if name in groups]


def _below(key: str, name: str) -> bool:
    """Whether a setting is `name`, or in the group of that name."""
    return key == name or key.startswith(f"{name}.")
