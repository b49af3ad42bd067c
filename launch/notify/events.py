"""What of a grid is to be told, and in which words: from the ledger's entries, or from one cell's folder."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path

from gta.cellfolder import CellFolder, Death, Failure, readable
from gta.masking import masked
from gta.notifyconfig import BUDGET, END, FAILURE, STUCK
from gta.sweep import Sweep
from gta.text import printable
from launch.grid.names import named
from launch.notify.command import payload
from launch.notify.told import Event
from launch.slurm.reasons import why
from launch.state.ledger import BUSY, Entry, State
from launch.state.policy import POLICY, with_cause

SHOWN = 10  # cells that a message names
_LINE = 500  # characters of a cell's line
_NO_LIMIT = 30.0  # minutes of silence that are told where site.stuck_minutes is 0
HELD_BY_USER = "JobHeldUser"  # Slurm's word; whoever did that knows it


def of_cells(entries: Iterable[Entry], never_start: Collection[str] = ()) -> list[Event]:
    """Cells that failed, are damaged or stuck. `never_start`: those whose jobs Slurm will not start, by signature."""
    found = (_of_entry(entry, entry.cell.signature in never_start) for entry in entries)
    return [event for event in found if event is not None]


def _of_entry(entry: Entry, never_starts: bool) -> Event | None:
    folder, log = entry.cell.folder, entry.log or ""
    if entry.state in (State.FAILED, State.DAMAGED):
        key = f"{entry.state} {_which(entry.attempts, entry.job)}"
        return _event(FAILURE, key, folder, f"{entry.state}: {entry.error}", log)
    if entry.state is State.RESUMABLE and entry.cause is Death.STUCK:
        return _stuck(folder, entry.attempts, f"ended: {entry.detail}", log)
    if entry.state in (State.RUNNING, State.UNKNOWN) and entry.silent is not None:
        minutes = entry.cell.config.site.stuck_minutes or _NO_LIMIT
        if time.time() - entry.silent > 60 * minutes:
            return _stuck(folder, entry.attempts, entry.detail, log)
    if entry.state is State.QUEUED and never_starts and not (entry.held and entry.held.reason == HELD_BY_USER):
        said = why(entry.held, folder.signature) if entry.held else entry.detail
        return _event(STUCK, f"never starts: job {entry.job}", folder, f"will not start: {said}", log)
    return None


def of_folder(folder: CellFolder) -> list[Event]:
    """The failure of a cell's last attempt, as its own job tells it, which no scheduler has to be asked about."""
    verdict = readable(folder.verdict, say=lambda _: None)
    if not isinstance(verdict, Failure):
        return []
    sent, past = readable(folder.submitted, say=lambda _: None), folder.latest_attempt()
    key = f"{State.FAILED} {_which(past.number if past else 0, sent.job if sent else None)}"
    return [_event(FAILURE, key, folder, f"failed: {with_cause(verdict.cause, verdict.error)}", verdict.log or "")]


def of_stuck(folder: CellFolder, number: int, cause: str) -> Event:
    """An attempt that is about to be ended, since it made no progress."""
    past = folder.attempt(number)
    return _stuck(folder, number, f"ended: {cause}; {POLICY[Death.STUCK].advice}", (past.log or "") if past else "")


def end(entries: Sequence[Entry], sweep: Sweep, file: Path) -> Event:
    """The end of a sweep: nothing runs or waits any more. The same cells in the same states are one end."""
    states = sorted((entry.cell.signature, str(entry.state), entry.attempts) for entry in entries)
    missing = tuple(f"{_name(entry.cell.folder)} {entry.reason}" for entry in entries if entry.state is not State.DONE)
    what = f"{sweep.title} is over: {counted(entries)}"
    return Event(END, f"end {_digest(states)}", file, what, more=missing)


