"""What Hydra and OmegaConf keep private stands in two files, and is still where those files look for it."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from tests.helpers.program import ROOT

ALLOWED = ("gta/compose/hydra.py", "launch/hydra_plugins/gta_launcher.py")
PRIVATE = re.compile(r"(hydra|omegaconf)\.(\w+\.)*_[a-z]")
FOLDERS = ("gta", "launch", "analysis", "tests", "benchmarks")


def imported(path: Path) -> list[tuple[str, str]]:
    """(module, name) of everything private that a file imports."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    return [(str(n.module), alias.name) for n in nodes if PRIVATE.match(str(n.module)) for alias in n.names]


def test_two_files_alone_use_private_names() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    named = {path.relative_to(ROOT).as_posix() for path in files if imported(path)}
    assert named == set(ALLOWED)


@pytest.mark.parametrize(("module", "name"), [pair for file in ALLOWED for pair in imported(ROOT / file)])
def test_a_private_name_is_where_it_was(module: str, name: str) -> None:
    try:
        found = hasattr(importlib.import_module(module), name)
    except ImportError:
        found = False
    assert found, f"an update moved {module}.{name}: find it, and mend {' and '.join(ALLOWED)}"
