"""What a data set must look like on disk, checked before anything reads it and shown when it is not so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gta.config import MISSING, DataConfig
from gta.errors import UserError

IGNORE = 255  # the label that counts nowhere, in every mask that leaves `gta.data`, whatever it is on disk
LABELED, UNLABELED = "labeled.txt", "unlabeled.txt"


def own_seed(config: DataConfig) -> int | None:
    """The seed of a split family that this program draws itself (`seed3` -> 3); None for a public family."""
    found = re.fullmatch(r"seed(\d+)", config.split_family)
    return int(found[1]) if found else None


def own_ratio(config: DataConfig) -> str | None:
    """`1/8` for the split 1/8 (folder `1_8`) of a family that this program draws itself; else None."""
    found = re.fullmatch(r"(\d+)[/_](\d+)", config.split)
    return f"{found[1]}/{found[2]}" if found and own_seed(config) is not None else None


def split_folder(config: DataConfig) -> Path:
    """The folder of the split's two lists; the split 1/8 is in the folder `1_8`."""
    return Path(config.split_dir) / config.split.replace("/", "_")


def train_path(config: DataConfig) -> Path:
    """The list of all training ids; it need not be there unless lists are drawn from it."""
    return _list_path(config, config.train_list)


def val_path(config: DataConfig) -> Path:
    """The list of validation ids."""
    return _list_path(config, config.val_list)


def _list_path(config: DataConfig, name: str) -> Path:
    """Below the root; `{split_dir}/NAME` is beside the splits, where public lists of some data sets lie."""
    beside = name.removeprefix("{split_dir}/")
    return Path(config.root) / name if beside == name else Path(config.split_dir) / beside


@dataclass(frozen=True)
class LayoutPart:
    """A part of a data set on disk: a file, or a folder with `files` in it (`ID.jpg`)."""

    path: Path
    files: str
    meaning: str
    there: bool

    @property
    def shown(self) -> str:
        return str(self.path / self.files) if self.files else str(self.path)


@dataclass(frozen=True)
class Layout:
    """What a data set must consist of on disk, and what of it is there."""

    root: Path
    parts: tuple[LayoutPart, ...]

    @property
    def trouble(self) -> str:
        """What is not there, in a few words; empty where all of it is."""
        if all(part.there for part in self.parts):
            return ""
        return "parts of it are not there" if self.root.is_dir() else f"the folder {self.root} is not there"

    def explained(self) -> str:
        """The trouble, the whole layout with what is missing of it marked, and what to do."""
        width = max(len(part.shown) for part in self.parts)
        lines = [
            f"  {'ok     ' if part.there else 'MISSING'}  {part.shown:<{width}}  {part.meaning}" for part in self.parts
        ]
        return (
            f"{self.trouble}. It is expected to look like this:\n"
            + "\n".join(lines)
            + "\nPut it there, or name its place with data.root=FOLDER (for split lists data.split_dir=FOLDER; "
            "`gta splits import` brings public ones)."
        )


def layout(config: DataConfig) -> Layout:
    """The layout of a data set. The two split lists are part of it unless this program can draw them."""
    root, below = Path(config.root), "**/" if config.nested else ""
    labels = "by data.label_map" if config.label_map else f"0 to {len(config.classes) - 1}"
    wanted = [
        (root / config.images, f"{below}ID{config.image_suffix}", "images"),
        (root / config.masks, f"{below}ID{config.mask_suffix}", f"index masks, {labels}"),
        (val_path(config), "", "validation ids, one a line"),
    ]
    if config.split != MISSING and own_ratio(config) is None:
        wanted += [
            (split_folder(config) / LABELED, "", "labeled ids, one a line"),
            (split_folder(config) / UNLABELED, "", "unlabeled ids, one a line"),
        ]
    parts = (LayoutPart(path, files, what, path.is_dir() if files else path.is_file()) for path, files, what in wanted)
    return Layout(root, tuple(parts))


def check_layout(config: DataConfig) -> None:
    """Raise UserError for a description that cannot be right, or one that shows the layout and what of it is missing.

    Nothing is written.
    """
    check_classes(config)
    if (found := layout(config)).trouble:
        raise UserError(f"Data set {config.name}: {found.explained()}")


def check_classes(config: DataConfig) -> None:
    """Raise UserError for classes that are none or too many, or a data.label_map that does not map onto them."""
    if not config.classes:
        raise UserError(f"Data set {config.name} names no classes: list them in data.classes, in index order.")
    if not 0 < len(config.classes) < 255:
        raise UserError(f"Data set {config.name} has {len(config.classes)} classes; an 8-bit mask holds at most 254.")
    check_label_map(config)


def check_label_map(config: DataConfig) -> None:
    """Raise UserError for a data.label_map that is no mapping of 8-bit labels onto all of the classes."""
    if not config.label_map:
        return
    classes = len(config.classes)
    seen: set[int] = set()
    for pair in config.label_map:
        if len(pair) != 2 or not 0 <= pair[0] <= 255 or not (0 <= pair[1] < classes or pair[1] == config.ignore_index):
            raise UserError(
                f"data.label_map: {pair} is no pair of a label (0 to 255) and a class index (0 to {classes - 1}) or "
                f"the ignore label {config.ignore_index}."
            )
        if pair[0] in seen:
            raise UserError(f"data.label_map: label {pair[0]} is mapped twice.")
        seen.add(pair[0])
    if missing := set(range(classes)) - {pair[1] for pair in config.label_map}:
        raise UserError(f"data.label_map: no label is mapped to class {min(missing)} ({config.classes[min(missing)]}).")
