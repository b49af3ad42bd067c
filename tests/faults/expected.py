"""What a grid comes to when nothing disturbs it, and what must be so after any fault."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Points = dict[tuple[str, int], float]
ON_EVERY_LINE = ("seconds", "system/data_wait_percent")  # of the journal: of steps, and of their evaluation
ATTEMPTS = "attempts/[0-9][0-9][0-9][0-9].json"  # beside them lie other records, as of a rank that is silent
MOVING = ("seconds", "system/")  # names of metrics that are of the machine, not of the run


@dataclass(frozen=True)
class CellExpected:
    """One cell: its scores, the metrics of its journal, and the sha256 of its last checkpoint's tensors."""

    result: dict[str, Any]
    points: Points
    tensors: str


@dataclass(frozen=True)
class Expected:
    """A grid: its cells by signature, its table as JSON and CSV, and how many changes of files each role makes."""

    cells: dict[str, CellExpected]
    table: dict[str, str]
    moments: dict[str, int] = field(default_factory=dict)

    @property
    def last(self) -> str:
        """A cell of it: the one that the state `half` has stopped."""
        return next(s for s, cell in reversed(self.cells.items()) if cell.result["headline"] == self._headline)

    @property
    def _headline(self) -> str:
        names = [cell.result["headline"] for cell in self.cells.values()]
        return "teacher" if "teacher" in names else names[0]


def read_expected(path: Path, moments: dict[str, int]) -> Expected:
    """Of an undisturbed world."""
    cells = {folder.name: read_cell(folder) for folder in sorted((path / "runs" / "cells").iterdir())}
    return Expected(cells, read_table(path), moments)


def read_cell(folder: Path, checkpoint: bool = True) -> CellExpected:
    result = json.loads((folder / "result.json").read_text())
    for name in ("seconds", "finished", "commit"):
        result.pop(name)
    return CellExpected(
        result, points(folder / "journal.jsonl"), tensors(folder / "checkpoint.pt") if checkpoint else ""
    )


def read_table(path: Path) -> dict[str, str]:
    """The table's files that a program reads, without the line that names commits: of the world's grid, which is the
    sweep as declared or a variant of it.
    """
    (folder,) = {file.parent for file in (path / "results" / "faults").rglob("table.json")}
    made = {}
    for name in ("table.json", "table.csv"):
        text = (folder / name).read_text()
        made[name] = "\n".join(line for line in text.splitlines() if '"Code: ' not in line)
    return made


def lines(journal: Path) -> list[dict[str, Any]]:
    """The whole lines of a journal, read without the program's own reader."""
    found: list[dict[str, Any]] = []
    for line in journal.read_bytes().split(b"\n") if journal.exists() else ():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def _real(line: dict[str, Any]) -> bool:
    """Whether a line is one that a run writes, and none that the fault put there."""
    return isinstance(line.get("time"), float) and line["time"] > 1e6 and isinstance(line.get("iteration"), int)


def points(journal: Path) -> Points:
    """(name, iteration) -> value, of the first occurrence."""
    made: Points = {}
    for line in lines(journal):
        if line.get("kind") == "metrics" and _real(line):
            for name, value in line["values"].items():
                if not name.startswith(MOVING):
                    made.setdefault((name, line["iteration"]), value)
    return made


def tensors(checkpoint: Path) -> str:
    """sha256 of all that a checkpoint holds of the method: names, shapes, bytes."""
    import torch

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    digest = hashlib.sha256(str(state["iteration"]).encode())
    for name, value in sorted(_flat(state["method"])):
        digest.update(name.encode())
        if isinstance(value, torch.Tensor):
            digest.update(str(tuple(value.shape)).encode() + value.contiguous().numpy().tobytes())
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _flat(one, f"{name}/{key}")
    elif isinstance(value, (list, tuple)):
        for place, one in enumerate(value):
            yield from _flat(one, f"{name}/{place}")
    else:
        yield name, value


