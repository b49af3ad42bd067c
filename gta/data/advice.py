"""What masks and images probably are, in words, with the YAML lines of a data set that would read them so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gta.config import DataConfig
from gta.data.conventions import misread
from gta.data.conventions import said as kind_of_masks
from gta.data.pictures import usual_range
from gta.data.spec import IGNORE

MOST = 12  # labels that are named one by one


@dataclass
class Written:
    """What stands in the files that were looked at, before anything is made of it. `labels` (256,): pixels of each."""

    labels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    colours: set[tuple[int, ...]] = field(default_factory=set)
    ranges: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Advice:
    """What is seen, in words, and the line of the data set's YAML that reads it so; empty where none is known."""

    words: str
    yaml: str = ""

    def __str__(self) -> str:
        return f"{self.words} {self.yaml}".strip()


def advice(config: DataConfig, written: Written) -> list[Advice]:
    """What to do about what was seen, for files that the config does not read, or not as anyone would mean it."""
    found = []
    if written.ranges:
        low, high = min(low for low, _ in written.ranges), max(high for _, high in written.ranges)
        words = f"images hold {low:g} to {high:g}: is that a part of the range below?"
        found.append(Advice(words, f"image_range: {usual_range(low, high)}"))
    if written.colours:
        found.append(_of_colours(config, sorted(written.colours)))
    if written.labels.any() and (said := of_labels(config, written.labels)):
        found.append(said)
    return found


def of_labels(config: DataConfig, written: np.ndarray) -> Advice | None:
    """What masks with these labels, (256,) pixels of each, probably are; None where they are as the config says."""
    if config.colour_map:
        return None
    values = [int(value) for value in np.flatnonzero(written)]
    if misread(config, values):
        return Advice(kind_of_masks(config, values))
    classes = len(config.classes)
    known = {pair[0] for pair in config.label_map} or set(range(classes))
    labels = [value for value in values if value not in (config.ignore_index, IGNORE)]
    mapped = bool(config.label_map) and known.issuperset(values)
    if classes == 2 and len(values) == 2 and values[0] == 0 and values[1] > 1 and not mapped:
        return Advice(f"masks hold 0 and {values[1]}: a binary mask?", f"label_map: [[0, 0], [{values[1]}, 1]]")
    strays = [value for value in values if value not in known and value != config.ignore_index]
    seen = f"masks hold {_listed(values)}, and there are {classes} classes"
    if not strays:
        return None
    if classes in labels and max(labels) == classes:
        rows = [[0, IGNORE]] * (0 in labels) + [[value + 1, value] for value in range(classes)]
        return Advice(f"{seen}: labels that begin with 1?", f"label_map: {_others(rows, values, config)}")
    if len(labels) == classes:
        rows = [[value, place] for place, value in enumerate(labels)]
        return Advice(f"{seen}: as many, in this order?", f"label_map: {_others(rows, values, config)}")
    if len(values) > 2 * classes + 8:
        return Advice(
            f"{seen}: gray levels of a picture, or labels that were resized or compressed? Take the masks from where "
            "they were whole."
        )
    rows = [[value, value if value < classes else IGNORE] for value in values]
    return Advice(f"{seen}. To ignore the others:", f"label_map: {rows}")


def _others(rows: list[list[int]], values: Sequence[int], config: DataConfig) -> list[list[int]]:
    """With a pair for 255, where masks hold it and data.ignore_index is another."""
    named = {row[0] for row in rows} | {config.ignore_index}
    return rows + [[IGNORE, IGNORE]] * (IGNORE in values and IGNORE not in named)


def _listed(values: Sequence[int]) -> str:
    if len(values) > 2 and list(values) == list(range(values[0], values[-1] + 1)):
        return f"the labels {values[0]} to {values[-1]}"
    shown = ", ".join(map(str, values[:MOST]))
    return f"the labels {shown}" if len(values) <= MOST else f"{len(values)} labels ({shown}, ...)"


def _of_colours(config: DataConfig, colours: Sequence[tuple[int, ...]]) -> Advice:
    """Rows of data.colour_map: by data.palette where that has the colours, else gray levels, else in order."""
    classes = len(config.classes)
    palette = {tuple(colour): place for place, colour in enumerate(config.palette)}
    if len(colours) > 2 * classes + 8:
        return Advice(
            f"masks hold {len(colours)} colours, and there are {classes} classes: pictures, or colours that were "
            "resized or compressed? Take the masks from where they were whole."
        )
    if palette and len(palette.keys() & set(colours)) > 1:
        rows = [[*colour, palette.get(colour, IGNORE)] for colour in colours]
        return Advice("masks hold colours of data.palette: colour masks?", f"colour_map: {rows}")
    if all(len({*colour}) == 1 for colour in colours) and max(colour[0] for colour in colours) < classes:
        rows = [[label, label, label, label] for label in range(classes)]
        return Advice("masks hold gray levels in three channels: labels?", f"colour_map: {rows}")
    rows = [[*colour, place if place < classes else IGNORE] for place, colour in enumerate(colours)]
    return Advice(
        f"masks hold {len(colours)} colours: colour masks? Put each class's index behind its colour:",
        f"colour_map: {rows}",
    )
