"""What the board says of each cell, as plain values: the ledger's entry, its journal's end, and what it has cost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import psutil

from gta import journal
from gta.cellfolder import Attempt, readable
from gta.text import printable
from launch.slurm.reasons import stuck, why
from launch.state.damage import damage
from launch.state.damage import history as attempts_of
from launch.state.jobs import HeldJob
from launch.state.ledger import Entry, State
from launch.state.silent import of_this_start

_WAITING = ("PENDING", "REQUEUE_HOLD", "SPECIAL_EXIT")  # jobs of Slurm that have a reason for it
_STARTING = ("RUNNING", "CONFIGURING")  # and no attempt of theirs has begun
_ENDING = ("COMPLETING", "STAGE_OUT", "SIGNALING")  # the work is over, or told to end: Slurm tidies up after it
MUCH_WAITING = 20.0  # percent: more data workers, or another place of the data, would be felt


@dataclass(frozen=True)
class BoardRow:
    """One cell's line of the board. Units: seconds, mIoU in percent, hours of GPUs or of cores."""

    signature: str
    method: str
    split: str
    seed: int
    state: str  # a word of the board: launch.show.words.STYLES
    iteration: int | None  # the last that the journal has; None before the first
    iterations: int
    loss: float | None
    rate: float | None  # iterations a second of a running cell, over all its attempts, evaluations included
    left: float | None  # seconds until a running cell is done, at that rate
    trained: float | None  # seconds that a cell that is done trained, over all its attempts, evaluations included
    miou: float | None
    expected: float | None  # when Slurm expects a job that waits to start (unix seconds), by its own estimate
    in_slurm: bool  # whether Slurm has the job of a cell that waits
    node: str | None
    job: str | None
    attempts: int
    gpu_hours: float
    core_hours: float  # of attempts without a GPU
    cause: str | None
    what: str  # where it runs; why it waits, failed, is lost
    log: str | None
    damaged: tuple[str, ...] = ()  # records that cannot be read: file: what
    data_wait: float | None = None  # percent of its time that a running cell waits for batches, since its attempt began

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def rows(entries: Iterable[Entry]) -> list[BoardRow]:
    return [row(entry) for entry in entries]


def row(entry: Entry) -> BoardRow:
    """The line of one cell. Reads the attempts and the end of the journal: milliseconds a cell."""
    cell = entry.cell
    history = attempts_of(cell.folder)
    seen = readable(lambda: journal.last(cell.folder.journal_file), say=lambda _: None) if history else None
    hurt = damage(cell.folder, history) if cell.folder.path.exists() else []
    gpu_hours, core_hours = hours(entry, history)
    rate, left = speed(entry, history, seen)
    made = BoardRow(
        signature=cell.signature,
        method=cell.row,
        split=cell.column,
        seed=cell.config.seed,
        state=state(entry, history),
        iteration=int(seen["iteration"]) if seen else None,
        iterations=cell.config.schedule.iterations,
        loss=loss(seen),
        rate=rate,
        left=left,
        trained=trained(entry, seen),
        miou=entry.miou,
        expected=entry.held.expected if entry.held else None,
        in_slurm=entry.state is State.QUEUED and entry.cluster == "slurm",
        node=entry.node,
        job=entry.job,
        attempts=entry.attempts,
        gpu_hours=gpu_hours,
        core_hours=core_hours,
        cause=str(entry.cause) if entry.cause else None,
        what=_with_damage(what(entry) + _waits(data_wait(entry, seen), history), entry, hurt),
        log=entry.log,
        damaged=tuple(hurt),
        data_wait=data_wait(entry, seen),
    )
    texts = {name: printable(value) for name, value in vars(made).items() if isinstance(value, str)}
    return replace(made, **texts, damaged=tuple(map(printable, hurt)))  # type: ignore[arg-type]


def _waits(share: float | None, history: Sequence[Attempt]) -> str:
    """Of a cell on a GPU nothing: the journal has the most that it may be (`gta.train.waiting`)."""
    on_gpu = bool(history and history[-1].gpus)
    return f", waits for data {share:.0f} % of its time" if share and share >= MUCH_WAITING and not on_gpu else ""


def _with_damage(text: str, entry: Entry, hurt: Sequence[str]) -> str:
    """What is said of a cell, and which of its records cannot be read."""
    if entry.state is State.DAMAGED:
        return "; ".join(dict.fromkeys([text, *hurt]))
    if untold := [brief for brief in hurt if brief not in text]:
        return "; ".join([*([text] if text else []), f"damaged: {', '.join(untold)}"])
    return text


def what(entry: Entry) -> str:
    """Why a job waits, in plain words; else the ledger's, with the cause before the error's line where it lacks."""
    if entry.held is not None and entry.held.state in _WAITING:
        return why(entry.held, entry.cell.signature)
    if entry.unknown is not None:
        return entry.detail if entry.silent is not None else entry.unknown.why
    if entry.state is State.DONE or (entry.state is State.QUEUED and not _suspended(entry)):
        return ""
    return entry.error if entry.state is State.FAILED else entry.detail


