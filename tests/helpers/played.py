"""A cluster that a test plays."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from gta.cellfolder import Submitted
from launch.state.jobs import HeldJob, Unknown
from launch.state.ledger import Entry
from launch.state.submission import ToSubmit, record_submission
from tests.helpers.cells import change_attempt, claim


class Played:
    """Jobs that begin an attempt on another host, and die at once."""

    name = "played"
    at_once = 0

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.submitted: list[str] = []  # signatures

    def avoid_failing_nodes(self, entries: Sequence[Entry]) -> None:
        pass

    def recover(self, runs: Path) -> Mapping[str, Unknown]:
        return {}

    def ready(self, entries: Sequence[Entry]) -> bool:
        return True

    def submit(self, cells: Sequence[ToSubmit], entries: Sequence[Entry]) -> dict[str, str]:
        for one in cells:
            claim(one.cell, one.after)
            change_attempt(one.cell, place="another host", host="n1")
            self.jobs.append(f"{len(self.jobs) + 1}")
            self.submitted.append(one.cell.signature)
            sent = Submitted(job=self.jobs[-1], cluster=self.name, log="/log", time=time.time(), after=one.after)
            record_submission(one.cell.folder, sent, one.asked)
        return dict(zip((one.cell.signature for one in cells), self.jobs[-len(cells) :], strict=True))

    def held(self, jobs: Collection[str]) -> Mapping[str, HeldJob]:
        return {}

    def cancel(self, jobs: Collection[str]) -> None:
        pass
