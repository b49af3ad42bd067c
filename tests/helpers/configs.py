"""Configs are frozen: the same one with other values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any


def changed(config: Any, values: dict[str, Any]) -> Any:
    """A dataclass with other values by dotted names: changed(config, {"data.input_scale": 0.5, "seed": 1})."""
    for name, value in values.items():
        first, dot, rest = name.partition(".")
        config = replace(config, **{first: changed(getattr(config, first), {rest: value}) if dot else value})
    return config
