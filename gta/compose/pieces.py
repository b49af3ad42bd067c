"""Cells that differ in choices of files (a method, a network, a schedule): each is put together of sections of others.

Hydra merges one file after the other, and a file of a group sets the section of that group, or those that it names. So
what a section is follows from the files that set it, and from the sections that it refers to. Of 8 methods, 2 networks
and 5 schedules 14 cells or so are composed by Hydra, and the others are made of these. Where a file may do more (it
chooses other files), or something refers to what cannot be told, Hydra composes the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields

from gta.compose.plainvalues import Alike, Composed, differ
from gta.config import Config

FIELDS = tuple(item.name for item in fields(Config))
Sections = frozenset[str]


class Pieces:
    """The cells that Hydra composed of one family: their words are the same but for the values of the same plain
    settings, and for the choices of the same groups.
    """

    def __init__(self, set_by: Callable[[str, str], Sections | None]):
        """`set_by`: group, name of a file -> the sections that the file sets; None where it may do more."""
        self._set_by = set_by
        self._composed: list[Composed] = []
        self._sections: dict[tuple[str, str], Sections | None] = {}
        self._behind: dict[tuple[Composed, str], Sections | None] = {}

    def add(self, one: Composed) -> Alike:
        """Keep a cell that was composed, for those that share sections with it; not one in which a section may hold
        what was said of another.
        """
        if one.has_aliases:
            return Alike.itself(one)
        known = {*self._sections, *one.choices.items()}
        self._sections = {choice: self._set_by(*choice) for choice in known}  # all: a file read now may tell of each
        self._composed.append(one)
        return Alike.itself(one)

    def made_of(self, choices: Mapping[str, str]) -> Alike | None:
        """The cell by these choices, with the plain values of those that it is made of; None where one section of it is
        in none of them.
        """
        if not self._composed or any(choice not in self._sections for choice in choices.items()):
            return None
        of: dict[str, Composed] = {}
        for name in FIELDS:
            found = next((one for one in self._composed if self._shares(one, name, choices)), None)
            if found is None:
                return None
            of[name] = found
        made = Alike(Config(**{name: getattr(one.config, name) for name, one in of.items()}), of)
        first, *others = set(of.values())
        mixed = {name for one in others for name in one.values if differ(one.values[name], first.values[name])}
        return None if made.depends(frozenset(mixed)) else made

    def _shares(self, one: Composed, name: str, choices: Mapping[str, str]) -> bool:
        """Whether a field of the cell is what it would be by these choices: the files that set it, or what it refers
        to, are the same.
        """
        others = [group for group, choice in choices.items() if one.choices[group] != choice]
        if not others:
            return True
        if (behind := self._all_behind(one, name)) is None:
            return False
        files = [(group, by[group]) for group in others for by in (one.choices, choices)]
        return all((known := self._sections[file]) is not None and not known & behind for file in files)

    def _all_behind(self, one: Composed, name: str) -> Sections | None:
        """The field itself and what it refers to, directly or not; None where that cannot be told."""
        if (one, name) not in self._behind:
            self._behind[one, name] = _reached(one, name)
        return self._behind[one, name]


def _reached(one: Composed, name: str) -> Sections | None:
    found, new = set[str](), {name}
    while new:
        found |= new
        known = [one.references.get(field) for field in new]
        if any(references is None or any(ref.relative for ref in references) for references in known):
            return None
        new = {ref.names[0] for references in known for ref in references or ()} - found
    return frozenset(found)
