"""Signals as requests: heard from the first moment of a process, asked for at each step boundary.

Slurm warns by SIGUSR2 before the time limit: save and leave, the job is requeued. It begins a preemption with grace,
and a cancellation, by SIGTERM: save, and use what time there is. On one's own machine SIGTERM and Ctrl-C mean: save
and leave. Light on purpose: it is in place before torch is imported, which takes seconds in which a signal would kill.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from gta.train.control import Request

KINDS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


class Signals:
    """The signals that came to this process, and what they mean here."""

    def __init__(self, in_slurm: bool = False):
        self.in_slurm = in_slurm
        self.came: set[int] = set()
        self._before: dict[signal.Signals, Any] = {}

    def install(self) -> Signals:
        """Hear from now on; whoever listened before (submitit) does no more."""
        self._before = {kind: signal.signal(kind, self._hear) for kind in KINDS}
        return self

    def remove(self) -> None:
        for kind, handler in self._before.items():
            signal.signal(kind, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.came.add(number)

    def request(self) -> Request:
        if self.came & ({signal.SIGUSR2, signal.SIGINT} if self.in_slurm else set(KINDS)):
            return Request.STOP
        return Request.SAVE if self.came else Request.NONE

    def saved(self, iteration: int) -> None:
        """The run is on disk up to this iteration. Called by whichever thread wrote it."""

    def answered(self) -> None:
        """The run was saved as asked: a warning that asked for no more than that is answered."""
        if self.in_slurm:
            self.came.discard(signal.SIGTERM)

    @property
    def time_limit(self) -> bool:
        """Whether Slurm warned of the time limit."""
        return self.in_slurm and signal.SIGUSR2 in self.came
