"""Draws class-balanced labeled lists of our own, and writes the two lists of a split so that both appear at once."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from gta.config import DataConfig
from gta.data.listing import list_ids
from gta.data.lists import digest, list_text, read_entries
from gta.data.spec import LABELED, UNLABELED, own_ratio, own_seed, split_folder, train_path
from gta.errors import UserError
from gta.files import make_folder, write_text

DRAWN = "drawn.json"  # beside the lists: their digests as they were drawn


def draw(config: DataConfig, ratios: list[str], seed: int) -> list[Path]:
    """Draw class-balanced lists from the train list, one folder a ratio (`1/8` -> `<split_dir>/1_8`).

    One order of the train images is drawn (`gta.data.splits.balance`), and a ratio takes its first n =
    round(N ratio) as labeled and the rest as unlabeled: smaller lists are contained in larger ones. A list
    that is there already and equal is left alone; one that differs is an error. Two processes may draw at
    once. Returns the folders. Raises UserError for a ratio that is not between 0 and 1, rounds to
    no image, or leaves none unlabeled.
    """
    family = own_seed(config)
    if family is not None and family != seed:
        raise UserError(
            f"Lists drawn with seed {seed} belong in data.split_family=seed{seed}, not {config.split_family}."
        )
    train_list = train_path(config)
    ids = sorted(list_ids(config, train_list))
    counts = {ratio: _labeled_count(ratio, len(ids), train_list) for ratio in ratios}
    from gta.data.splits.balance import balanced_order, shown_classes  # reads masks: NumPy and Pillow

    order = [ids[i] for i in balanced_order(shown_classes(config, ids), seed)]
    folders = []
    for ratio, count in counts.items():
        folder = split_folder(replace(config, split=ratio.strip()))
        write_lists(config, folder, sorted(order[:count]), sorted(order[count:]), drawn=True)
        folders.append(folder)
    return folders


def check_drawn(config: DataConfig) -> None:
    """Raise UserError where lists that go by a seed's name are not those that this program drew (they were edited), or
    not those of the train list of now (it was edited, or is another file): they would be trained on under a false name,
    or without a word of images that came or went. Without a train list, or of lists of somebody else, there is nothing
    to compare.
    """
    if wrong := edited(config):
        raise UserError(wrong)
    folder, train_list = split_folder(config), train_path(config)
    if own_ratio(config) is None or not train_list.is_file():
        return
    drawn = {item for name in (LABELED, UNLABELED) for item in list_ids(config, folder / name)}
    train = set(list_ids(config, train_list))
    if drawn == train:
        return
    told = ((len(train - drawn), "of its images are in neither list"), (len(drawn - train), "of theirs are not in it"))
    raise UserError(
        f"The lists in {folder} were not drawn from {train_list} as it is now "
        f"({', '.join(f'{count} {what}' for count, what in told if count)}): put the train list back, or draw others, "
        "which makes other cells: name another place with data.split_dir=FOLDER, or remove that folder."
    )


def edited(config: DataConfig) -> str:
    """That lists which go by a seed's name are others than were drawn, and what to do; else empty. Lists without a
    record of that (drawn by an earlier version) are taken as they are; `gta splits make` draws anew and compares.
    """
    folder = split_folder(config)
    if own_ratio(config) is None or (drawn := _drawn(folder)) is None:
        return ""
    now = {name: digest(list_ids(config, folder / name)) for name in (LABELED, UNLABELED)}
    names = [name for name in now if now[name] != drawn.get(name)]
    if not names:
        return ""
    told = "; ".join(f"{name} is {now[name][:8]}, and was drawn as {str(drawn.get(name))[:8]}" for name in names)
    family = config.split_family
    move = (
        f"move the folder to {folder.parent.with_name('mine') / folder.name} and "
        if folder.parent.name == family
        else ""
    )
    return (
        f"The lists in {folder} were edited ({told}), and {family} is the name of those that this program draws: "
        f"remove that folder, and they are drawn again; or give yours a name of their own: {move}say "
        "data.split_family=mine."
    )


def _drawn(folder: Path) -> dict[str, str] | None:
    try:
        found = json.loads((folder / DRAWN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _labeled_count(ratio: str, total: int, train_list: Path) -> int:
    try:
        value = Fraction(ratio)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value < 1 or "/" not in ratio:
        raise UserError(f"The ratio {ratio!r} is not a share of labeled images: write it like 1/8.")
    count = round(total * value)
    if not count:
        raise UserError(f"The ratio {ratio} of the {total} images in {train_list} is no image; use 1/{total}, for one.")
    if count >= total:
        raise UserError(f"The ratio {ratio} of the {total} images in {train_list} leaves none unlabeled.")
    return count


def write_lists(
    config: DataConfig, folder: Path, labeled: list[str], unlabeled: list[str], drawn: bool = False
) -> None:
    """Both lists appear at once, by the rename of a finished folder; a lost race is a list that is there
    already. `drawn`: this program drew them, which is recorded beside them. Raises UserError where other lists are
    there, and for an id that no list can hold.
    """
    lists, paths = {LABELED: labeled, UNLABELED: unlabeled}, config.ids == "path"
    texts = {name: list_text(ids, config.image_suffix, paths) for name, ids in lists.items()}

    record = json.dumps({name: digest(ids) for name, ids in lists.items()}, indent=2) + "\n"

    def fill(new: Path) -> None:
        for name, text in texts.items():
            (new / name).write_text(text, encoding="utf-8")
        if drawn:
            (new / DRAWN).write_text(record, encoding="utf-8")

    make_folder(folder, fill)
    for name, ids in lists.items():
        there = read_entries(folder / name, config.image_suffix, paths)
        if digest(entry.item for entry in there) != digest(ids):
            raise UserError(f"{folder} holds other lists than the new ones: remove it, or use another family.")
    if drawn and _drawn(folder) is None:  # of an earlier version
        write_text(folder / DRAWN, record)
