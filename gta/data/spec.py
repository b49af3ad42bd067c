"""What a data set must look like on disk, checked before anything reads it and shown when it is not so."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gta.config import MISSING, DataConfig, ShapesConfig
from gta.errors import UserError
from gta.fields import check_values

IGNORE = 255  # the label that counts nowhere, in every mask that leaves `gta.data`, whatever it is on disk
LABELED, UNLABELED = "labeled.txt", "unlabeled.txt"
ALL = "all"  # the split in which the whole train list is labeled; data.unlabeled_root has the unlabeled images
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm", ".gif", ".jp2")  # of pictures


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


def all_labeled(config: DataConfig) -> bool:
    """Whether no lists of a split are asked for, as the whole train list is labeled."""
    return config.split == ALL and bool(config.unlabeled_root)


def train_path(config: DataConfig) -> Path:
    """The list of all training ids; it need not be there unless lists are drawn from it."""
    return _list_path(config, config.train_list)


def val_path(config: DataConfig) -> Path:
    """The list of validation ids."""
    return _list_path(config, config.val_list)


def list_paths(config: DataConfig) -> list[Path]:
    """All lists that a config names, there or not."""
    paths = [train_path(config), val_path(config)]
    if config.split != MISSING:
        paths += [split_folder(config) / name for name in (LABELED, UNLABELED)]
    return paths


def _list_path(config: DataConfig, name: str) -> Path:
    """Below the root; `{split_dir}/NAME` is beside the splits, where public lists of some data sets lie."""
    beside = name.removeprefix("{split_dir}/")
    return Path(config.root) / name if beside == name else Path(config.split_dir) / beside


def shown_suffix(suffix: str) -> str:
    """`.jpg`, or `{.jpg,.png}` where there are several."""
    words = suffix.split()
    return words[0] if len(words) == 1 else "{" + ",".join(words) + "}" if words else ""


_PUT = (
    "Put it there, or name its place with data.root=FOLDER (for split lists data.split_dir=FOLDER; `gta splits import` "
    "brings public ones)."
)
_WHOLE = (
    f"data.split={ALL} labels the whole train list: name a folder of unlabeled images with data.unlabeled_root=FOLDER. "
    "To train on all labels alone, take method=fully_supervised with any other split (data.split=1/8)."
)


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
    advice: str

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
        return f"{self.trouble}. It is expected to look like this:\n" + "\n".join(lines) + f"\n{self.advice}"


def layout(config: DataConfig) -> Layout:
    """The layout of a data set. The two split lists are part of it unless this program can draw them."""
    root, below = Path(config.root), "**/" if config.nested or config.ids == "path" else ""
    kind = "colour masks, by data.colour_map" if config.colour_map else "index masks, "
    labels = "by data.label_map" if config.label_map else f"0 to {len(config.classes) - 1}"
    image, mask = (f"{below}ID{shown_suffix(suffix)}" for suffix in (config.image_suffix, config.mask_suffix))
    wanted = [
        (root / config.images, image, "images"),
        (root / config.masks, mask, kind if config.colour_map else kind + labels),
        (val_path(config), "", "validation ids, one a line"),
    ]
    if all_labeled(config):
        wanted.append((train_path(config), "", "training ids, one a line"))
    elif config.split != MISSING and own_ratio(config) is None:
        wanted += [
            (split_folder(config) / LABELED, "", "labeled ids, one a line"),
            (split_folder(config) / UNLABELED, "", "unlabeled ids, one a line"),
        ]
    parts = (LayoutPart(path, files, what, path.is_dir() if files else path.is_file()) for path, files, what in wanted)
    return Layout(root, tuple(parts), _WHOLE if config.split == ALL and not config.unlabeled_root else _PUT)


def check_layout(config: DataConfig) -> None:
    """Raise UserError for a description that cannot be right, or one that shows the layout and what of it is missing.

    Nothing is written.
    """
    check_names(config)
    check_classes(config)
    if (found := layout(config)).trouble:
        raise UserError(f"Data set {config.name}: {found.explained()}")


def check_names(config: DataConfig) -> None:
    """Raise UserError for a name that is none of a folder, and for folders of images and masks that leave the root."""
    if not re.fullmatch(r"\w[^/\\\x00-\x1f\x7f]*", config.name):
        raise UserError(
            f"data.name={config.name!r} is no name of a data set, which folders have, too: begin with a letter or "
            "digit, and leave out / and \\."
        )
    for key in ("images", "masks"):
        if ".." in Path(getattr(config, key)).parts:
            raise UserError(
                f"data.{key}={getattr(config, key)} leaves the data set's folder {config.root}: name one below it, and "
                "data.root=FOLDER as the one that holds both."
            )


def check_classes(config: DataConfig) -> None:
    """Raise UserError for classes that are none, too many or two of one name, and for what does not go with them:
    data.label_map, data.colour_map, data.ignore_index, data.image_range.
    """
    if not config.classes:
        raise UserError(f"Data set {config.name} names no classes: list them in data.classes, in index order.")
    if not 0 < len(config.classes) < 255:
        raise UserError(f"Data set {config.name} has {len(config.classes)} classes; an 8-bit mask holds at most 254.")
    if twice := next((name for name, count in Counter(config.classes).items() if count > 1), None):
        raise UserError(f"data.classes names {twice!r} twice: a class has one name, and a name is of one class.")
    check_label_map(config)
    check_colour_map(config)
    if config.image_range and (len(config.image_range) != 2 or not config.image_range[0] < config.image_range[1]):
        raise UserError(
            f"data.image_range is {list(config.image_range)}; give the values of black and white: [0,65535]."
        )


def check_label_map(config: DataConfig) -> None:
    """Raise UserError for a data.label_map that is no mapping of 8-bit labels onto all of the classes, and for a label
    that is a class and the ignore label at once.
    """
    classes, ignored = len(config.classes), config.ignore_index
    if not config.label_map:
        if 0 <= ignored < classes and not config.colour_map:
            pairs = [[label + (label >= ignored), label] for label in range(classes)]
            raise UserError(
                f"data.ignore_index={ignored} is also the class {ignored} ({config.classes[ignored]}): is the label "
                f"{ignored} ignored? Then leave it out of data.classes, or say which label is which class: "
                f"label_map: {pairs}."
            )
        return
    seen: set[int] = set()
    for pair in config.label_map:
        if len(pair) != 2 or not 0 <= pair[0] <= 255 or not _is_class(pair[1], config):
            raise UserError(
                f"data.label_map: {pair} is no pair of a label (0 to 255) and a class index (0 to {classes - 1}) or "
                f"the ignore label {ignored}."
            )
        if pair[0] in seen:
            raise UserError(f"data.label_map: label {pair[0]} is mapped twice.")
        seen.add(pair[0])
    _check_all("data.label_map: no label", {pair[1] for pair in config.label_map}, config)


def check_colour_map(config: DataConfig) -> None:
    """Raise UserError for a data.colour_map that is no mapping of RGB colours onto all of the classes."""
    if not config.colour_map:
        return
    if config.label_map:
        raise UserError("data.colour_map and data.label_map both say how masks are read: give one of them.")
    seen: set[tuple[int, ...]] = set()
    for row in config.colour_map:
        if len(row) != 4 or not all(0 <= value <= 255 for value in row[:3]) or not _is_class(row[3], config):
            raise UserError(
                f"data.colour_map: {row} is no row of red, green and blue (0 to 255) and a class index (0 to "
                f"{len(config.classes) - 1}) or the ignore label {config.ignore_index}."
            )
        if tuple(row[:3]) in seen:
            raise UserError(f"data.colour_map: the colour {row[:3]} is mapped twice.")
        seen.add(tuple(row[:3]))
    _check_all("data.colour_map: no colour", {row[3] for row in config.colour_map}, config)


def _is_class(label: int, config: DataConfig) -> bool:
    return 0 <= label < len(config.classes) or label in (config.ignore_index, IGNORE)


def _check_all(what: str, labels: set[int], config: DataConfig) -> None:
    if missing := set(range(len(config.classes))) - labels:
        raise UserError(f"{what} is mapped to class {min(missing)} ({config.classes[min(missing)]}).")


def check_options(options: ShapesConfig) -> None:
    """Raise UserError for options that make no data set."""
    check_values(options, "data.generator.")
    if options.min_objects > options.max_objects:
        raise UserError(
            f"data.generator.min_objects={options.min_objects} is above data.generator.max_objects="
            f"{options.max_objects}: the first is the fewest objects in a picture, the second the most."
        )
