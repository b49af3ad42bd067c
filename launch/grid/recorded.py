"""The cells of a grid that is only read: by its lists where they are at hand, else by the records below paths.runs.

A table, or the state of a grid, asks neither for images nor for initial weights: what a cell is stands in its folder.
So a copy of paths.runs says all of it. Where a list or the weights cannot be read, the cell is the one whose record has
the signature that the composed config has with the digests of that record, and whose frozen config names the same lists
and weights; a number is never taken for that of another cell. Nothing is written where records tell the cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gta.cell import UNKNOWN, Cell, cell_folder, checked, data_key, maths, of_length, signature, weights_digest
from gta.cellfolder import CellFolder, Identity, cell_folders, readable
from gta.config import Config, DataConfig
from gta.data.lists import digest
from gta.data.prepare import prepare
from gta.data.spec import ALL, layout
from gta.data.splits.split import FILES, Sizes, Split, list_files, lists_alone, load_split
from gta.errors import UserError
from gta.methods import METHODS

LISTS = ("labeled", "unlabeled", "val")
WEIGHTS = "weights"
METHOD = "method"  # the source of a user's own


def read(configs: Sequence[Config]) -> list[Cell]:
    """One cell for each composed config, in order.

    Raises UserError for settings that no cell could have, for two records of one cell of the grid that nothing at hand
    tells apart, and, where no record is of any of the cells, what `Cell.prepare` raises.
    """
    ready, lists, found = _found(configs)
    if not any(cell is not None and cell.not_at_hand for cell in found):
        splits: dict[str, Split] = {}
        return [cell or Cell.prepare(config, splits) for config, cell in zip(configs, found, strict=True)]
    sizes = {data_key(config): cell.sizes for config, cell in zip(ready, found, strict=True) if cell is not None}
    return [
        cell or _unknown(config, sizes.get(data_key(config), Sizes()), lists[data_key(config)])
        for config, cell in zip(ready, found, strict=True)
    ]


def known(configs: Sequence[Config]) -> list[Cell | None]:
    """As `read`, but nothing is made: None for a cell that neither lists at hand nor records tell."""
    return _found(configs)[2]


def _found(configs: Sequence[Config]) -> tuple[list[Config], dict[str, Lists], list[Cell | None]]:
    """The checked configs, the lists at hand of each data set, and the cells that these and records tell."""
    ready = [checked(config) for config in configs]
    lists: dict[str, Lists] = {}
    records: dict[str, Records] = {}
    found: list[Cell | None] = []
    for config in ready:
        if (key := data_key(config)) not in lists:
            lists[key] = Lists.at_hand(config)
        found.append(_cell(config, lists[key], records))
    return ready, lists, found


@dataclass(frozen=True)
class Lists:
    """What is at hand of the lists of a config: all of them, or the digests of some. `files`: whether it is known that
    no list chooses a file, or which it chooses: images and masks alone tell.
    """

    split: Split | None
    digests: Mapping[str, str]
    files: bool = True

    @classmethod
    def at_hand(cls, config: Config) -> Lists:
        """Nothing is generated or drawn for it."""
        data = config.data
        try:
            if not layout(data).trouble and all(path.is_file() for path in list_files(data).values()):
                prepare(data)
                split = load_split(data)
                return cls(split, split.digests())
        except UserError:
            pass  # an image that is not there, say: the lists may still say which cell it is
        if data.generator is not None:  # lists may be of other options, unless they lie beside what they made
            return cls(None, {})
        alone = lists_alone(data)
        if set(alone) == set(LISTS):
            split = Split(alone["labeled"], alone["unlabeled"], alone["val"], ratio_base=data.ratio_base)
            return cls(split, split.digests(), files=False)
        return cls(None, {name: digest(ids) for name, ids in alone.items()})


def _cell(config: Config, lists: Lists, records: dict[str, Records]) -> Cell | None:
    """By the lists and the weights, or else by the one record that can be meant; None where there is none."""
    whole = lists.split is not None and bool(_weights(config)) and METHODS.at_hand(config.method)
    if not whole or not lists.files:
        runs = config.paths.runs
        if runs not in records:
            records[runs] = Records(Path(runs))
        if (found := records[runs].cell(config, _known(config, lists))) is not None:
            return found
    if not whole or lists.split is None:
        return None
    return Cell.of(of_length(config, len(lists.split.unlabeled)), lists.split)


def _weights(config: Config) -> str:
    """The digest of the initial weights; empty where they are not there."""
    try:
        return weights_digest(config.model.weights)
    except (UserError, OSError):
        return ""


def _unknown(config: Config, sizes: Sizes, lists: Lists) -> Cell:
    """A cell that no record is of, and whose lists or weights are not at hand."""
    if sizes.labeled:
        config = of_length(config, sizes.unlabeled)
    name = UNKNOWN + signature(config, {"lists": data_key(config)}, maths(config))[1:]
    return Cell(config, None, name, {}, cell_folder(config, name), sizes, _absent(config, _known(config, lists)))


def _known(config: Config, lists: Lists) -> dict[str, str]:
    """The digests of what is at hand."""
    weights = _weights(config)
    method = METHODS.digests(config.method) if METHODS.at_hand(config.method) else {}
    return {**lists.digests, **({WEIGHTS: weights} if weights else {}), **method}


def _absent(config: Config, digests: Mapping[str, str]) -> tuple[str, ...]:
    wanted = (*LISTS, WEIGHTS, *METHODS.digests(config.method))
    return tuple(name for name in wanted if name not in digests)


class Records:
    """The records of all cells below a folder of runs; each is read once. One that is broken is of no cell here."""

    def __init__(self, runs: Path):
        self.known: dict[tuple[str, str, str, int], list[tuple[CellFolder, Identity]]] = {}
        for folder in cell_folders(runs):
            if (found := readable(folder.identity, say=lambda _: None)) is not None:
                place = found.dataset, _folder_name(found.split), found.split_family, found.seed
                self.known.setdefault(place, []).append((folder, found))

    def cell(self, config: Config, digests: Mapping[str, str]) -> Cell | None:
        """The cell of a config that is recorded here; `digests` are those that are known. Raises UserError where two
        records could be meant.
        """
        data = config.data
        place = data.name, _folder_name(data.split), data.split_family, config.seed
        found = [
            cell
            for folder, record in self.known.get(place, [])
            if (cell := _recorded(config, digests, record)) is not None and _same_places(config, folder)
        ]
        if len(found) > 1:  # of before lists' choices of files were in the signature, and of since then
            found = [cell for cell in found if FILES in cell.digests] or found
        if len(found) > 1:
            raise UserError(_refusal(found))
        return found[0] if found else None


def _recorded(config: Config, digests: Mapping[str, str], record: Identity) -> Cell | None:
    """The recorded cell, where it is the one that the config is with the lists and weights of the record."""
    if any(record.digests.get(name) != known for name, known in digests.items()):
        return None
    try:
        whole = of_length(config, record.unlabeled)
    except UserError:  # of so many images no cell could be of this config
        return None
    if signature(whole, record.digests, maths(whole)) != record.signature:
        return None
    sizes = Sizes(record.labels, record.unlabeled, record.val, record.ratio)
    folder = cell_folder(whole, record.signature)
    return Cell(whole, None, record.signature, record.digests, folder, sizes, _absent(whole, digests))


def _same_places(config: Config, folder: CellFolder) -> bool:
    """Whether the frozen config names its lists and weights as this one does."""
    settings = readable(folder.settings, say=lambda _: None)
    try:
        return settings is not None and _places(settings) == _places(asdict(config))
    except (KeyError, TypeError, AttributeError):  # written by another version, or by hand
        return False


def _places(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a config calls its lists and weights, whose digests alone are in the signature; places as seen from the
    folders that `paths` names, since these differ between machines.
    """
    data, paths = settings["data"], settings["paths"]
    tops = [Path(paths[name]) for name in ("data", "splits", "weights")] + [Path(paths["runs"]).parent]
    usual = DataConfig()
    names = {name: data.get(name, getattr(usual, name)) for name in ("val_list", "ids")}
    if data["split"] == ALL:
        names["train_list"] = data.get("train_list", usual.train_list)
    places = {
        "split_dir": data["split_dir"],
        "unlabeled_root": data.get("unlabeled_root", ""),
        WEIGHTS: settings["model"][WEIGHTS],
    }
    return names | {name: _seen_from(tops, path) for name, path in places.items()}


