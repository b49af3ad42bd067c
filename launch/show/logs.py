"""Logs of a cell: which file is whose, and following them over attempts. Imports neither Hydra nor torch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gta.errors import UserError
from launch.state import attempts
from launch.state.ledger import read_json

_RANK = re.compile(r"_(\d+)_log\.out$")
POLL_SECONDS = 0.5
ASK_SECONDS = 10.0  # between two questions to Slurm whether a job is still there


@dataclass(frozen=True)
class Log:
    """The log of one rank of one attempt (0: submitted, not begun). The file may not be there yet."""

    path: Path
    attempt: int
    rank: int

    def ranks(self) -> list[int]:
        """The ranks whose logs lie beside this one."""
        if not _RANK.search(self.path.name):
            return [0]
        names = (_RANK.search(path.name) for path in self.path.parent.glob(_RANK.sub("_*_log.out", self.path.name)))
        return sorted(int(match[1]) for match in names if match)

    def of_rank(self, rank: int) -> Log:
        """The log of another rank. Raises UserError where there is none."""
        if rank == self.rank:
            return self
        if rank not in self.ranks():
            there = ", ".join(map(str, self.ranks())) or "none yet"
            raise UserError(f"--rank={rank}: attempt {self.attempt} of this cell has logs of the ranks {there}.")
        return Log(self.path.with_name(_RANK.sub(f"_{rank}_log.out", self.path.name)), self.attempt, rank)


def find(folder: Path, attempt: int | None = None) -> Log:
    """The log of a cell's attempt (the last one, if none is named): of the rank that failed, else of rank 0.

    Raises UserError where the cell has no such attempt, or no log at all.
    """
    history = attempts.history(folder)
    failure = read_json(folder / "failure.json") or {}
    if attempt is not None:
        record = next((record for record in history if record.number == attempt), None)
        if record is None:
            there = f"1 to {history[-1].number}" if history else "none"
            raise UserError(f"--attempt={attempt}: the attempts of this cell are {there}.")
    else:
        record = history[-1] if history else None
    submitted = read_json(folder / "submitted.json") or {}
    begun = record.fields.get("time", 0.0) if record else -1.0
    # submitted again: the next attempt has not begun; its job's log is what there is to see, once it is there
    if attempt is None and submitted.get("log") and submitted.get("time", 0.0) > begun:
        waiting = Path(submitted["log"])
        if waiting.exists() or record is None:
            return Log(waiting, 0, _rank(waiting))
    log = record.fields.get("log") if record else None
    if record and failure.get("attempt") == record.number and failure.get("log"):
        log = failure["log"]
    if log is None:
        raise UserError(
            "This cell has no log: it was never submitted"
            + (", or ran in a terminal (`gta train`), where its words went." if record else ".")
        )
    assert record is not None
    return Log(Path(log), record.number, _rank(Path(log)))


def _rank(path: Path) -> int:
    match = _RANK.search(path.name)
    return int(match[1]) if match else 0


def follow(folder: Path, log: Log, held: Callable[[str], bool], poll: float = POLL_SECONDS) -> Iterator[str]:
    """The text of a log as it grows, then of the logs of later attempts, until the cell is over.

    `held`: whether a scheduler still has a job; asked now and then, when nothing runs.
    """
    place, asked = 0, 0.0
    rank = log.rank
    while True:
        waiting = _waiting(folder)
        over = waiting == ""
        if waiting and time.monotonic() - asked >= ASK_SECONDS:
            asked = time.monotonic()
            over = not held(waiting)
        place, text = _grown(log.path, place)  # after the look: what was written before the end is shown
        if text:
            yield text
        if over:
            return
        later = find(folder)
        if later.rank != rank and rank in later.ranks():
            later = later.of_rank(rank)
        if later.path != log.path and later.attempt != log.attempt:
            yield f"\n--- attempt {later.attempt or 'that waits'}: {later.path}\n"
            log, place = later, 0
        time.sleep(poll)


def _waiting(folder: Path) -> str | None:
    """None while an attempt lives; else the Slurm job that may begin the next one, or "" where there is none."""
    last = attempts.latest(folder)
    if (folder / "result.json").exists():
        return ""
    if last is not None and last.alive():
        return None
    submitted = read_json(folder / "submitted.json") or {}
    failure = read_json(folder / "failure.json")
    failed = failure is not None and last is not None and failure["attempt"] == last.number
    if failure is not None and failed and failure["time"] > submitted.get("time", 0.0):
        return ""
    if submitted.get("cluster") == "slurm":
        return str(submitted["job"])
    fresh = time.time() - float(submitted.get("time", 0.0)) < attempts.DEAD_SECONDS
    begun = last is not None and last.fields.get("time", 0.0) > submitted.get("time", 0.0)
    return None if fresh and not begun else ""  # a local process that is still starting


def _grown(path: Path, place: int) -> tuple[int, str]:
    """The new place, and what came after `place` bytes."""
    try:
        with open(path, "rb") as file:
            file.seek(place)
            data = file.read()
    except FileNotFoundError:
        return place, ""
    return place + len(data), data.decode(errors="replace")
