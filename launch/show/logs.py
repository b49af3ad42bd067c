"""Logs of a cell: which file is whose, and following them over attempts. Imports neither Hydra nor torch."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gta.cellfolder import DEAD_SECONDS, CellFolder, readable
from gta.errors import UserError
from launch.state.ledger import Entry

_RANK = re.compile(r"_(\d+)_log\.out$")
LOGS = "sweeps"  # the folder below that of runs where submissions and their logs are
POLL_SECONDS = 0.5
ASK_SECONDS = 10.0  # between two questions to Slurm whether a job is still there


def to_stderr(text: str) -> None:
    """Beside what is asked for, so that a script reads the log alone."""
    print(text, file=sys.stderr, flush=True)


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


def find(folder: CellFolder, attempt: int | None = None, say: Callable[[str], None] = to_stderr) -> Log:
    """The log of a cell's attempt (the last one, if none is named): of the rank that failed, else of rank 0.

    Raises UserError where the cell has no such attempt, or no log at all; `say` hears of a record that is broken.
    """
    history = folder.attempts()
    record = history[-1] if history else None
    if attempt is not None and (record := next((one for one in history if one.number == attempt), None)) is None:
        there = f"1 to {history[-1].number}" if history else "none"
        raise UserError(f"--attempt={attempt}: the attempts of this cell are {there}.")
    if record and record.broken:
        say(record.broken)
    submitted = readable(folder.submitted, say)
    # submitted again: the next attempt has not begun; its job's log is what there is to see, once it is there
    if attempt is None and submitted and submitted.log and (record is None or submitted.time > (record.time or 0.0)):
        waiting = _here(folder, submitted.log)
        if waiting.exists() or record is None:
            return Log(waiting, 0, _rank(waiting))
    if record is None:
        raise UserError("This cell has no log: it was never submitted.")
    number = record.number
    failure = readable(lambda: folder.failure_of(number), say)
    log = (failure.log if failure else None) or record.log
    if log is None:
        raise UserError("This cell has no log: it ran in a terminal (`gta train`, `gta debug`), where its words went.")
    path = _here(folder, log)
    return Log(path, record.number, _rank(path))


def _here(folder: CellFolder, log: str) -> Path:
    """The log where it was written, or, of runs that were moved or copied since, the same one below the folder of runs
    that the cell is in now.
    """
    path, runs = Path(log), folder.path.parent.parent
    if path.exists():
        return path
    same = (runs.joinpath(*path.parts[at:]) for at, name in enumerate(path.parts) if name == LOGS)
    return next((one for one in same if one.exists()), path)


def log_tail(entry: Entry, lines: int = 12) -> str:
    """The last lines of a cell's log; empty where there is none."""
    path = Path(entry.log) if entry.log else None
    if path is None or not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _rank(path: Path) -> int:
    match = _RANK.search(path.name)
    return int(match[1]) if match else 0


def follow(folder: CellFolder, log: Log, held: Callable[[str], bool], poll: float = POLL_SECONDS) -> Iterator[str]:
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
        later = find(folder, say=_nobody)
        if later.rank != rank and rank in later.ranks():
            later = later.of_rank(rank)
        if later.path != log.path and later.attempt != log.attempt:
            yield f"\n--- attempt {later.attempt or 'that waits'}: {later.path}\n"
            log, place = later, 0
        time.sleep(poll)


def _waiting(folder: CellFolder) -> str | None:
    """None while an attempt lives; else the Slurm job that may begin the next one, or "" where there is none."""
    if folder.done:
        return ""
    last = folder.latest_attempt()
    if last is not None and last.alive():
        return None
    if readable(folder.verdict, say=_nobody) is not None:
        return ""
    submitted = readable(folder.submitted, say=_nobody)
    if submitted is None:
        return ""
    if submitted.cluster == "slurm":
        return submitted.job
    begun = last is not None and (last.time or 0.0) > submitted.time
    fresh = time.time() - submitted.time < DEAD_SECONDS
    return None if fresh and not begun else ""  # a local process that is still starting


def _nobody(text: str) -> None:
    """Who hears nothing of a broken record, since it was said when the log was found."""


def _grown(path: Path, place: int) -> tuple[int, str]:
    """The new place, and what came after `place` bytes."""
    try:
        with open(path, "rb") as file:
            file.seek(place)
            data = file.read()
    except FileNotFoundError:
        return place, ""
    return place + len(data), data.decode(errors="replace")
