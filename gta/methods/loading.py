"""A user's own method out of its source: the module of a file, the one class in it, and what its settings must be.

Each failure is one sentence with its place, as it is the user who can mend it.
"""

from __future__ import annotations

import ast
import sys
import traceback
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gta.config import MethodConfig
from gta.errors import UserError
from gta.fields import values_of
from gta.text import first_line

if TYPE_CHECKING:
    from gta.methods.base import Method

FOLDER = Path("methods")  # of the working folder


def executed(text: str, path: Path, name: str) -> ModuleType:
    """The module of a file, run as `name`. Raises UserError, with the line in which it fails."""
    try:
        tree = ast.parse(text)
        code = compile(text, str(path), "exec")
    except (SyntaxError, ValueError) as error:  # the latter: a zero byte
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        reason = error.msg if isinstance(error, SyntaxError) else first_line(error)
        raise UserError(f"{path}{line}: this is no Python ({reason}); mend the file.") from None
    _refuse_neighbours(tree, path)
    module = sys.modules[name] = ModuleType(name)  # dataclasses look their module up
    module.__file__ = str(path)
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        raise UserError(
            f"{path}, line {lines[-1] if lines else 1}: {type(error).__name__}: {first_line(error)}; mend the file."
        ) from None
    return module


def _refuse_neighbours(tree: ast.Module, path: Path) -> None:
    """Raise UserError for what a digest of one file says nothing of, and a job elsewhere would not find."""
    for node in ast.walk(tree):
        relative = isinstance(node, ast.ImportFrom) and node.level > 0
        roots = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        roots += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if relative or any(root.split(".")[0] == FOLDER.name for root in roots):
            raise UserError(
                f"{path}, line {getattr(node, 'lineno', 1)}: it imports a file beside it, and a method is one file, "
                "whose digest its cells are known by: put the code into it, or both into an installed package."
            )


def one_method(values: Iterable[Any], name: str, place: str) -> type[Method]:
    """The one class among the values that is the method of this name; a base that it shares settings with is none.

    Raises UserError where there is no such class, or several, and where its settings are none.
    """
    from gta.methods.base import Method

    kinds = dict.fromkeys(value for value in values if isinstance(value, type))
    classes = [kind for kind in kinds if issubclass(kind, Method)]
    named = {kind: _default_name(kind.Config) for kind in classes}
    mine = [kind for kind in classes if named[kind] == name]
    last = [kind for kind in mine if not any(other is not kind and issubclass(other, kind) for other in mine)]
    if len(last) == 1:
        _check_settings(last[0].Config, place)
        return last[0]
    if last:
        raise UserError(f"{place} has {len(last)} methods called {name} ({', '.join(k.__name__ for k in last)}).")
    for kind in classes:
        _check_declared(kind.Config, place)
    if classes:
        others = ", ".join(f"{kind.__name__} is called {named[kind]}" for kind in classes)
        raise UserError(
            f"{place} has no method called {name} ({others}): in its Config, write "
            f'name: str = result("{name}", "Key of the method.").'
        )
    raise UserError(f"{place} has no method: write a class on top of gta.methods.base.Method.")


def _default_name(config: type[MethodConfig]) -> str:
    return next((str(item.default) for item in fields(config) if item.name == "name"), "")


def _check_declared(config: type[MethodConfig], place: str) -> None:
    """Raise UserError for what is no dataclass of settings; without the line before it, its fields are not seen."""
    if "__dataclass_params__" not in config.__dict__ or not issubclass(config, MethodConfig):
        raise UserError(
            f"{place}: {config.__name__} is to be a dataclass on top of MethodConfig, with "
            "@dataclass(frozen=True, kw_only=True) before it."
        )


def _check_settings(config: type[MethodConfig], place: str) -> None:
    """Raise UserError for settings that a cell could not be made of."""
    _check_declared(config, place)
    if bare := [item.name for item in fields(config) if "neutral" not in item.metadata]:
        raise UserError(
            f"{place}: {config.__name__}.{bare[0]} does not say whether it can change a result: give its default by "
            "result(DEFAULT, WHAT IT IS), or by neutral(...)."
        )
    try:
        values_of(config)  # type: ignore[arg-type]
    except Exception as error:  # an annotation that is no type
        raise UserError(f"{place}: {config.__name__}: {type(error).__name__}: {first_line(error)}.") from None
