"""Records of a cell, and the ways in which a file can be damaged; many such cells, made cheaply."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gta.cell import Cell
from gta.cellfolder import CellFolder
from tests.helpers.cells import attempt, cancelled, failed, finish, submitted

RECORDS = ("cell.json", "submitted.json", "failure.json", "cancelled.json", "result.json", "attempts/0001.json")


def _folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _version(path: Path, version: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": version}))


def _numbers(path: Path, number: Any) -> None:
    """The record with other numbers, 1e400 or a text."""
    path.write_text(_beyond(json.dumps(_replaced(json.loads(path.read_text()), number))))


def _beyond(text: str) -> str:
    """JSON with 1e400, which Python reads and does not write."""
    return text.replace('"1e400"', "1e400")


def _replaced(value: Any, number: Any) -> Any:
    if isinstance(value, dict):
        return {name: inner if name == "version" else _replaced(inner, number) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, number) for inner in value]
    return number if isinstance(value, (int, float)) and not isinstance(value, bool) else value


BREAKAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "cut": lambda path: path.write_text(path.read_text()[: len(path.read_text()) // 2]),
    "a list": lambda path: path.write_text("[]"),
    "version 99": lambda path: _version(path, 99),
    "a version that is none": lambda path: _version(path, {}),
    "not UTF-8": lambda path: path.write_bytes(b"\xff" + path.read_bytes()),
    "a directory": _folder,
    "null": lambda path: path.write_text("null"),
    "a text": lambda path: path.write_text('"done"'),
    "an empty object": lambda path: path.write_text("{}"),
    "no end of brackets": lambda path: path.write_text("[" * 100_000),
    "numbers beyond all numbers": lambda path: _numbers(path, "1e400"),
    "texts for numbers": lambda path: _numbers(path, "soon"),
    "half a character": lambda path: path.write_text('{"signature": "\\ud800", "log": "\\u0000", "by": "\\ud800"}'),
    "a pipe": _pipe,
    "a link to itself": lambda path: (path.unlink(), path.symlink_to(path.name)),
}


def spoil(folder: CellFolder, record: str, breakage: str) -> None:
    """Break a record that is there."""
    BREAKAGES[breakage](folder.path / record)


def _line(**fields: Any) -> Callable[[Path], object]:
    """A further line of a journal."""
    text = _beyond(json.dumps({"time": 1e9, "kind": "metrics", "iteration": 9, "values": {}, **fields}))
    return lambda path: path.write_text(f"{path.read_text()}{text}\n")


_JOURNAL: dict[str, Callable[[Path], object]] = {
    "iteration 1e400": _line(iteration="1e400"),
    "a time as text": _line(time="noon"),
    "a time 1e400": _line(time="1e400"),
    "values as list": _line(values=[1]),
    "a world of texts": _line(kind="event", event="started", world_size="many"),
    "a list": lambda path: path.write_text("[]\n"),
    "null": lambda path: path.write_text("null\n" * 3),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe\n" + path.read_bytes()),
    "a directory": _folder,
    "a pipe": _pipe,
}
_CONFIG: dict[str, Callable[[Path], object]] = {
    **{name: BREAKAGES[name] for name in ("empty", "a list", "cut", "not UTF-8", "a directory", "a pipe", "null")},
    "a list of YAML": lambda path: path.write_text("- a\n- b\n"),
    "a tab": lambda path: path.write_text("\tmethod: 1\n"),
}
_CACHE = {name: BREAKAGES[name] for name in ("empty", "a list", "null", "not UTF-8", "a directory", "a pipe")}


@dataclass(frozen=True)
class Case:
    """One file of a cell's folder, and what became of it. `told`: the file that is named for it, if any must be."""

    file: str
    breakage: str
    spoil: Callable[[Path], object]
    told: str

    def __str__(self) -> str:
        return f"{self.file} {self.breakage}"

    def of(self, folder: CellFolder) -> None:
        self.spoil(folder.path / self.file)


def _stray(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def _in_place(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("")


CASES = [
    *(Case(file, name, how, file) for file in RECORDS for name, how in BREAKAGES.items()),
    *(Case("journal.jsonl", name, how, "journal.jsonl") for name, how in _JOURNAL.items()),
    *(Case("config.yaml", name, how, "config.yaml") for name, how in _CONFIG.items()),
    *(Case("mlflow.json", name, how, "mlflow.json") for name, how in _CACHE.items()),
    Case("attempts", "a file", _in_place, "attempts"),
    Case("artifacts", "a file", _in_place, "artifacts"),
    Case("attempts/notes.txt", "a stray file", _stray("mine"), ""),
    Case("attempts/1.json", "a stray file", _stray("[]"), ""),
    Case("attempts/0007.json", "a stray file", _stray(""), "attempts/0007.json"),
    Case("checkpoint.pt", "a directory", _folder, "checkpoint.pt"),
]


def failed_cell(cell: Cell) -> None:
    """One that failed and was cancelled too, with every record but a result."""
    _begun(cell, "failed")
    failed(cell, when=2.0)
    cancelled(cell, when=1.5)
    claimed = cell.folder.attempt_file(1)
    os.utime(claimed, (1e9, 1e9))


def done_cell(cell: Cell) -> None:
    """One that is done, with every record that there can be."""
    failed_cell(cell)
    finish(cell, miou=71.25)


def _begun(cell: Cell, ended: str) -> None:
    cell.write()
    attempt(cell, "9000101", ended)
    submitted(cell, "9000101", 1.0, cluster="local")
    cell.folder.sync_cache_file.write_text('{"sqlite:///x": {"run_id": "a", "files": {}, "sweeps": ["toy"]}}')
    cell.folder.artifacts_folder.mkdir()


def copies(template: Cell, count: int) -> list[Cell]:
    """Cells whose folders are as that of the template is, under made-up signatures."""
    made = []
    for number in range(count):
        signature = f"{number:016x}"
        folder = CellFolder(template.folder.path.with_name(signature))
        made.append(replace(template, signature=signature, folder=folder))
        copy(template, made[-1])
    return made


def copy(template: Cell, cell: Cell) -> None:
    """The folder of another cell as that of the template is; its config says another seed than its own."""
    shutil.copytree(template.folder.path, cell.folder.path)
    for file in (cell.folder.identity_file, cell.folder.result_file):
        if file.exists():
            file.write_text(file.read_text().replace(template.signature, cell.signature))
