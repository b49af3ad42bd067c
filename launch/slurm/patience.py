"""Looking at cells again and again: at their folders every few seconds, at Slurm as seldom as it tells something new.

An answer of Slurm's serves for seconds where something changes, and for up to a minute where nothing does. What changes
in a folder (an attempt, an end, heartbeats that stay away) is a reason to ask at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from launch.slurm.answers import SharedAnswers
from launch.slurm.reconcile import reconcile
from launch.state.jobs import HeldJob
from launch.state.ledger import Entry, State

if TYPE_CHECKING:
    from gta.cell import Cell

AT_ONCE = 1.0  # seconds: launchers that see the same change ask once together
SHORT, LONG, GROWTH = 5.0, 60.0, 1.25
LATE_SECONDS = 30.0  # without a heartbeat, which comes every 5 s: its job may be over


class PatientLook:
    """The states of cells. `new`: whether the last look rests on another answer of Slurm's than the one before."""

    def __init__(self, runs: Path, clock: Callable[[], float] = time.time):
        self.new = True
        self._answers = SharedAnswers(runs, clock)
        self._patience = AT_ONCE
        self._seen: dict[str, tuple[State, str | None, int, bool]] = {}

    def __call__(
        self, cells: Sequence[Cell], local: Mapping[str, HeldJob] | None = None, now: bool = False
    ) -> list[Entry]:
        """As `reconcile`; `now`: no old answer serves, as where jobs were sent since or will be."""
        before = self._answers.asked
        if now:
            self._answers.forget()
        self._answers.patience = self._patience
        entries = reconcile(cells, local, self._answers)
        self.new = self._answers.asked != before
        if self._changed(entries):
            self._patience = SHORT
            if self._answers.asked and not self.new:
                self._answers.patience = AT_ONCE
                entries = reconcile(cells, local, self._answers)
                self._changed(entries)
                self.new = self._answers.asked != before
        elif self.new:
            self._patience = min(LONG, max(SHORT, self._patience * GROWTH))
        return entries

    def _changed(self, entries: Sequence[Entry]) -> bool:
        seen = {entry.cell.signature: (entry.state, entry.job, entry.attempts, _late(entry)) for entry in entries}
        changed, self._seen = seen != self._seen, seen
        return changed


def _late(entry: Entry) -> bool:
    """Whether a cell that runs has missed heartbeats."""
    if entry.state is not State.RUNNING:
        return False
    with suppress(OSError):
        return time.time() - entry.cell.folder.attempt_file(entry.attempts).stat().st_mtime > LATE_SECONDS
    return True
