"""The split of an experiment: its lists loaded and checked, and drawn where they are our own."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from gta.config import DataConfig
from gta.data.known import incomplete, known_name
from gta.data.listing import image_files, image_path, mask_files, mask_path
from gta.data.lists import digest, read_ids, read_lines
from gta.data.spec import LABELED, UNLABELED, own_seed, split_folder, train_path, val_path
from gta.errors import UserError


@dataclass(frozen=True)
class Split:
    """The ids of one experiment. Lists are sorted, so equal digests mean equal lists, order included."""

    labeled: list[str]
    unlabeled: list[str]
    val: list[str]
    ratio_base: int = 0  # what `ratio` is a share of; 0: of the labeled and unlabeled images together

    def __post_init__(self) -> None:
        for name in ("labeled", "unlabeled", "val"):
            object.__setattr__(self, name, sorted(getattr(self, name)))

    def digests(self) -> dict[str, str]:
        """sha256 of each list, by its name."""
        return {name: digest(getattr(self, name)) for name in ("labeled", "unlabeled", "val")}

    @property
    def ratio(self) -> str:
        """The share of labeled images as people write it: 662 of 10582 is `1/16`; `full` where it is all of them."""
        share = round((self.ratio_base or len(self.labeled) + len(self.unlabeled)) / len(self.labeled))
        return f"1/{share}" if share > 1 else "full"


def load_split(config: DataConfig) -> Split:
    """The split of a config, checked: disjoint lists, no training id in val, every file there.

    Masks are asked of labeled and validation images only. A published labeled list must come with the rest of its
    training set: on less the numbers would be no one's. Raises UserError that names the list, the line and the file
    or the other list. Each folder is listed once (a stat a file is slow on network file systems).
    """
    folder = split_folder(config)
    paths = {"labeled": folder / LABELED, "unlabeled": folder / UNLABELED, "val": val_path(config)}
    lists = {name: read_lines(path, config.image_suffix) for name, path in paths.items()}
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
            if item not in images:
                raise UserError(f"{paths[name]} line {line}: the image {image_path(config, item)} is not there.")
            if name != "unlabeled" and item not in masks:
                raise UserError(f"{paths[name]} line {line}: the mask {mask_path(config, item)} is not there.")
    split = Split(**{name: [item for item, _ in lines] for name, lines in lists.items()}, ratio_base=config.ratio_base)
    known = known_name(digest(split.labeled))
    if known and (wrong := incomplete(split.labeled, split.unlabeled)):
        raise UserError(
            f"{folder}: the labeled list is {known}, but {wrong}: take the unlabeled list that was published with it."
        )
    return split


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
    train_list = train_path(config)
    ids = sorted(read_ids(train_list, config.image_suffix))
    counts = {ratio: _labeled_count(ratio, len(ids), train_list) for ratio in ratios}
    from gta.data.balance import balanced_order, shown_classes  # reads masks: NumPy and Pillow

    order = [ids[i] for i in balanced_order(shown_classes(config, ids), seed)]
    folders = []
    for ratio, count in counts.items():
        folder = Path(config.split_dir) / ratio.strip().replace("/", "_")
        write_lists(folder, sorted(order[:count]), sorted(order[count:]))
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


def write_lists(folder: Path, labeled: list[str], unlabeled: list[str]) -> None:
    """Both lists appear at once, by the rename of a finished folder; a lost race is a list that is there
    already. Raises UserError where other lists are there.
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
        raise UserError(f"{folder} holds other lists than the new ones: remove it, or use another family.")
