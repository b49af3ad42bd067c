"""Which launchers watch a sweep now, so that a job knows whether it has to tell what happens; and which cells it is.

Each launcher keeps a file, whose time stamp is its heartbeat: one on this host is known at once to be dead.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gta.cellfolder import DEAD_SECONDS, readable
from gta.jsonrecord import JsonRecord
from gta.locks import Holder
from gta.processes import this_place
from gta.sweep import VARIANTS, Sweep

BEAT_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Grid(JsonRecord):
    """grid.json: the cells of a sweep, by signature, as the last launcher that watched it had them."""

    signatures: list[str]


@dataclass(frozen=True)
class Place:
    """Where it is remembered what was told of a sweep (or a variant), and who watches it."""

    folder: Path

    @classmethod
    def of(cls, runs: Path, sweep: Sweep) -> Place:
        top = runs / "sweeps" / sweep.name / "notify"
        return cls(top / VARIANTS / sweep.folder_name if sweep.variant else top)

    @property
    def notified_file(self) -> Path:
        return self.folder / "notified.json"

    @property
    def grid_file(self) -> Path:
        return self.folder / "grid.json"

    @property
    def watching(self) -> Path:
        return self.folder / "watching"

    def signatures(self) -> list[str]:
        """The cells of the sweep; none where no launcher wrote them down."""
        found = readable(lambda: Grid.read(self.grid_file), say=lambda _: None)
        return found.signatures if found else []


class Beat:
    """A launcher's heartbeat."""

    def __init__(self, path: Path):
        self._path = path
        self._last = time.monotonic()

    def sometimes(self) -> None:
        if time.monotonic() - self._last >= BEAT_SECONDS:
            self._last = time.monotonic()
            with contextlib.suppress(OSError):
                os.utime(self._path)


@contextmanager
def watching(place: Place, signatures: list[str]) -> Iterator[Beat]:
    """While entered, this process is known to watch the sweep of these cells, as long as it gives a beat now and then.

    Raises OSError where that cannot be written.
    """
    path = place.watching / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}.json"
    if place.signatures() != signatures:
        Grid(signatures=signatures).write(place.grid_file)
    Holder.here().write(path)
    try:
        yield Beat(path)
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Watchers:
    """Whether a launcher watches: one of this host, which is sure, or one elsewhere, by its last heartbeat."""

    here: bool = False
    elsewhere: bool = False

    def __bool__(self) -> bool:
        return self.here or self.elsewhere


def watchers(place: Place) -> Watchers:
    """Who watches the sweep now; a file that is left by a launcher that died counts for nothing."""
    here = elsewhere = False
    for path in place.watching.glob("*.json"):
        holder = readable(lambda: Holder.read(path), say=lambda _: None)  # noqa: B023
        if holder is not None and holder.place == this_place():
            here = here or holder.lives
            continue
        with contextlib.suppress(OSError):
            elsewhere = elsewhere or time.time() - path.stat().st_mtime < DEAD_SECONDS
    return Watchers(here, elsewhere)