def budget(said: str, amount: float, wanted: Sequence[Entry], file: Path) -> Event:
    """That a budget forbids the cells that are wanted, or that they used it up; `said` says which."""
    which = sorted(entry.cell.signature for entry in wanted), said.partition(" ")[0]
    return Event(BUDGET, f"budget {amount:g} {_digest(which)}", file, said)


def over(entries: Iterable[Entry], but: str = "") -> bool:
    """Whether nothing runs or waits any more, as far as is known; `but`: whatever becomes of that cell."""
    return not any(entry.state in BUSY and entry.cell.signature != but for entry in entries)


def counted(entries: Sequence[Entry]) -> str:
    """Such as "12 of 12 cells done", "10 of 12 cells done, 2 failed"."""
    found = Counter(entry.state for entry in entries)
    rest = [f"{found[state]} {state}" for state in State if found[state] and state is not State.DONE]
    return ", ".join([f"{found[State.DONE]} of {len(entries)} cell{'s' * (len(entries) != 1)} done", *rest])


def facts(events: Sequence[Event], sweep: Sweep, entries: Sequence[Entry], command: str) -> dict[str, str]:
    """The environment of a command: events of one kind, which are told in one message. `entries`: the whole grid, where
    it is known.
    """
    title = _plain(_title(events, sweep))
    lines = [line for event in events for line in _lines(event, alone=len(events) == 1)]
    shown = [_plain(line) for line in lines[:SHOWN]]
    if len(lines) > SHOWN:
        shown.append(f"... and {len(lines) - SHOWN} more")
    text = "\n".join([title, *shown])
    made = {
        "GTA_EVENT": events[0].kind, "GTA_SWEEP": sweep.title, "GTA_TITLE": title, "GTA_TEXT": text,
        "GTA_CELLS": "\n".join(event.name for event in events[:SHOWN]),
        "GTA_LOG": next((event.log for event in events if event.log), ""), "GTA_HOST": socket.gethostname(),
        "GTA_FOLDER": _here(),
    }  # fmt: skip
    if entries:
        found = Counter(entry.state for entry in entries)
        made |= {"GTA_TOTAL": str(len(entries)), "GTA_DONE": str(found[State.DONE])}
        made["GTA_FAILED"] = str(found[State.FAILED])
    made = {name: masked(value) for name, value in made.items()}
    made["GTA_JSON"] = json.dumps({name.removeprefix("GTA_").lower(): value for name, value in made.items()})
    return made | {"GTA_PAYLOAD": payload(command, made["GTA_TITLE"], made["GTA_TEXT"])}


def _title(events: Sequence[Event], sweep: Sweep) -> str:
    first = events[0]
    if first.kind in (END, BUDGET):
        return first.what if first.kind == END else f"{sweep.title}: {first.what}"
    if len(events) == 1:
        return f"{sweep.title}: {first.name} {first.what}"
    did = "failed" if first.kind == FAILURE else "are stuck"
    return f"{sweep.title}: {len(events)} cells {did}"


def _lines(event: Event, alone: bool) -> list[str]:
    """What is said below the title."""
    if not event.name:
        return list(event.more)
    return ([f"log: {event.log}"] if event.log else []) if alone else [f"{event.name} {event.what}"]


def _stuck(folder: CellFolder, number: int, what: str, log: str) -> Event:
    return _event(STUCK, f"stuck {number}", folder, what, log)


def _event(kind: str, key: str, folder: CellFolder, what: str, log: str) -> Event:
    return Event(kind, key, folder.notified_file, what, _name(folder), log)


def _which(attempts: int, job: str | None) -> str:
    """Which time it was, so that a retry that fails is another event."""
    return f"attempt {attempts}, job {job}"


@cache
def _name(folder: CellFolder) -> str:
    """A cell's words: looked up once, however often its failure is seen."""
    return str(named(folder))


def _here() -> str:
    """The working folder; empty where somebody removed it."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _plain(line: str) -> str:
    """One line that steers no terminal."""
    return printable(" ".join(line.split()))[:_LINE]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
