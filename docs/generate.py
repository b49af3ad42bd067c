"""Writes the reference pages that follow from declarations in the code: `make docs`. A test says when one is stale."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gta.cli import reference
from gta.compose.compose import CONF, sweep_files
from gta.config import Config, MethodConfig
from gta.fields import describe
from gta.methods import METHODS
from gta.operations import OPERATIONS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
Rows = dict[str, dict[str, Any]]
COMMANDS = """\
# Commands

`gta COMMAND [NAME ...] [name=value ...] [--options]`. Options with dashes are the command's own; settings are
`name=value` ([configuration](configuration.md)), and all commands mean the same cells by the same settings. A cell is
named by its signature, the beginning of it, or words such as `gta/92/seed0`; a pattern of these names several. This
page is made from the declarations in `gta/cli/` (`make docs`).

Exit codes, where nothing else is said: 0 well, 1 a cell failed, 2 something that you can mend, 130 interrupted.
`gta --version` says the version.

"""
GROUPS = ("data", "model", "schedule", "evaluation", "site", "paths")
SETTINGS = """\
# Configuration

Every setting of a cell, as `name=value` on the command line or as YAML in `conf/` and `sweeps/` of the folder you work
in. This page is made from the declarations in `gta/*config.py` and `gta/methods/` (`make docs`);
`gta settings WORD` finds a setting by a word.

