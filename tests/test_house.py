"""Rules of the house that no linter knows: see CONTRIBUTING.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.program import ROOT

PACKAGES = ("gta", "launch", "analysis")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
RECORDS = {"cell.json", "submitted.json", "failure.json", "cancelled.json", "result.json", "journal.jsonl"}


def private_names(path: Path) -> Iterator[str]:
    """Names with a leading underscore that a file takes from another file of the project."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            modules |= {alias.asname or alias.name for alias in node.names}
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield from (f"{node.value.id}.{name}" for name in [node.attr] if name.startswith("_") and name[1] != "_")


def test_private_names_stay_in_their_file() -> None:
    assert {path.name: found for path in FILES if (found := list(private_names(path)))} == {}


def test_the_cell_folder_alone_knows_its_files() -> None:
    """Docstrings and messages may name a record; code asks `gta.cellfolder` (paths: `gta.cellpaths`)."""
    found = {}
    for path in FILES:
        nodes = ast.walk(ast.parse(path.read_text()))
        names = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        if path.name not in ("cellfolder.py", "cellpaths.py") and (mine := names & RECORDS):
            found[path.name] = mine
    assert found == {}
