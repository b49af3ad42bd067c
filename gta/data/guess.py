"""Looks at a folder of images and masks, and says as which data set it could be read: `gta data init`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from gta.config import DataConfig
from gta.data.masks import ColourMask, read_labels
from gta.data.pictures import UndeclaredRange, read_image, usual_range
from gta.data.spec import IGNORE, SUFFIXES
from gta.data.walk import below
from gta.errors import UserError

FEW, MANY = 5, 200  # files looked at to tell masks from images; masks whose labels are counted
LABELS = 100  # more different labels or colours in a mask make it a picture
VAL = 5  # where there are no lists, every so manieth pair is for validation


@dataclass
class Guess:
    """How a folder could be read. `ids`: of images with a mask; `bare`: images without one; lists: paths below it."""

    images: str
    image_suffix: str
    masks: str
    mask_suffix: str
    nested: bool
    ids: list[str]
    bare: int
    train_list: str = ""
    val_list: str = ""
    classes: list[str] = field(default_factory=list)
    label_map: list[list[int]] = field(default_factory=list)
    colour_map: list[list[int]] = field(default_factory=list)
    image_range: str = ""
    side: int = 0

    def lists(self) -> tuple[list[str], list[str]]:
        """(train, val) ids, where the folder has no lists of its own: every fifth pair is for validation."""
        ids = sorted(self.ids)
        return [item for place, item in enumerate(ids) if place % VAL], ids[::VAL]


def guess(folder: Path) -> Guess:
    """Raises UserError where no images with masks can be told."""
    names = [name for name in below(folder) if name.lower().endswith(SUFFIXES)]
    if not names:
        raise UserError(f"{folder}: there is no picture ({', '.join(SUFFIXES)}) in it.")
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        groups.setdefault((path.parts[0] if len(path.parts) > 1 else ".", path.suffix), []).append(name)
    best: Guess | None = None
    for (image_top, suffix), images in groups.items():
        for (mask_top, _), masks in groups.items():
            ending, ids, bare = _paired(images, suffix, masks)
            if len(ids) > (len(best.ids) if best else 0) and _are_masks(folder, masks, [i + ending for i in ids]):
                nested = any("/" in name.removeprefix(f"{image_top}/") for name in images)
                best = Guess(image_top, suffix, mask_top, ending, nested, ids, bare)
    if best is None:
        raise UserError(
            f"{folder}: no images and masks can be told by their names and contents: masks are index or colour "
            "pictures whose names begin as their images' do. docs/guides/own-data-set.md says how to write the YAML."
        )
    _look(folder, best, names)
    return best


def _are_masks(folder: Path, names: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the first of the `wanted` file names look like masks."""
    places = {PurePosixPath(name).name: folder / name for name in names}
    return all(_is_mask(places[name]) for name in wanted[:FEW])


def _is_mask(path: Path) -> bool:
    try:
        return len(np.unique(read_labels(path))) <= LABELS
    except ColourMask as error:
        return len(error.colours) <= LABELS
    except UserError:
        return False


def _paired(images: Sequence[str], suffix: str, masks: Sequence[str]) -> tuple[str, list[str], int]:
    """What follows an image's name in its mask's file, the ids that have one, and how many images have none."""
    stems = sorted({PurePosixPath(name).name.removesuffix(suffix) for name in images})
    files = {PurePosixPath(name).name for name in masks}
    own = suffix if images == masks else None  # an image is not its own mask
    endings = {name[len(stem) :] for stem in stems[:FEW] for name in files if name.startswith(stem)} - {own}
    paired = {ending: [stem for stem in stems if stem + ending in files] for ending in endings}
    ending = max(paired, key=lambda one: (len(paired[one]), -len(one)), default="")
    ids = paired.get(ending, [])
    known = {*ids, *(item + ending.removesuffix(suffix) for item in ids if own)}
    return ending, ids, len(set(stems) - known)


def _look(folder: Path, found: Guess, names: Sequence[str]) -> None:
    """Fills in what the files hold: classes, image range, sides, and the lists that lie there."""
    places = {PurePosixPath(name).name: folder / name for name in names if _under(name, found.masks)}
    labels: set[int] = set()
    colours: set[tuple[int, ...]] = set()
    for item in found.ids[:MANY]:
        try:
            labels |= set(np.unique(read_labels(places[item + found.mask_suffix])).tolist())
        except ColourMask as error:
            colours |= {tuple(colour) for colour in error.colours.tolist()}
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
    images = {PurePosixPath(name).name: folder / name for name in names if _under(name, found.images)}
    ranges, sides = [], []
    for item in found.ids[:FEW]:
        try:
            sides.append(min(read_image(images[item + found.image_suffix], DataConfig()).shape[:2]))
        except UndeclaredRange as error:
            ranges.append((error.low, error.high))
    if ranges:
        found.image_range = usual_range(min(low for low, _ in ranges), max(high for _, high in ranges))
    found.side = min(sides, default=0)
    texts = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.txt"))
    found.train_list = next((name for name in texts if PurePosixPath(name).name == "train.txt"), "")
    found.val_list = next((name for name in texts if PurePosixPath(name).name == "val.txt"), "")


def _under(name: str, top: str) -> bool:
    return "/" not in name if top == "." else name.startswith(f"{top}/")
