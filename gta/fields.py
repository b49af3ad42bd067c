"""How a config field declares what it is, whether it can change a result, and which values it may have.

Identity is declared where the field lives: the signature of a cell (`gta.cell`) is made of the fields that
can change a result, so a new field has to say on which side it stands. A test refuses a field that does not.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import MISSING, field, fields, is_dataclass
from typing import Any, get_type_hints

from gta.errors import UserError

Range = tuple[float, float]


def result(default: Any, help: str, *, within: Range | None = None, choices: Iterable[Any] = ()) -> Any:
    """A field that can change a result; it is part of the signature and an MLflow param.

    `within`: smallest and largest value; `choices`: all that it may be. `check_values` holds a config to them.
    """
    return _declare(default, {"help": help, "neutral": False, "within": within, "choices": tuple(choices)})


def neutral(default: Any, help: str, *, choices: Iterable[Any] = ()) -> Any:
    """A field that cannot change a result (workers, paths, logging, the site); left out of the signature."""
    return _declare(default, {"help": help, "neutral": True, "within": None, "choices": tuple(choices)})


def _declare(default: Any, metadata: dict[str, Any]) -> Any:
    if isinstance(default, type) and is_dataclass(default):
        return field(default_factory=default, metadata=metadata)
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def check_values(config: Any, prefix: str = "") -> None:
    """Raise UserError for a value that its field does not declare, by its dotted name; None is always right."""
    for item in fields(config):
        name, value = prefix + item.name, getattr(config, item.name)
        if is_dataclass(value):
            check_values(value, name + ".")
        if value is None:
            continue
        within, choices = item.metadata["within"], item.metadata["choices"]
        if within and not within[0] <= value <= within[1]:
            raise UserError(f"{name} is {value}; it must be in {within[0]} to {within[1]}.")
        if choices and value not in choices:
            *others, last = map(str, choices)
            raise UserError(f"{name} is {value!r}; use {', '.join(others)} or {last}.")


def result_fields(config: Any) -> dict[str, Any]:
    """Nested dict of the fields of a dataclass instance that can change a result.

    A nested dataclass is descended into with its own declarations; everything below a neutral field is neutral.
    """
    kept: dict[str, Any] = {}
    for item in fields(config):
        if item.metadata["neutral"]:
            continue
        value = getattr(config, item.name)
        kept[item.name] = result_fields(value) if is_dataclass(value) else value
    return kept


def describe(schema: type, prefix: str = "") -> dict[str, dict[str, Any]]:
    """Dotted name -> {"help", "neutral", "within", "choices", "default"} for every leaf field of a dataclass type."""
    rows: dict[str, dict[str, Any]] = {}
    hints = get_type_hints(schema)
    for item in fields(schema):
        name = prefix + item.name
        inner = next(
            (t for t in (hints[item.name], *getattr(hints[item.name], "__args__", ())) if is_dataclass(t)), None
        )
        if inner is not None:
            below = describe(inner, name + ".")  # type: ignore[arg-type]
            if item.metadata["neutral"]:
                below = {key: {**row, "neutral": True} for key, row in below.items()}
            rows.update(below)
            continue
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        rows[name] = {**item.metadata, "default": default}
    return rows


def params(config: Any) -> dict[str, str]:
    """Dotted name -> text of every field that can change a result: MLflow's params."""
    flat: dict[str, str] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, below in value.items():
                walk(f"{prefix}.{key}" if prefix else key, below)
        else:
            flat[prefix] = str(value)

    walk("", result_fields(config))
    return flat
