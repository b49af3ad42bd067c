"""notified.json: of which events somebody was told, so that nobody is told twice. A cell has one, and a sweep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from gta.jsonrecord import JsonRecord


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One event: of which kind, and which one (`key`); when it was last told. `sent`: None while the command runs, and
    for ever where who ran it died over that; False where it failed, `error` says how, for so many `tries`.
    """

    event: str
    key: str
    time: float
    sent: bool | None = None
    tries: int = 1
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Notified(JsonRecord):
    """The events of a cell, or of a sweep, oldest first."""

    REMEDY: ClassVar[str] = "remove it: what it named may then be told once more"

    notices: list[Notice] = field(default_factory=list)

    def find(self, key: str) -> Notice | None:
        """The notice of an event; None where nobody was told of it."""
        return next((notice for notice in self.notices if notice.key == key), None)

    def having(self, notice: Notice) -> Notified:
        """With this notice, in the place of one of the same event."""
        return Notified(notices=[*(other for other in self.notices if other.key != notice.key), notice])
