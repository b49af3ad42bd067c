"""The split of an experiment: its lists loaded and checked."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gta.config import DataConfig
from gta.data.extra import files_digest, is_extra, twins
from gta.data.listing import chosen_digest, image_files, image_path, list_lines, mask_files, mask_path
from gta.data.lists import digest
from gta.data.spec import LABELED, UNLABELED, all_labeled, split_folder, train_path, val_path
from gta.data.splits.known import counted, incomplete, known_name, set_by_number
from gta.errors import UserError

FILES = "files"  # of the digests
ROUNDED_UP = 128  # shares so small that rounding up to a whole image makes them others: a power of two is meant


@dataclass(frozen=True)
class Sizes:
    """How many images the lists have, 0 where nobody knows. `ratio`: the share of labeled ones as people write it."""

    labeled: int = 0
    unlabeled: int = 0
    val: int = 0
    ratio: str = ""


@dataclass(frozen=True)
class Split:
    """The ids of one experiment. Lists are sorted, so equal digests mean equal lists, order included."""

    labeled: list[str]
    unlabeled: list[str]
    val: list[str]
    extra: str = ""  # digest of what data.unlabeled_root found, where it was asked for
    extra_n: int = 0  # how many of the unlabeled images these are
    files: str = ""  # digest of the files that lists choose by their paths, where there are such
    ratio_base: int = 0  # what `ratio` is a share of; 0: of the images that the lists name

    def __post_init__(self) -> None:
        for name in ("labeled", "unlabeled", "val"):
            object.__setattr__(self, name, sorted(getattr(self, name)))

    def digests(self) -> dict[str, str]:
        """sha256 of each list, by its name; of the unlabeled one also over `extra`; `files`, where there are such."""
        found = {name: digest(getattr(self, name)) for name in ("labeled", "unlabeled", "val")}
        if self.extra:
            found["unlabeled"] = digest([found["unlabeled"], self.extra])
        return found | ({FILES: self.files} if self.files else {})

    @property
    def ratio(self) -> str:
        """The share of labeled images as people write it: 662 of 10582 is `1/16`, 232 of 118287 `1/512`, which is
        rounded up to a whole image; `full` where it is all of them. What `data.unlabeled_root` found does not count.
        """
        total = self.ratio_base or len(self.labeled) + len(self.unlabeled) - self.extra_n
        share = round(total / len(self.labeled))
        if share >= ROUNDED_UP and -(-total // (near := 2 ** round(math.log2(share)))) == len(self.labeled):
            share = near
        return f"1/{share}" if share > 1 else "full"

    @property
    def sizes(self) -> Sizes:
        return Sizes(len(self.labeled), len(self.unlabeled), len(self.val), self.ratio)


def list_files(config: DataConfig) -> dict[str, Path]:
    """The files of the lists, by their names; no unlabeled one where the whole train list is labeled."""
    if all_labeled(config):
        return {"labeled": train_path(config), "val": val_path(config)}
    folder = split_folder(config)
    return {"labeled": folder / LABELED, "unlabeled": folder / UNLABELED, "val": val_path(config)}


def lists_alone(config: DataConfig) -> dict[str, list[str]]:
    """The lists that can be read although images or other lists are not there, by their names; unchecked. None of
    those whose ids only the images tell (`data.ids=path`, `data.unlabeled_root`).
    """
    found: dict[str, list[str]] = {}
    for name, path in list_files(config).items():
        if config.ids != "path" and not (name == "unlabeled" and config.unlabeled_root):
            with suppress(UserError):
                found[name] = [item for item, _ in list_lines(config, path)]
    return found


def load_split(config: DataConfig) -> Split:
    """The split of a config, checked: disjoint lists, no training id in val, every file there.

    Masks are asked of labeled and validation images only. A published labeled list must come with the rest of its
    training set: on less the numbers would be no one's. Raises UserError that names the list, the line and the file
    or the other list. Each folder is listed once (a stat a file is slow on network file systems).
    """
    folder, paths = split_folder(config), list_files(config)
    lists = {name: list_lines(config, path) for name, path in paths.items()}
    seen: dict[str, tuple[Path, int]] = {}
    for name, lines in lists.items():
        for item, line in lines:
            if item in seen:
                other, other_line = seen[item]
                raise UserError(
                    f"{paths[name]} line {line}: {item} is also in {other} (line {other_line}); the labeled, "
                    "unlabeled and validation lists must not share an image."
                )
            seen[item] = (paths[name], line)
    images, masks = image_files(config), mask_files(config)
    for name, lines in lists.items():
        for item, line in lines:
            for files, kind, expected in ((images, "image", image_path), (masks, "mask", mask_path)):
                if item not in files and (kind == "image" or name != "unlabeled"):
                    said = files.absent(kind, item, expected(config, item))
                    raise UserError(f"{paths[name]} line {line}: {said}")
    ids = {"unlabeled": [], **{name: [item for item, _ in lines] for name, lines in lists.items()}}
    of = set_by_number(config, ids["labeled"])
    known = known_name(digest(ids["labeled"])) or counted(of, ids["labeled"])
    if known and not all_labeled(config) and (wrong := incomplete(ids["labeled"], ids["unlabeled"], of)):
        raise UserError(
            f"{folder}: the labeled list is {known}, but {wrong}: take the unlabeled list that was published with it."
        )
    extra = extra_ids(config, images, seen, ids["val"])
    ids["unlabeled"] += extra
    if not ids["unlabeled"]:
        raise UserError(f"data.unlabeled_root={config.unlabeled_root} holds nothing but images that the lists name.")
    found = files_digest({item: images[item] for item in extra}) if extra else ""
    chosen = chosen_digest(images, masks, seen)
    return Split(**ids, extra=found, extra_n=len(extra), files=chosen, ratio_base=config.ratio_base)


def extra_ids(config: DataConfig, images: Mapping[str, str], listed: Iterable[str], val: Collection[str]) -> list[str]:
    """The ids of what `data.unlabeled_root` found, without the images that the lists name, and without copies of those
    of the validation list, `val`. Raises UserError for a file that cannot be read.
    """
    if not config.unlabeled_root:
        return []
    folder = Path(config.root) / config.images
    found = {item: path for item, path in images.items() if is_extra(path)}
    same = twins(found, {item: str(folder / images[item]) for item in listed if item in images}, val)
    return [item for item in found if item not in same]
