"""A method of a user's own, as a file in `./methods`."""

from __future__ import annotations

from pathlib import Path

SOURCE = """\
from dataclasses import dataclass

import torch

from gta.config import MethodConfig
from gta.fields import neutral, result
from gta.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class MineConfig(MethodConfig):
    name: str = result("mine", "Key of the method.")
    keep: float = result(0.5, "Share of the loss that is kept.", within=(0, 1))


class Mine(Method):
    Config = MineConfig
    reports = ("loss/supervised",)

    def supervised_step(self, parts):
        return super().supervised_step(parts)
"""


def put(folder: Path, source: str = SOURCE, name: str = "mine") -> Path:
    """The file `methods/NAME.py` below a folder."""
    path = folder / "methods" / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    return path
