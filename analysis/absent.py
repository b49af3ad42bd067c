"""Which classes a table's means are over: one that neither masks nor predictions have is in none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from analysis.entry import BEST, LAST, SeedScore, TableEntry
from analysis.view import Facet

Entries = Mapping[tuple[str, str], TableEntry]  # (row, column) -> its scores


class Classes(NamedTuple):
    """How many classes the data set has, and which of them are in no mask and no prediction."""

    total: int
    absent: tuple[str, ...]

    @property
    def words(self) -> str:
        return f"{self.total - len(self.absent)} of {self.total} classes"


def notes(entries: Entries, facets: Mapping[str, Facet], brackets: bool, baseline: str = "") -> list[str]:
    """Sentences on the classes of the numbers that are shown, with the rows that leave some out; `facets`: of each
    column; `brackets`: whether the best scores stand in brackets. Of differences to the `baseline` it is said where
    they are between means over other classes.
    """
    text = []
    for facet in dict.fromkeys(facets.values()):
        shown = _of(entries, facets, facet)
        where = f"In columns marked{facet.mark}, the" if len(set(facets.values())) > 1 else "The"
        text += _sentences(_grouped(shown, facet.which), f"{where} mean is", shown)
        if baseline and (others := _unlike(shown, facet.which, baseline)):
            text.append(f"MIXED classes: differences to {baseline} are between means over other classes for {others}.")
        if facet.which == BEST and any(
            score.classes_of(BEST) is None for entry in shown.values() for score in entry.done
        ):
            text.append("Of some best evaluations it is not recorded which classes their means are over.")
        in_brackets = _grouped(shown, BEST) if brackets else {}
        if in_brackets != _grouped(shown, LAST):
            text += _sentences(in_brackets, "In brackets the mean is", shown)
    return text


def mixed(entries: Entries, facets: Mapping[str, Facet]) -> list[str]:
    """Where means that a table sets beside each other are not over the same classes; as `analysis.protocol.mixed`."""
    text = []
    for facet in dict.fromkeys(facets.values()):
        shown = _of(entries, facets, facet)
        found = _grouped(shown, facet.which)
        if len(found) > 1:
            sets = "; ".join(f"{classes.words} in {_who(places, shown)}" for classes, places in found.items())
            text.append(f"{len(found)} sets of classes{' in columns marked' * bool(facet.mark)}{facet.mark} ({sets})")
    return text


def _of(entries: Entries, facets: Mapping[str, Facet], facet: Facet) -> Entries:
    return {place: entry for place, entry in entries.items() if facets[place[1]] == facet}


_Places = dict[tuple[str, str], list[int]]  # (row, column) -> seeds


def _grouped(entries: Entries, which: str) -> dict[Classes, _Places]:
    """Each set of classes that means are over -> the places whose means these are; those of which it is known."""
    found: dict[Classes, _Places] = {}
    for place, entry in entries.items():
        for score in entry.done:
            if (classes := score.classes_of(which)) is not None:
                found.setdefault(Classes(*classes), {}).setdefault(place, []).append(score.cell.seed)
    return found


def _sentences(found: Mapping[Classes, _Places], mean: str, entries: Entries) -> list[str]:
    return [
        f"{mean} over {classes.words}{'' if len(found) == 1 else f' in {_who(places, entries)}'}: neither masks nor "
        f"predictions of the evaluation have {', '.join(classes.absent)} (public code counts 0 for these)."
        for classes, places in found.items()
        if classes.absent
    ]


def _who(places: _Places, entries: Entries) -> str:
    """The rows, with the columns where it is not all of them, with the seeds where it is not all of these."""
    named = []
    for row in dict.fromkeys(row for row, _ in places):
        columns = {column: entry for (name, column), entry in entries.items() if name == row and entry.done}
        whole = [column for column, entry in columns.items() if len(places.get((row, column), ())) == entry.n]
        if len(whole) == len(columns):
            named.append(row)
            continue
        for column in (column for column in columns if (row, column) in places):
            seeds = "" if column in whole else f" seed {' '.join(map(str, places[row, column]))}"
            named.append(f"{row} {column}{seeds}")
    return ("; " if any(", " in name for name in named) else ", ").join(named)


def _unlike(entries: Entries, which: str, baseline: str) -> str:
    """The rows, with their columns, that are compared with the baseline and are over other classes than it."""
    found: _Places = {}
    for (row, column), entry in entries.items():
        base = entries.get((baseline, column))
        if row == baseline or base is None:
            continue
        theirs = _by_seed(base.done, which)
        ours = _by_seed(entry.done, which)
        if seeds := [seed for seed in ours.keys() & theirs.keys() if ours[seed] != theirs[seed]]:
            found[row, column] = sorted(seeds)
    return _who(found, entries)


def _by_seed(scores: Iterable[SeedScore], which: str) -> dict[int, Classes]:
    known = ((score.cell.seed, score.classes_of(which)) for score in scores)
    return {seed: Classes(*classes) for seed, classes in known if classes is not None}