def state(entry: Entry, history: Sequence[Attempt]) -> str:
    """The ledger's state in the board's words: what can go on was stopped, or lost; what runs may be stuck."""
    if _suspended(entry):
        return "suspended"
    if entry.state is State.RUNNING and entry.silent is not None:
        return "stuck"
    if entry.state is State.QUEUED:
        if entry.held is not None and stuck(entry.held):
            return "held"
        if entry.held is not None and (entry.held.state in _ENDING or _over(entry.held, history)):
            return "ending"
        if entry.held is not None and entry.held.state in _STARTING:
            return "starting"
        return "requeued" if history else "queued"
    if entry.state is State.RESUMABLE:
        return "stopped" if history and history[-1].ended == "interrupted" else "lost"
    if entry.state is State.NEVER_RUN and entry.job:
        return "starting" if entry.cluster == "local" and _lives(entry.job) else "lost"
    return str(entry.state)


def _over(job: HeldJob, history: Sequence[Attempt]) -> bool:
    """Whether a job that Slurm calls running has its attempt behind it: its last process is about to leave."""
    last = history[-1] if job.state == "RUNNING" and history else None
    if last is None or last.ended is None or last.job != job.job or None in (last.restart, job.restarts):
        return False
    return of_this_start(last, job)


def _suspended(entry: Entry) -> bool:
    return entry.held is not None and entry.held.suspended


def _lives(pid: str) -> bool:
    """Whether the process that starts a local cell is there: it has not said so in the cell's folder yet."""
    return pid.isdigit() and psutil.pid_exists(int(pid))


def loss(seen: journal.Record | None) -> float | None:
    """The sum of a journal line's losses."""
    losses = [float(value) for name, value in (seen or {}).get("values", {}).items() if name.startswith("loss/")]
    return sum(losses) if losses else None


def speed(entry: Entry, history: Sequence[Attempt], seen: journal.Record | None) -> tuple[float | None, float | None]:
    """Iterations a second, evaluations included, and seconds left, of a cell that has written in this attempt."""
    if entry.state is not State.RUNNING or not history or seen is None:
        return None, None
    if (began := history[-1].time) is None or seen["time"] < began:
        return None, None
    iteration, seconds = int(seen["iteration"]), float(seen["values"].get("seconds", 0.0))
    if not iteration or seconds <= 0:
        return None, None
    rate = iteration / seconds
    since = max(0.0, time.time() - float(seen["time"]))
    return rate, max(0.0, (entry.cell.config.schedule.iterations - iteration) / rate - since)


def data_wait(entry: Entry, seen: journal.Record | None) -> float | None:
    """Percent of the time of a running cell that goes by in waiting for batches, as its journal has it."""
    share = (seen or {}).get("values", {}).get("system/data_wait_percent") if entry.state is State.RUNNING else None
    return None if share is None else float(share)


def trained(entry: Entry, seen: journal.Record | None) -> float | None:
    """Seconds that a cell that is done trained, as its journal has it."""
    seconds = float((seen or {}).get("values", {}).get("seconds", 0.0)) if entry.state is State.DONE else 0.0
    return seconds or None


def hours(entry: Entry, history: Sequence[Attempt]) -> tuple[float, float]:
    """GPU-hours and, for attempts without GPUs, core-hours: of each attempt from its claim to its end or last
    heartbeat, times what it held, as it wrote that down itself.
    """
    gpu_hours = core_hours = 0.0
    before = _before_it_was_recorded(entry) if any(attempt.gpus is None for attempt in history) else (0.0, 0.0)
    for attempt in history:
        lasted = (attempt.lasted or 0.0) / 3600  # not known: lost in a crash of the machine
        gpus, cores = before if attempt.gpus is None else (attempt.gpus, attempt.cores or 0.0)
        gpu_hours += lasted * gpus
        core_hours += lasted * cores
    return gpu_hours, core_hours


def _before_it_was_recorded(entry: Entry) -> tuple[float, float]:
    """GPUs and cores of attempts whose records, being old or lost, do not say: by the journal's first line, one GPU a
    rank, or else its threads.
    """
    began = readable(lambda: journal.first(entry.cell.folder.journal_file), say=lambda _: None) or {}
    ranks, on_gpus = int(began.get("world_size", 1)), str(began.get("device", "")).startswith("cuda")
    return (float(ranks), 0.0) if on_gpus else (0.0, float(ranks * entry.cell.config.num_threads))


def counts(table: Sequence[BoardRow]) -> dict[str, int]:
    """State -> how many cells."""
    return dict(Counter(row.state for row in table))
