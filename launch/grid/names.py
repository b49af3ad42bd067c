"""What a cell is called: a signature or its beginning, or method/split/seed words (gta/92/seed0).

Reads `cell.json` files only and imports neither Hydra nor torch: completion in a shell and `logs` must be quick.
"""

from __future__ import annotations

import difflib
import fnmatch
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gta.errors import UserError

if TYPE_CHECKING:
    from gta.cell import Cell

SHORTEST = 3  # hex digits of a signature
SHOWN = 6  # names in a sentence


@dataclass(frozen=True)
class Named:
    """A cell's names and its folder."""

    signature: str
    folder: Path
    dataset: str
    method: str
    label: str
    split: str
    seed: int

    @property
    def name(self) -> str:
        """Its words: gta/1/16/seed0, shapes and the like left out."""
        return f"{self.label}/{self.split}/seed{self.seed}".replace(" ", ",")

    def __str__(self) -> str:
        return f"{self.name} ({self.signature[:8]})"

    def spellings(self) -> set[str]:
        """All the words that mean it, whole or shortened: gta/1_16/seed0, gta/seed0, gta, voc/gta/1/16/seed0."""
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
    """Every cell below a folder of runs, by its words. Cells whose `cell.json` cannot be read are left out."""
    found = []
    for path in (runs / "cells").glob("*/cell.json"):
        try:
            cell = json.loads(path.read_text())
            found.append(
                Named(
                    path.parent.name, path.parent, cell["dataset"], cell["method"], cell["label"], cell["split"],
                    cell["seed"],
                )
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda cell: (cell.dataset, cell.name, cell.signature))


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
    found = _matching(name, cells)
    if len(found) == 1:
        return found[0]
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise UserError(
            f"{name} could be {', '.join(str(cell) for cell in found[:SHOWN])}{more}; give more of it, "
            "or the beginning of its signature."
        )
    raise UserError(f"{name}: there is no such cell; {_meant(name, cells)}")


def find_all(names: Sequence[str], cells: Sequence[Named]) -> list[Named]:
    """The cells that are called so, each once; a name with * or ? stands for all that it matches (gta/92/*)."""
    found: dict[str, Named] = {}
    for name in names:
        if set(name) & set("*?["):
            matched = [cell for cell in cells if any(fnmatch.fnmatch(word, name) for word in cell.spellings())]
            if not matched:
                raise UserError(f"{name}: no cell is called so; {_meant(name, cells)}")
        else:
            matched = [find(name, cells)]
        found.update({cell.signature: cell for cell in matched})
    return list(found.values())


def _matching(name: str, cells: Sequence[Named]) -> list[Named]:
    folder = Path(name)
    if (folder / "cell.json").exists():
        return [cell for cell in cells if cell.folder.resolve() == folder.resolve()]
    if re.fullmatch(rf"[0-9a-f]{{{SHORTEST},}}", name) and (
        found := [cell for cell in cells if cell.signature.startswith(name)]
    ):
        return found
    return [cell for cell in cells if name.strip("/") in cell.spellings()]


def _meant(name: str, cells: Sequence[Named]) -> str:
    """The nearest names, or what there is."""
    if not cells:
        return "there are no cells here yet (another folder: paths.runs=FOLDER)."
    if re.fullmatch(r"[0-9a-f]{1,2}", name):
        return f"of a signature, give at least {SHORTEST} digits."
    words: dict[str, Named] = {}
    for cell in cells:
        words.setdefault(cell.name, cell)
        words.setdefault(cell.signature[: max(len(name), SHORTEST)], cell)
    close = difflib.get_close_matches(name.strip("/*"), words, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(dict.fromkeys(str(words[word]) for word in close))}?"
    return f"there are {', '.join(str(cell) for cell in cells[:SHOWN])}{' ...' if len(cells) > SHOWN else ''}."
