"""The import rules of the project, read from the source: who may import whom, also within functions."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAVES = {"gta.ops.losses", "gta.ops.metrics", "gta.ops.optim"}
FILES = sorted(path for folder in ("gta", "launch", "analysis") for path in (ROOT / folder).rglob("*.py"))


def module(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imports(path: Path, top_only: bool = False) -> set[str]:
    """Full names of the modules a file imports; with `top_only`, of those imported when the file is."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def within(names: set[str], *prefixes: str) -> set[str]:
    return {name for name in names if any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)}


@pytest.mark.parametrize("path", FILES, ids=module)
def test_import_rules(path: Path) -> None:
    name, names = module(path), imports(path)
    if name in LEAVES:
        assert packages(names) <= {"torch", "__future__", "collections", "typing", "math", "gta"}, name
        assert not within(names, "gta") - within(names, *LEAVES), f"{name} is a leaf"
    if name.startswith("gta") and not name.startswith(("gta.cli", "gta.__main__")):
        assert not packages(names) & {"launch", "analysis"}, "only the commands look up to launch and analysis"
    if name.startswith("gta.methods"):
        assert not packages(names) & {"hydra", "omegaconf", "mlflow", "submitit", "cv2", "PIL", "pandas"}
        assert not within(names, "gta.data", "gta.train", "gta.tracking", "gta.compose"), "a method needs torch alone"
    if name.startswith(("gta.models", "gta.data")):
        assert not packages(names) & {"hydra", "omegaconf", "mlflow", "submitit", "pandas"}
        assert not within(names, "gta.methods", "gta.train", "gta.tracking")
    if name == "gta.train.trainer":
        assert within(names, "gta.methods") <= {"gta.methods.base", "gta.methods.base.Method"}, "it knows no method"
    if name.startswith("launch"):
        assert "analysis" not in packages(names)
    if name.startswith("analysis"):
        assert not packages(names) & {"torch", "launch", "hydra", "omegaconf"}
        assert not within(names, "gta") - within(names, "gta.tracking", "gta.errors", "gta.files") - {"gta"}
    if "mlflow" in packages(names):
        assert name.startswith(("gta.tracking", "analysis")), "one place writes to MLflow"


@pytest.mark.parametrize("path", [ROOT / "gta/__main__.py", ROOT / "gta/cli/main.py"], ids=module)
def test_nothing_heavy_before_the_command_is_known(path: Path) -> None:
    allowed = {"sys", "difflib", "importlib", "gta", "__future__", "collections", "typing"}
    assert packages(imports(path, top_only=True)) <= allowed
