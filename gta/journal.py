"""A cell's journal: everything a run has to say, one JSON object a line, only ever appended to.

A line is {"time": unix seconds, "kind": "metrics", "iteration": int, "values": {name: float}} or
{"time": ..., "kind": "event", "event": name, ...}. After a kill and a resume the same metric and iteration
can stand there twice; the first occurrence counts (`gta.tracking` sees to that). An event "cut back" with an iteration
says that the metrics before it, of later iterations, count no more: the run went on from an earlier checkpoint than its
last (`counted`).
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gta.files import to_disk
from gta.jsonrecord import MOST, REPAIR, BrokenRecord, contents, opened
from gta.masking import masked_values

Record = dict[str, Any]
CUT_BACK = "cut back"
_TAIL = 8192


class Journal:
    """Appends to the journal at `path` (made, with its folder, where missing). One writer at a time."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        to_disk(self.path.parent)  # the name of a new file
        size = os.fstat(self._descriptor).st_size
        # Where the last writer died within a line, our first one must not become part of it.
        self._torn = bool(size) and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def metrics(self, iteration: int, values: Mapping[str, Any]) -> None:
        """Append the `values` (anything float() takes) of one iteration."""
        numbers = {name: _number(value) for name, value in values.items()}
        self._append({"time": time.time(), "kind": "metrics", "iteration": int(iteration), "values": numbers})

    def event(self, name: str, **fields: Any) -> None:
        """Append an event, such as "started", "resumed", "stopped", "finished" or "failed", without passwords in it."""
        self._append({"time": time.time(), "kind": "event", "event": name, **masked_values(fields)})

    def flush(self) -> None:
        """Make the kernel write everything so far to the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, record: Record) -> None:
        line = json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"
        if self._torn:
            line = b"\n" + line
        # One write call a line: what a kill can tear is the last line only, and readers drop that one.
        written = os.write(self._descriptor, line)
        self._torn = written < len(line)
        if self._torn:  # a full disk, say: the rest fails loudly, and what comes later has a line of its own
            os.write(self._descriptor, line[written:])
            self._torn = False


def read(path: str | Path) -> list[Record]:
    """All records of the journal at `path`, in order; [] when there is none. Torn lines are left out. Raises
    BrokenRecord for what is no file.
    """
    return parse(contents(Path(path), REPAIR) or b"")


def first(path: str | Path) -> Record | None:
    """The journal's first line, where that is a record; errors as of `read`."""
    descriptor = opened(Path(path), REPAIR)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return _record(file.readline(_TAIL))


def counted(records: Iterable[Record]) -> list[Record]:
    """The metrics among the records that count: those of iterations that the run was cut back from are left out."""
    kept: list[Record] = []
    for record in records:
        if record["kind"] == "metrics":
            kept.append(record)
        elif (end := _cut_back_to(record)) is not None:
            kept = [one for one in kept if one["iteration"] <= end]
    return kept


def beginnings(records: Sequence[Record]) -> list[float]:
    """When what counts of the journal began, unix seconds: its first line, and each time that the run was cut back, in
    the journal's order, which a clock that was set back does not change. [] for no records.
    """
    cuts = [float(record["time"]) for record in records if _cut_back_to(record) is not None]
    return [float(records[0]["time"]), *cuts] if records else []


def _cut_back_to(record: Record) -> int | None:
    if record["kind"] != "event" or record["event"] != CUT_BACK:
        return None
    iteration = record.get("iteration")
    return iteration if isinstance(iteration, int) else None


def last(path: str | Path) -> Record | None:
    """The last metrics record, or None; errors as of `read`. A line that is no record is passed over."""
    return _last(path, counting=False)[0]


def look(path: str | Path) -> Record | None:
    """As `last`. Raises BrokenRecord also where the end of the journal has lines that nobody wrote so."""
    found, strange = _last(path)
    if strange:
        raise BrokenRecord(Path(path), f"has {strange} line{'s' * (strange > 1)} that no run writes", REPAIR)
    return found


def _last(path: str | Path, counting: bool = True) -> tuple[Record | None, int]:
    """The last metrics record, and, where that is to be counted, how many lines near it are JSON and no record. Reads
    the end of the file only: a status board stays cheap.
    """
    descriptor = opened(Path(path), REPAIR)
    if descriptor is None:
        return None, 0
    strange = 0
    try:
        end = os.fstat(descriptor).st_size
        start, span = end, _TAIL
        while start > 0:
            start = max(0, end - span)
            # The first line of the piece may be cut, also within a character; as a torn line it is left out.
            lines = os.pread(descriptor, end - start, start).split(b"\n")[1 if start else 0 :]
            # the latest line first: who does not count is done with the first that will do
            records: Iterator[Record | None] = map(_record, reversed(lines))
            if counting:
                records = iter(kept := list(records))
                pairs = zip(reversed(lines), kept, strict=True)
                strange = sum(_strange(line) for line, record in pairs if record is None)
            if (found := next((one for one in records if one and one["kind"] == "metrics"), None)) is not None:
                return found, strange
            span *= 4
    finally:
        os.close(descriptor)
    return None, strange


def parse(data: bytes) -> list[Record]:
    """The records in `data`, whole lines of a journal; what is no record (a torn line) is left out."""
    return [record for line in data.split(b"\n") if (record := _record(line)) is not None]


def whole_lines(data: bytes) -> bytes:
    """The lines of `data` that are records, as they are."""
    return b"".join(line + b"\n" for line in data.split(b"\n") if _record(line) is not None)


def _record(line: bytes) -> Record | None:
    """The record that a line is; None of any other."""
    try:
        record = json.loads(line.decode())
        record["time"] = _within(float(record["time"]))
        if record["kind"] == "metrics":
            record["iteration"] = int(_within(record["iteration"]))
            record["values"] = {name: float(value) for name, value in record["values"].items()}
        elif record["kind"] == "event":
            record["event"] = str(record["event"])
            for name in ("iteration", "world_size"):
                if name in record:
                    record[name] = int(_within(record[name]))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _strange(line: bytes) -> bool:
    """Whether a line that is no record is not merely torn: it is whole JSON, or no text."""
    try:
        json.loads(line.decode())
    except (UnicodeDecodeError, RecursionError):
        return True
    except ValueError:
        return False
    return True


def _within(value: Any) -> Any:
    """A number that can be a time or an iteration; else ValueError, or TypeError for what is no number."""
    if not 0 <= value <= MOST:
        raise ValueError
    return value


def _number(value: Any) -> float | str:
    """A float; JSON knows no NaN or infinity, so these are written as text that float() reads back."""
    number = float(value)
    return number if math.isfinite(number) else str(number)
