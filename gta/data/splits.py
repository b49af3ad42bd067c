"""Split lists: read in the formats in which people publish them, checked, digested, and drawn."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path, PurePosixPath

from gta.config import DataConfig
from gta.data.spec import LABELED, UNLABELED, own_seed, split_folder
from gta.errors import UserError

_PUBLISHED = re.compile(r"(_leftImg8bit)?\.(jpe?g|png)$", re.IGNORECASE)  # what published lists have after an id


@dataclass(frozen=True)
class Split:
    """The ids of one experiment. Lists are sorted, so equal digests mean equal lists, order included."""

    labeled: list[str]
    unlabeled: list[str]
    val: list[str]

    def __post_init__(self) -> None:
        for name in ("labeled", "unlabeled", "val"):
            object.__setattr__(self, name, sorted(getattr(self, name)))

    def digests(self) -> dict[str, str]:
        """sha256 of each list, by its name."""
        return {name: digest(getattr(self, name)) for name in ("labeled", "unlabeled", "val")}

    @property
    def ratio(self) -> str:
        """The share of labeled images as people write it: 662 of 10582 is `1/16`."""
        return f"1/{round((len(self.labeled) + len(self.unlabeled)) / len(self.labeled))}"


def digest(ids: Iterable[str]) -> str:
    """sha256 in hex over the sorted ids, each followed by a newline: the same for a list in any order and
    format.
    """
    return hashlib.sha256("".join(f"{i}\n" for i in sorted(ids)).encode()).hexdigest()


def read_ids(path: str | Path, suffix: str = "") -> list[str]:
    """The ids of a list, in its order.

    A line is a bare id, an image path (`JPEGImages/ID.jpg`, `leftImg8bit/train/aachen/ID_leftImg8bit.png`),
    or either with a label path in a second column, which is not used. `suffix` is what follows an id in the
    data set's image names, where that is none of the usual ones. Raises UserError, naming the line, for an id
    that is a path (`../x`), a third column, an id given twice, and for a list that is empty or absent.
    """
    return [item for item, _ in _read(Path(path), suffix)]


def load_split(config: DataConfig) -> Split:
    """The split of a config, checked: disjoint lists, no training id in val, every file there.

    Masks are asked of labeled and validation images only. Raises UserError that names the list, the line and
    the file or the other list. Each folder is listed once (a stat a file is slow on network file systems).
    """
    folder = split_folder(config)
    paths = {
        "labeled": folder / LABELED,
        "unlabeled": folder / UNLABELED,
        "val": Path(config.root) / config.val_list,
    }
    lists = {name: _read(path, config.image_suffix) for name, path in paths.items()}
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
    images = _names(Path(config.root) / config.images)
    masks = _names(Path(config.root) / config.masks)
    for name, lines in lists.items():
        for item, line in lines:
            if item + config.image_suffix not in images:
                file = Path(config.root) / config.images / (item + config.image_suffix)
                raise UserError(f"{paths[name]} line {line}: the image {file} is not there.")
            if name != "unlabeled" and item + config.mask_suffix not in masks:
                file = Path(config.root) / config.masks / (item + config.mask_suffix)
                raise UserError(f"{paths[name]} line {line}: the mask {file} is not there.")
    return Split(**{name: [item for item, _ in lines] for name, lines in lists.items()})


def draw(config: DataConfig, ratios: list[str], seed: int) -> list[Path]:
    """Draw class-balanced lists from the train list, one folder a ratio (`1/8` -> `<split_dir>/1_8`).

    One order of the train images is drawn (`gta.data.balance`), and a ratio takes its first n = max(1,
    round(N ratio)) as labeled and the rest as unlabeled: smaller lists are contained in larger ones. A list
    that is there already and equal is left alone; one that differs is an error. Two processes may draw at
    once. Returns the folders. Raises UserError for a ratio that is not between 0 and 1 or leaves no image
    unlabeled.
    """
    family = own_seed(config)
    if family is not None and family != seed:
        raise UserError(
            f"Lists drawn with seed {seed} belong in data.split_family=seed{seed}, not {config.split_family}."
        )
    train_list = Path(config.root) / config.train_list
    ids = sorted(read_ids(train_list, config.image_suffix))
    counts = {ratio: _labeled_count(ratio, len(ids), train_list) for ratio in ratios}
    from gta.data.balance import balanced_order, shown_classes  # reads masks: NumPy and Pillow

    order = [ids[i] for i in balanced_order(shown_classes(config, ids), seed)]
    folders = []
    for ratio, count in counts.items():
        folder = Path(config.split_dir) / ratio.strip().replace("/", "_")
        _write_lists(folder, sorted(order[:count]), sorted(order[count:]))
        folders.append(folder)
    return folders


def _labeled_count(ratio: str, total: int, train_list: Path) -> int:
    try:
        value = Fraction(ratio)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value < 1 or "/" not in ratio:
        raise UserError(f"The ratio {ratio!r} is not a share of labeled images: write it like 1/8.")
    count = max(1, round(total * value))
    if count >= total:
        raise UserError(f"The ratio {ratio} of the {total} images in {train_list} leaves none unlabeled.")
    return count


def _write_lists(folder: Path, labeled: list[str], unlabeled: list[str]) -> None:
    """Both lists appear at once, by the rename of a finished folder; a lost race is a list that is there
    already.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        temporary.chmod(0o755)
        for name, ids in ((LABELED, labeled), (UNLABELED, unlabeled)):
            (temporary / name).write_text("".join(f"{i}\n" for i in ids), encoding="utf-8")
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if (digest(read_ids(folder / LABELED)), digest(read_ids(folder / UNLABELED))) != (
        digest(labeled),
        digest(unlabeled),
    ):
        raise UserError(
            f"{folder} holds other lists than those drawn now: remove it, or set another data.split_family."
        )


def _read(path: Path, suffix: str = "") -> list[tuple[str, int]]:
    """(id, line number) of each line that is not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"The list {path} is not there.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The list {path} cannot be read as text: {error}.") from None
    first: dict[str, int] = {}
    for line, content in enumerate(text.splitlines(), start=1):
        columns = content.split()
        if not columns:
            continue
        if len(columns) > 2:
            raise UserError(
                f"{path} line {line}: {len(columns)} columns, but a line is an id or image and label paths."
            )
        item = _id(columns[0], suffix)
        if item is None:
            raise UserError(
                f"{path} line {line}: {columns[0]!r} is no image id (a file name without folder and suffix)."
            )
        if item in first:
            raise UserError(f"{path} line {line}: {item} is there twice (first in line {first[item]}).")
        first[item] = line
    if not first:
        raise UserError(f"The list {path} is empty.")
    return list(first.items())


def _id(entry: str, suffix: str) -> str | None:
    """The id in a list's first column; None where it could leave the data folder or is no image's path."""
    path = PurePosixPath(entry)
    if ".." in path.parts or "\\" in entry or "\0" in entry:
        return None
    name = path.name.removesuffix(suffix) if suffix and path.name.endswith(suffix) else _PUBLISHED.sub("", path.name)
    if name in ("", ".") or (len(path.parts) > 1 and name == path.name):
        return None
    return name


def _names(folder: Path) -> frozenset[str]:
    """File names in a folder; listed again only when the folder has changed (a grid asks once a cell)."""
    try:
        return _listing(str(folder), folder.stat().st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"The folder {folder} is not there.") from None


@lru_cache(maxsize=8)
def _listing(folder: str, changed: int) -> frozenset[str]:
    with os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries)
