"""Records of a cell, and the ways in which a file can be broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from gta.cellfolder import CellFolder

RECORDS = ("cell.json", "submitted.json", "failure.json", "cancelled.json", "result.json", "attempts/0001.json")


def _directory(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def _version(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))


BREAKAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "cut": lambda path: path.write_text(path.read_text()[: len(path.read_text()) // 2]),
    "a list": lambda path: path.write_text("[]"),
    "version 99": _version,
    "not UTF-8": lambda path: path.write_bytes(b"\xff" + path.read_bytes()),
    "a directory": _directory,
}


def spoil(folder: CellFolder, record: str, breakage: str) -> None:
    """Break a record that is there."""
    BREAKAGES[breakage](folder.path / record)
