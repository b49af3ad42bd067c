"""What a cell is called: a signature or its beginning, or method/split/seed words (gta/92/seed0).

Reads `cell.json` files only and imports neither Hydra nor torch: completion in a shell and `logs` must be quick.
"""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cellfolder import CellFolder, cell_folders, readable
from gta.errors import UserError
from gta.text import did_you_mean, some

if TYPE_CHECKING:
    from gta.cell import Cell

SHORTEST = 3  # hex digits of a signature
SHOWN = 6  # names in a sentence
_HEX = re.compile(rf"[0-9a-f]{{{SHORTEST},}}")


@dataclass(frozen=True)
class Named:
    """A cell's names and its folder. `broken`: why its words are not known; its signature alone is its name then."""

    signature: str
    folder: CellFolder
    dataset: str
    method: str
    label: str
    split: str
    seed: int
    broken: str | None = None

    @property
    def name(self) -> str:
        """Its words: gta/1/16/seed0, shapes and the like left out."""
        if self.broken:
            return self.signature
        return f"{self.label}/{self.split}/seed{self.seed}".replace(" ", ",")

    def __str__(self) -> str:
        return self.signature if self.broken else f"{self.name} ({self.signature[:8]})"

    def spellings(self) -> set[str]:
        """All the words that mean it, whole or shortened: gta/1_16/seed0, gta/seed0, gta, voc/gta/1/16/seed0."""
        if self.broken:
            return set()
        methods = {self.method, self.label, self.label.replace(" ", ",")}
        splits = {self.split, self.split.replace("/", "_")}
        seed = f"seed{self.seed}"
        made = set()
        for method in methods:
            made |= {method, f"{method}/{seed}"}
            for split in splits:
                words = f"{method}/{split}"
                made |= {words, f"{words}/{seed}", f"{words}/{self.seed}"}
        return made | {f"{self.dataset}/{words}" for words in made}


def known(runs: Path) -> list[Named]:
    """Every cell below a folder of runs, by its words; those whose `cell.json` is broken last, by their signatures."""
    found = [named(folder) for folder in cell_folders(runs)]
    return sorted(found, key=lambda cell: (bool(cell.broken), cell.dataset, cell.name, cell.signature))


def named(folder: CellFolder) -> Named:
    """The cell in a folder."""
    problems: list[str] = []
    cell = readable(folder.identity, problems.append)
    if cell is None:
        why = problems[0] if problems else f"{folder.identity_file} was removed."
        return Named(folder.signature, folder, "", "", "", "", 0, why)
    return Named(folder.signature, folder, cell.dataset, cell.method, cell.label, cell.split, cell.seed)


def of_grid(cells: Iterable[Cell]) -> list[Named]:
    """The cells of a grid, frozen or not."""
    return [
        Named(
            cell.signature, cell.folder, cell.config.data.name, cell.config.method.name, cell.row,
            cell.config.data.split, cell.config.seed,
        )
        for cell in cells
    ]  # fmt: skip


def find(name: str, cells: Sequence[Named]) -> Named:
    """The one cell that is called `name`. Raises UserError where there is none, or more than one."""
    _say_broken([name], cells)
    return _one(name, cells)


def find_all(names: Sequence[str], cells: Sequence[Named]) -> list[Named]:
    """The cells that are called so, each once; a name with * or ? stands for all that it matches (gta/92/*)."""
    _say_broken(names, cells)
    found: dict[str, Named] = {}
    for name in names:
        if set(name) & set("*?["):
            matched = [cell for cell in cells if any(fnmatch.fnmatch(word, name) for word in cell.spellings())]
            if not matched:
                raise UserError(f"{name}: no cell is called so; {_meant(name, cells)}")
        else:
            matched = [_one(name, cells)]
        found.update({cell.signature: cell for cell in matched})
    return list(found.values())


def _one(name: str, cells: Sequence[Named]) -> Named:
    found = _matching(name, cells)
    if len(found) == 1:
        return found[0]
    if found:
        if len({(cell.dataset, cell.name) for cell in found}) == 1:
            raise UserError(
                f"{name} is what several cells are called: {some([str(cell) for cell in found], SHOWN)}; give the "
                "beginning of a signature, or the grid that is meant (sweep=NAME, with what changes it)."
            )
        raise UserError(
            f"{name} could be {some([str(cell) for cell in found], SHOWN)}; give more of it, "
            "or the beginning of its signature."
        )
    raise UserError(f"{name}: there is no such cell; {_meant(name, cells)}")


def _say_broken(names: Sequence[str], cells: Sequence[Named]) -> None:
    """A cell whose words are not known might be meant by words, too: that is said, on stderr."""
    if all(_HEX.fullmatch(name) or CellFolder(Path(name)).frozen for name in names):
        return
    for cell in cells:
        if cell.broken:
            print(f"One cell is known by its signature only: {cell.broken}", file=sys.stderr)


def _matching(name: str, cells: Sequence[Named]) -> list[Named]:
    folder = CellFolder(Path(name))
    if folder.frozen:
        return [cell for cell in cells if cell.folder.path.resolve() == folder.path.resolve()]
    if _HEX.fullmatch(name) and (found := [cell for cell in cells if cell.signature.startswith(name)]):
        return found
    return [cell for cell in cells if name.strip("/") in cell.spellings()]


def _meant(name: str, cells: Sequence[Named]) -> str:
    """The nearest names, or what there is."""
    if not cells:
        return "there are no cells here yet (another folder: paths.runs=FOLDER)."
    if re.fullmatch(r"[0-9a-f]{1,2}", name):
        return f"of a signature, give at least {SHORTEST} digits."
    words: dict[str, str] = {}
    for cell in cells:
        words.setdefault(cell.name, str(cell))
        words.setdefault(cell.signature[: max(len(name), SHORTEST)], str(cell))
    return did_you_mean(name.strip("/*"), words, most=3, cutoff=0.5)