*Values* are those that a setting may have; a config with another one is refused before anything is submitted, in a
sentence with exit code 2. NaN and infinity are no numbers here. *Result* says whether a setting can change a result.
Where it says yes the setting is part of the [signature](../explanation/numbers.md#the-signature): another value is
another cell. `???` has no default: the file of the group gives the value.

A group is chosen by the name of a file, `GROUP=NAME`: one that is shipped in `gta/conf/`, or one of yours, under a name
of its own, in `conf/GROUP/`. `hydra/launcher` is `local` or `slurm`; `sweep` is a table: {sweeps}.
"""

AUGMENT = """\
{sets} A list in `data.augment.weak` or `data.augment.strong` has operations such as `{{op: blur, radius: [0.1, 2.0]}}`
([how to write one](../guides/augmentation.md)). Of two numbers a strength is drawn between, each time. `scale`,
`long_side`, `flip` and `crop` are of the weak view alone; the others are done by Pillow on 8 bits.
"""

ANALYSIS = """\
# Analysis

What notebooks and your own scripts import: MLflow's runs as a [pandas](https://pandas.pydata.org) DataFrame, the table
of them, the ways to show it, and the figures. `analysis/notebooks` has examples. Errors that you can mend are
`gta.errors.UserError`, whose text says what to do. This page is made from the docstrings in `analysis/` (`make docs`).

"""
MODULES = (  # of the package analysis, in the order in which one needs them
    *(
        "project",
        "runs",
        "own",
        "cells",
        "view",
        "entry",
        "scored",
        "table",
        "significance",
        "aggregate",
        "bootstrap",
        "published",
    ),
    *("render", "render.terminal", "render.markdown", "render.latex", "render.paper", "render.html", "render.data"),
    *("report.report", "report.figures", "report.against", "report.history", "report.numbers"),
)


def commands() -> str:
    """docs/reference/commands.md."""
    return COMMANDS + reference.markdown()


def settings() -> str:
    """docs/reference/configuration.md."""
    parts = [SETTINGS.format(sweeps=_words(sweep_files()))]
    rows = describe(Config)
    parts.append(_section("The cell", "", {name: row for name, row in rows.items() if "." not in name}))
    common = describe(MethodConfig, "method.")
    chosen = {*METHODS.known, *_files("method")}
    parts.append(_section("method", f"{_chosen('method', sorted(chosen))} All methods have:", common))
    for name in METHODS.known:
        own = {key: row for key, row in describe(METHODS.config(name), "method.").items() if key not in common}
        if own:
            parts.append(_section(name, "", own, level=3))
    for group in GROUPS:
        files = _files(group)
        about = _chosen(group, files) if files else ""
        parts.append(_section(group, about, {name: row for name, row in rows.items() if name.startswith(f"{group}.")}))
        if group == "data":
            parts.append(_operations())
    return "\n".join(parts)


def _section(title: str, about: str, rows: Rows, level: int = 2) -> str:
    lines = [f"{'#' * level} {title}", *([about, ""] if about else [])]
    lines += ["| setting | default | values | result | what it is |", "| --- | --- | --- | --- | --- |"]
    for name, row in rows.items():
        result = "no" if row["neutral"] else "yes"
        lines.append(f"| `{name}` | {_yaml(row['default'])} | {_values(row)} | {result} | {_cell(row['help'])} |")
    return "\n".join([*lines, ""])


def _operations() -> str:
    """Of what lists of views are made."""
    lines = ["### augment", AUGMENT.format(sets=_chosen("augment", _files("augment")))]
    lines += ["| operation | parameter | default | values | what it is |", "| --- | --- | --- | --- | --- |"]
    for name, operation in OPERATIONS.items():
        lines.append(f"| `{name}` | | | | {_cell(operation.what)} |")
        for key, one in operation.parameters.items():
            default = "must be given" if one.required else "left out" if one.default is None else _yaml(one.default)
            what = _cell(one.what[0].upper() + one.what[1:])
            lines.append(f"| | `{key}` | {default} | {_cell(str(one))} | {what}. |")
    return "\n".join([*lines, ""])


def _values(row: dict[str, Any]) -> str:
    """What the field declares: its choices, or its type and range."""
    return ", ".join(_yaml(value) for value in row["choices"]) or _cell(str(row["values"]))


def _yaml(value: Any) -> str:
    """A value as YAML would have it."""
    if value == "":
        return "empty"
    if isinstance(value, str):
        return f"`{value}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{json.dumps(value)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _files(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def _chosen(group: str, names: list[str]) -> str:
    return f"`{group}=NAME`, where NAME is {_words(names)}."


def _words(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def api() -> str:
    """docs/reference/analysis.md; read from the sources, so that nothing heavy is imported."""
    return ANALYSIS + "\n".join(_module(name) for name in MODULES)


def _module(name: str) -> str:
    path = ROOT / "analysis" / f"{name.replace('.', '/')}.py"
    tree = ast.parse((path if path.exists() else path.with_suffix("") / "__init__.py").read_text(encoding="utf-8"))
    parts = [f"## analysis.{name}", _prose(ast.get_docstring(tree) or "")]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and _public(node):
            parts += [f"### {node.name}", f"`{_signature(node)}`", _prose(ast.get_docstring(node) or "")]
            if isinstance(node, ast.ClassDef) and (members := list(_members(node))):
                parts.append("\n".join(members))
    return "\n\n".join(part for part in parts if part) + "\n"


def _public(node: ast.FunctionDef | ast.ClassDef) -> bool:
    return not node.name.startswith("_") and ast.get_docstring(node) is not None


def _signature(node: ast.FunctionDef | ast.ClassDef) -> str:
    """How it is called: a function with its types; a class with the fields of a dataclass, or what it is made of."""
    if isinstance(node, ast.FunctionDef):
        given = re.sub(r"^self(, )?", "", ast.unparse(node.args))
        return f"{node.name}({given})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            return re.sub(r"^__init__(.*) -> None$", rf"{node.name}\1", _signature(one))
    fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
    given = ", ".join(map(ast.unparse, fields))
    for made_by, value in (("list", "[]"), ("dict", "{}")):
        given = given.replace(f"field(default_factory={made_by})", value)
    return f"{node.name}({given})"


def _members(node: ast.ClassDef) -> Iterator[str]:
    """A line for each property and method that says what it is."""
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and _public(one):
            name = one.name if any(map(_is_property, one.decorator_list)) else _signature(one)
            yield f"- `{name}`: {' '.join((ast.get_docstring(one) or '').split())}"


def _is_property(decorator: ast.expr) -> bool:
    return ast.unparse(decorator) in ("property", "cached_property")


def _prose(docstring: str) -> str:
    """A docstring as Markdown: what is indented in it is text as it stands."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", docstring):
        shown = paragraph.startswith("    ")
        found.append(f"```text\n{inspect.cleandoc(paragraph)}\n```" if shown else paragraph)
    return "\n\n".join(found)


PAGES = {FOLDER / "commands.md": commands, FOLDER / "configuration.md": settings, FOLDER / "analysis.md": api}

if __name__ == "__main__":
    for path, make in PAGES.items():
        path.write_text(make(), encoding="utf-8")
        print(path)
