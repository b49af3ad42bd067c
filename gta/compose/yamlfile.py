"""One YAML file as settings: what is wrong with it is said in a sentence, with the file and the line."""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from gta.errors import UserError
from gta.text import first_line

# YAML reads these as other numbers than they say: 1_16 as 116, 010 as 8, 1:30 as 90
_NUMBERED = re.compile(r"\d+(_\d+)+|0\d+|\d+(:[0-5]?\d)+")


def read_settings(path: Path) -> tuple[DictConfig, str]:
    """The mapping that the file at `path` holds, and its text. Raises UserError for what is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UserError(f"{_at(path, line)} is not text in UTF-8.") from None
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror}.") from None
    try:
        node = copy.deepcopy(_loaded(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UserError(f"{_at(path, mark.line + 1 if mark else None)} is not YAML: {_problem(error)}.") from None
    except yaml.reader.ReaderError as error:  # a byte that YAML allows nowhere
        line = text[: error.position].count("\n") + 1
        raise UserError(f"{_at(path, line)} is not YAML: it holds {chr(error.character)!r}.") from None
    except RecursionError:
        raise UserError(f"{shown(path)} is not YAML that can be read: it is nested too deep.") from None
    except Exception as error:  # a date that is none, a key that is a list: YAML's and OmegaConf's have no common base
        raise UserError(f"{shown(path)} cannot be read as settings: {first_line(error)}.") from None
    if not isinstance(node, DictConfig):
        raise UserError(f"{shown(path)} must hold settings, a line each (name: value).")
    return node, text


@lru_cache(maxsize=500)
def _loaded(text: str) -> Any:
    """As `load_yaml`, once for a text: a command composes the same few files half a dozen times."""
    return load_yaml(text)


def load_yaml(text: str) -> Any:
    """What OmegaConf loads of a YAML text, with what YAML 1.1 would read as another number left as it is written.

    A field that is a number takes such a text as one (10_000).
    """
    tree = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(tree, yaml.ScalarNode):  # OmegaConf would make a key of it
        return tree.value
    # by their ends: an alias is the node of its anchor, and that begins with the anchor's name
    nodes = {node.end_mark.index: node for node in _scalars(tree)}
    for end, node in sorted(nodes.items(), reverse=True):
        if node.style is None and _NUMBERED.fullmatch(node.value):
            text = f"{text[: end - len(node.value)]}'{node.value}'{text[end:]}"
    return OmegaConf.load(io.StringIO(text))


def place(path: Path, name: str) -> str:
    """Where the dotted `name` is said in a file that can be read: "sweeps/mine.yaml, line 7"; the file alone where it
    is not said there. Of a list, an item's name is its number.
    """
    node: yaml.Node | None = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    line = None
    while name:
        found = next(((key, below) for key, below in _below(node) if f"{name}.".startswith(f"{key}.")), None)
        if found is None:
            break
        key, (mark, node) = found
        line, name = mark.line + 1, name[len(key) + 1 :]
    return _at(path, None if name else line)


def shown(path: Path) -> Path:
    """The path as a person at the command line writes it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _at(path: Path, line: int | None) -> str:
    return f"{shown(path)}, line {line}" if line else str(shown(path))


def _problem(error: yaml.MarkedYAMLError) -> str:
    """What the parser has against a text."""
    said = " ".join(str(error.problem or error.context or "it cannot be parsed").split())
    return "a tab stands where spaces must" if r"'\t'" in said else said.removeprefix("but ")


def _below(node: yaml.Node | None) -> Iterator[tuple[str, tuple[yaml.Mark, yaml.Node]]]:
    """(name, (where it stands, its value)) of what a mapping or a list holds."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield key.value, (key.start_mark, value)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield str(index), (value.start_mark, value)


def _scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """All scalars of a YAML document; what has an alias comes again for it."""
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for below in node.value:
            yield from _scalars(below)
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for below in pair:
                yield from _scalars(below)
