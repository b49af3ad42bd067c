"""What the seeds of one mean have unlike, though they should differ in the seed alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analysis.cells import TableCell
from gta.text import some

_NAMED = 3  # settings, or means, in a sentence
_LONGEST = 40  # characters of a value


def means(cells: Iterable[TableCell]) -> dict[str, list[TableCell]]:
    """The cells whose numbers one entry of the table is the mean of, by its row and column."""
    found: dict[str, list[TableCell]] = {}
    for cell in cells:
        found.setdefault(f"{cell.row} {cell.column}", []).append(cell)
    return found


def settings(cells: Sequence[TableCell]) -> list[str]:
    """The settings in which seeds of one mean differ: "schedule.lr 0.01 (seed 0), 0.11 (seed 1) of gta 1/8 (50)".

    A setting that one cell has and another has not is at its default there (`gta.fields.result`, `later`).
    """
    together = means(cells)
    where: dict[str, list[str]] = {}
    for place, group in together.items():
        for name in dict.fromkeys(name for cell in group for name in cell.settings):
            seeds: dict[str, list[int]] = {}
            for cell in sorted(group, key=lambda cell: cell.seed):
                seeds.setdefault(cell.settings.get(name, "its default"), []).append(cell.seed)
            if len(seeds) > 1:
                where.setdefault(f"{name} {_by_seed(seeds)}", []).append(place)
    everywhere = len(together) if len(together) > 1 else 0
    return [
        f"{said} {'of every mean' if len(places) == everywhere else f'of {some(places, _NAMED)}'}"
        for said, places in where.items()
    ]


def few(told: Sequence[str]) -> str:
    """The first of many, parted by semicolons."""
    more = len(told) - _NAMED
    return "; ".join(told[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _by_seed(seeds: dict[str, list[int]]) -> str:
    return ", ".join(
        f"{text if len(text) <= _LONGEST else text[: _LONGEST - 3] + '...'} "
        f"({'seed' if len(ones) == 1 else 'seeds'} {', '.join(map(str, ones))})"
        for text, ones in seeds.items()
    )
