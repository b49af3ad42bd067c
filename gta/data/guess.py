"""Looks at a folder of images and masks, and says as which data set it could be read: `gta data init`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from gta.config import DataConfig
from gta.data.listing import image_files, list_ids, mask_files
from gta.data.masks import ColourMask, read_labels
from gta.data.pairing import FEW, Pairs, paired, top
from gta.data.pictures import UndeclaredRange, read_image, usual_range
from gta.data.spec import IGNORE, SUFFIXES
from gta.data.walk import below
from gta.errors import UserError

MANY = 200  # masks whose labels are counted
VAL = 5  # where there are no lists and no folder of it, every so manieth pair is for validation
VAL_FOLDERS = ("val", "valid", "validation")


@dataclass
class Guess:
    """How a folder could be read. `masks_of`: image -> mask, paths below the folder; `bare`: images without one;
    `broken`: what is wrong with masks that were looked at; `train_list`, `val_list`: lists that lie there and fit.
    """

    config: DataConfig
    masks_of: dict[str, str]
    bare: int
    broken: list[str] = field(default_factory=list)
    train_list: str = ""
    val_list: str = ""
    unfit: str = ""  # lists that lie there and do not fit
    classes: list[str] = field(default_factory=list)
    label_map: list[list[int]] = field(default_factory=list)
    colour_map: list[list[int]] = field(default_factory=list)
    image_range: str = ""
    side: int = 0

    @property
    def named(self) -> bool:
        """Whether only a list can say which mask is whose."""
        return self.config.images == self.config.masks

    def lists(self) -> tuple[list[str], list[str]]:
        """(train, val) images, where the folder has no lists of its own: those in a folder val, else every fifth."""
        images = sorted(self.masks_of)
        val = [name for name in images if {*PurePosixPath(name).parts[:-1]} & {*VAL_FOLDERS}] or images[::VAL]
        val = val if len(val) < len(images) else images[::VAL]
        return sorted({*images} - {*val}), val


def guess(folder: Path) -> Guess:
    """Raises UserError where no images with masks can be told."""
    names = [name for name in below(folder) if name.lower().endswith(SUFFIXES)]
    if not names:
        raise UserError(f"{folder}: there is no picture ({', '.join(SUFFIXES)}) in it.")
    pairs = paired(folder, names)
    found = Guess(_layout(folder, pairs), pairs.masks, len(pairs.bare))
    _look(folder, found)
    _find_lists(folder, found)
    return found


def _layout(folder: Path, pairs: Pairs) -> DataConfig:
    """Images and masks in a folder each where their paths below these are one; else all of it, for lists that name
    both.
    """
    tops = {(top(image), top(mask)) for image, mask in pairs.masks.items()}
    images, masks = tops.pop() if len(tops) == 1 else (".", ".")
    every = [*pairs.masks, *pairs.bare]
    doubled = len({PurePosixPath(name).name for name in every}) < len(every)
    if images == masks and pairs.suffix == pairs.ending:
        images = masks = "."
    nested = any(
        len(PurePosixPath(name).parts) > (1 if images == "." else 2) for name in (*every, *pairs.masks.values())
    )
    return DataConfig(
        root=str(folder), images=images, image_suffix=pairs.suffix, masks=masks, mask_suffix=pairs.ending,
        nested=nested, ids="path" if doubled else "name",
    )  # fmt: skip


def _look(folder: Path, found: Guess) -> None:
    """Fills in what the files hold: classes, image range and sides."""
    labels: set[int] = set()
    colours: set[tuple[int, ...]] = set()
    for mask in [*found.masks_of.values()][:MANY]:
        try:
            labels |= set(np.unique(read_labels(folder / mask)).tolist())
        except ColourMask as error:
            colours |= {tuple(colour) for colour in error.colours.tolist()}
        except UserError as error:
            found.broken.append(str(error))
    values = sorted(value for value in labels if value != IGNORE)
    if colours:
        found.colour_map = [[*colour, place] for place, colour in enumerate(sorted(colours))]
        count = len(found.colour_map)
    elif len(values) < 2 and IGNORE in labels:  # 0 and 255
        values = sorted(labels)
        found.label_map = [[value, place] for place, value in enumerate(values)]
        count = len(values)
    else:
        count = len(values)
        if values != list(range(count)):
            found.label_map = [[value, place] for place, value in enumerate(values)]
    found.classes = [f"class_{place}" for place in range(count)]
    ranges, sides = [], []
    for image in [*found.masks_of][:FEW]:
        try:
            sides.append(min(read_image(folder / image, DataConfig()).shape[:2]))
        except UndeclaredRange as error:
            ranges.append((error.low, error.high))
        except UserError as error:
            found.broken.append(str(error))
    if ranges:
        found.image_range = usual_range(min(low for low, _ in ranges), max(high for _, high in ranges))
    found.side = min(sides, default=0)


def _find_lists(folder: Path, found: Guess) -> None:
    """Fills in the train.txt and val.txt that lie there, where every image of theirs has a mask."""
    texts = sorted(name for name in below(folder) if name.endswith(".txt"))
    train, val = (
        next((name for name in texts if PurePosixPath(name).name == f"{part}.txt"), "") for part in ("train", "val")
    )
    if not (train and val):
        return
    config = replace(found.config, train_list=train, val_list=val)
    try:
        ids = [list_ids(config, folder / name) for name in (train, val)]
        images, masks = image_files(config), mask_files(config)
    except UserError as error:
        found.unfit = str(error)
        return
    strange = next((item for item in (*ids[0], *ids[1]) if item not in images or item not in masks), "")
    if strange or {*ids[0]} & {*ids[1]}:
        found.unfit = f"{train} and {val} " + (f"name {strange}, which is not there so" if strange else "share images")
    else:
        found.train_list, found.val_list = train, val