def _seen_from(tops: Sequence[Path], path: str) -> tuple[int, str]:
    """The number of the nearest of the folders that the path is below, and the path from there; -1 for none."""
    below = [(len(top.parts), number) for number, top in enumerate(tops) if Path(path).is_relative_to(top)]
    if not path or not below:
        return -1, path
    nearest = max(parts for parts, _ in below)
    number = next(number for parts, number in below if parts == nearest)
    return number, str(Path(path).relative_to(tops[number]))


def _folder_name(split: str) -> str:
    return split.replace("/", "_")


def _refusal(found: Sequence[Cell]) -> str:
    differing = [
        name for name in (*LISTS, FILES, WEIGHTS, METHOD) if len({cell.digests.get(name) for cell in found}) > 1
    ]
    named = " and ".join(f"{cell.signature[:8]} ({_digests([cell], differing)})" for cell in found)
    return (
        f"{found[0].title} could be {named} in {found[0].folder.path.parent}, and what would tell is not at hand here "
        f"({', '.join(found[0].not_at_hand)}): bring them (paths.data=, paths.splits=, paths.weights=, ./methods), or "
        "move aside the folder that is not meant."
    )


def told(cells: Iterable[Cell]) -> str:
    """What is to be said of cells whose lists or weights are not at hand, with the digests that their records hold, in
    a sentence without its full stop; empty where there is no such cell.
    """
    without = [cell for cell in cells if cell.not_at_hand]
    absent = [name for name in (*LISTS, FILES, WEIGHTS, METHOD) if any(name in cell.not_at_hand for cell in without)]
    if not absent:
        return ""
    words = [
        f"{name} lists" if name in LISTS else {METHOD: "sources of methods", FILES: "choices of files"}.get(name, name)
        for name in absent
    ]
    return (
        f"Not at hand: {', '.join(words)}; cells are those of the same settings in the folder of runs, whose records "
        f"say {_digests(without, absent)}"
    )


def _digests(cells: Iterable[Cell], names: Iterable[str]) -> str:
    """Such as "labeled a14c6f7a, 8f29b556; val c247ad3d"."""
    held = {name: dict.fromkeys(cell.digests[name][:8] for cell in cells if name in cell.digests) for name in names}
    return "; ".join(f"{name} {', '.join(digests)}" for name, digests in held.items() if digests)
