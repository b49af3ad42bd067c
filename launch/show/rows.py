"""What the board says of each cell, as plain values: the ledger's entry, its journal's end, and what it has cost."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gta import journal
from launch.state import attempts
from launch.state.ledger import Entry, State

SAVED = ("interrupted", "requeued")  # how an attempt ended that left on purpose, saved


@dataclass(frozen=True)
class Row:
    """One cell's line of the board. Units: seconds, mIoU in percent, hours of GPUs or of cores."""

    signature: str
    method: str
    split: str
    seed: int
    state: str  # done, running, starting, queued, requeued, failed, cancelled, lost, stopped, never run
    iteration: int | None  # the last that the journal has; None before the first
    iterations: int
    loss: float | None
    rate: float | None  # iterations a second of a running cell, over all its attempts, evaluations included
    left: float | None  # seconds until a running cell is done, at that rate
    miou: float | None
    node: str | None
    job: str | None
    attempts: int
    gpu_hours: float
    core_hours: float  # of attempts without a GPU
    cause: str | None
    what: str  # where it runs; why it waits, failed, is lost
    log: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def rows(entries: Iterable[Entry]) -> list[Row]:
    return [row(entry) for entry in entries]


def row(entry: Entry) -> Row:
    """The line of one cell. Reads the attempts and the end of the journal: milliseconds a cell."""
    cell = entry.cell
    history = attempts.history(cell.folder)
    seen = journal.last(cell.folder / "journal.jsonl") if history else None
    gpu_hours, core_hours = hours(entry, history)
    rate, left = speed(entry, history, seen)
    return Row(
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
        miou=float(entry.detail.removeprefix("mIoU ")) if entry.state is State.DONE else None,
        node=entry.node,
        job=entry.job,
        attempts=entry.attempts,
        gpu_hours=gpu_hours,
        core_hours=core_hours,
        cause=str(entry.cause) if entry.cause else None,
        what=what(entry),
        log=entry.log,
    )


def what(entry: Entry) -> str:
    """The ledger's words, with the cause before the error's line where they do not say it themselves."""
    if entry.state is State.DONE:
        return ""
    if entry.state is State.FAILED and entry.cause and str(entry.cause) not in entry.detail:
        return f"{entry.cause}: {entry.detail}"
    return entry.detail


def state(entry: Entry, history: Sequence[attempts.Record]) -> str:
    """The ledger's state in the board's words: what can go on was stopped, or lost."""
    if entry.state is State.QUEUED:
        return "requeued" if history else "queued"
    if entry.state is State.RESUMABLE:
        return "stopped" if history and history[-1].ended in SAVED else "lost"
    if entry.state is State.NEVER_RUN and entry.job:
        return "starting" if entry.cluster == "local" and _lives(entry.job) else "lost"
    return str(entry.state)


def _lives(pid: str) -> bool:
    """Whether the process that starts a local cell is there: it has not said so in the cell's folder yet."""
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def loss(seen: journal.Record | None) -> float | None:
    """The sum of a journal line's losses."""
    losses = [float(value) for name, value in (seen or {}).get("values", {}).items() if name.startswith("loss/")]
    return sum(losses) if losses else None


def speed(
    entry: Entry, history: Sequence[attempts.Record], seen: journal.Record | None
) -> tuple[float | None, float | None]:
    """Iterations a second, evaluations included, and seconds left, of a cell that has written in this attempt."""
    if entry.state is not State.RUNNING or not history or seen is None or seen["time"] < history[-1].fields["time"]:
        return None, None
    iteration, seconds = int(seen["iteration"]), float(seen["values"].get("seconds", 0.0))
    if not iteration or seconds <= 0:
        return None, None
    rate = iteration / seconds
    since = max(0.0, time.time() - float(seen["time"]))
    return rate, max(0.0, (entry.cell.config.schedule.iterations - iteration) / rate - since)


def hours(entry: Entry, history: Sequence[attempts.Record]) -> tuple[float, float]:
    """GPU-hours and, for a cell without GPUs, core-hours: of each attempt from its claim to its end or last heartbeat.

    A rank has one GPU, or a share of it where cells are packed.
    """
    config, site = entry.cell.config, entry.cell.config.site
    seconds = 0.0
    for record in history:
        if (began := record.fields.get("time")) is not None:  # lost in a crash of the machine
            seconds += max(0.0, float(record.fields.get("end_time", record.beat)) - float(began))
    ranks = site.ranks * site.nodes
    if history and on_gpus(entry.cell.folder, history):
        return seconds / 3600 * ranks / max(1, site.cells_per_gpu), 0.0
    return 0.0, seconds / 3600 * ranks * max(site.cpus_per_rank, config.num_threads)


def on_gpus(folder: Path, history: Sequence[attempts.Record]) -> bool:
    """Whether a cell runs on GPUs: the journal's first line says its device; before that, the attempt what it sees."""
    try:
        with open(folder / "journal.jsonl", "rb") as file:
            if device := json.loads(file.readline(8192)).get("device"):
                return str(device).startswith("cuda")
    except (OSError, ValueError, AttributeError):
        pass
    fields = history[-1].fields
    return bool(fields.get("gpus") or fields.get("environment", {}).get("gpus"))


def counts(table: Sequence[Row]) -> dict[str, int]:
    """State -> how many cells."""
    return dict(Counter(row.state for row in table))
