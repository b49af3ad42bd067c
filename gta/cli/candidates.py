"""What a word on the command line can become: settings and their values, methods, sweeps, and names of cells.

Quick: it imports neither torch, Hydra nor YAML. Groups are read off the folders of YAML files, the settings of the
methods off their source, as to import them means to import torch.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

from click.shell_completion import CompletionItem

from gta import ROOT

GTA = Path(__file__).parents[1]
CONF = GTA / "conf"
SWITCH = ("true", "false")

Row: TypeAlias = tuple[str, Sequence[str]]  # help and choices of a setting


def overrides(begun: str) -> list[CompletionItem]:
    """`sweep=` and the like, settings once a letter of them is there; after the = the values, also in a list."""
    name, equals, value = begun.partition("=")
    if not equals:
        known = {f"{group}=": "" for group in groups()}
        if begun:
            known |= {f"{name}=": help for name, (help, _) in settings().items()}
        return [CompletionItem(word, help=help or None) for word, help in known.items() if word.startswith(begun)]
    plain = name.lstrip("+~")
    values = groups().get(plain) or settings().get(plain, ("", ()))[1]
    before, comma, last = value.rpartition(",")
    given = before.split(",")
    fits = [word for word in values if word.startswith(last) and word not in given]
    return [CompletionItem(f"{name}={before}{comma}{word}") for word in fits]


def groups() -> dict[str, list[str]]:
    """Name -> choices of every group: the YAML files of the package, and of the user's own ./conf and ./sweeps."""
    found: dict[str, set[str]] = {}
    for path in CONF.glob("*/**/[!.]*.yaml"):
        found.setdefault(path.parent.relative_to(CONF).as_posix(), set()).add(path.stem)
    for group, names in found.items():
        names |= _named(Path("conf") / group)
    found["method"] |= set(methods())
    found["sweep"] = _named(ROOT / "sweeps") | _named(Path("sweeps"))
    return {group: sorted(found[group]) for group in sorted(found, key=lambda name: (name != "sweep", name))}


def _named(folder: Path) -> set[str]:
    """The YAML files of a folder; hidden ones are an editor's."""
    return {path.stem for path in folder.glob("[!.]*.yaml") if path.is_file()}


def settings() -> dict[str, Row]:
    """Name -> (help, choices) of every setting, those of all methods too."""
    from gta.config import PROTOCOLS, Config
    from gta.fields import describe

    found: dict[str, Row] = {
        name: (row["help"], SWITCH if isinstance(row["default"], bool) else ())
        for name, row in describe(Config).items()
    }
    found["evaluation.protocol"] = (found["evaluation.protocol"][0], PROTOCOLS)
    for config in methods().values():
        found |= {f"method.{name}": row for name, row in config.items()}
    return found


def methods() -> dict[str, dict[str, Row]]:
    """Name of a method -> its settings (help, choices), as the source declares them, of `gta/methods` and `./methods`;
    of one in an installed package the name alone.
    """
    from gta.methods import own

    mine = own.files()
    named: dict[str, dict[str, Row]] = {name: {} for name in own.names()}
    found = _methods((*sorted((GTA / "methods").glob("*.py")), *mine.values()))
    return named | found


@cache
def _methods(paths: tuple[Path, ...]) -> dict[str, dict[str, Row]]:
    declared: dict[str, tuple[list[str], dict[str, Row]]] = {}
    names: dict[str, str] = {}
    for path in paths:
        for node in _classes(path):
            if isinstance(node, ast.ClassDef):
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                declared[node.name] = (bases, _fields(node))
                if default := _default_name(node):
                    names[default] = node.name

    def inherited(config: str) -> dict[str, Row]:
        bases, own = declared.get(config, ([], {}))
        return {name: row for base in bases for name, row in inherited(base).items()} | own

    return {name: inherited(config) for name, config in names.items()}


def _classes(path: Path) -> list[ast.stmt]:
    try:
        return ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):  # a user's own, which is being written
        return []


def _declared(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr, ast.Call]]:
    """(name, annotation, call) of each field of a dataclass that is declared by a call: `result(default, help)`."""
    for field in node.body:
        match field:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.Call() as call):
                yield name, annotation, call


def _fields(node: ast.ClassDef) -> dict[str, Row]:
    """The fields of a dataclass, by name."""
    found: dict[str, Row] = {}
    for name, annotation, call in _declared(node):
        texts = [str(part.value) for part in call.args[1:] if isinstance(part, ast.Constant)]
        switch = isinstance(annotation, ast.Name) and annotation.id == "bool"
        found[name] = ("".join(texts[:1]), SWITCH if switch else ())
    return found


def _default_name(node: ast.ClassDef) -> str:
    """The name that a config gives its method; empty for a class that is none."""
    first = next((call.args[0] for name, _, call in _declared(node) if name == "name" and call.args), None)
    return str(first.value) if isinstance(first, ast.Constant) else ""


def cells(begun: str, overrides: Sequence[str]) -> list[CompletionItem]:
    """Names of cells below the folder of runs; signatures once some of their digits are there."""
    from gta.cli.composing import runs_folder
    from launch.grid.names import SHORTEST, known

    found = known(runs_folder(overrides))
    names = [cell.name for cell in found]
    names += [cell.signature for cell in found] if len(begun) >= SHORTEST else []
    return [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(begun)]