def troubles(path: Path, wanted: Expected, losing: Collection[str] = ()) -> list[str]:
    """What is not as it must be; empty where all is well. `losing`: what the fault took for good (lines of a journal,
    the checkpoint of a cell that is done, bits of the store): of that it is only asked that nothing false is there.
    """
    found = []
    names = {folder.name for folder in (path / "runs" / "cells").iterdir() if (folder / "cell.json").exists()}
    if strange := names - wanted.cells.keys():
        found.append(f"cells that nobody asked for: {', '.join(sorted(strange))}")
    for signature, cell in wanted.cells.items():
        found += [f"{signature[:8]}: {text}" for text in _of_cell(path / "runs" / "cells" / signature, cell, losing)]
    for name, text in read_table(path).items():
        if text != wanted.table[name]:
            found.append(f"{name} is another: {_difference(wanted.table[name], text)}")
    return found if "store" in losing else found + _of_store(path / "runs" / "mlflow.db", wanted, "journal" in losing)


def _of_cell(folder: Path, wanted: CellExpected, losing: Collection[str]) -> list[str]:
    try:
        found = read_cell(folder, "checkpoint" not in losing)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        return [f"{type(error).__name__}: {error}"]
    said = []
    if found.result != wanted.result:
        said.append(f"another result: {found.result['networks']}")
    if "checkpoint" not in losing and found.tensors != wanted.tensors:
        said.append("other tensors in the last checkpoint")
    names = found.points.keys() if "journal" in losing else found.points.keys() | wanted.points.keys()
    if other := sorted(name for name in names if found.points.get(name) != wanted.points.get(name)):
        said.append(f"other metrics in the journal: {other[:3]}")
    return said + list(done_once(folder, losing))


def done_once(folder: Path, losing: Collection[str] = ()) -> Iterator[str]:
    """Of one attempt each iteration stands once in the journal, in order, after the one that it went on from; and no
    two attempts worked at the same time.
    """
    at, seen = -1, set[tuple[str, int]]()
    for line in lines(folder / "journal.jsonl"):
        if line.get("event") in ("started", "resumed"):
            at, seen = line["iteration"], set()
        if line.get("kind") == "metrics" and _real(line):
            new = {(name, line["iteration"]) for name in line["values"] if name not in ON_EVERY_LINE}
            if line["iteration"] < max(at, 0) or new & seen:
                yield f"iteration {line['iteration']} is twice in the journal, in one attempt"
            seen |= new
    ends = 0.0
    for attempt in sorted(folder.glob(ATTEMPTS)):
        try:
            said = json.loads(attempt.read_text())
        except (OSError, ValueError):
            continue
        if not isinstance(said, dict):
            continue
        if said["time"] < ends - 0.5 and "clock" not in losing:
            yield f"attempt {attempt.stem} began before the one before it ended"
        ends = said.get("end_time") or 0.0


def _of_store(path: Path, wanted: Expected, fewer: bool) -> list[str]:
    """In MLflow each cell has one run, finished, with each point once; `fewer`: some may lack."""
    said: list[str] = []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for signature in wanted.cells:
            runs = database.execute(
                "select run_uuid, status from runs join tags using (run_uuid) where key = 'gta.signature' "
                "and value = ? and lifecycle_stage = 'active'", (signature,),
            ).fetchall()  # fmt: skip
            if [status for _, status in runs] != ["FINISHED"]:
                said.append(f"{signature[:8]}: its runs in MLflow are {runs}")
                continue
            rows = database.execute("select key, step, value from metrics where run_uuid = ?", (runs[0][0],)).fetchall()
            kept = [(key, step) for key, step, _ in rows if not key.startswith(MOVING)]
            if len(kept) != len(set(kept)):
                twice = sorted({point for point in kept if kept.count(point) > 1})
                said.append(f"{signature[:8]}: points that MLflow has twice: {twice[:3]}")
            if not fewer and (missing := wanted.cells[signature].points.keys() - set(kept)):
                said.append(f"{signature[:8]}: points that MLflow lacks: {sorted(missing)[:3]}")
    return said


def _difference(one: str, other: str) -> str:
    for a, b in zip(one.splitlines(), other.splitlines(), strict=False):
        if a != b:
            return f"{b.strip()} for {a.strip()}"
    return f"{len(other.splitlines())} lines for {len(one.splitlines())}"
