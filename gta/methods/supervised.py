"""Training with the labeled images alone: the baseline of every table."""

from __future__ import annotations

from dataclasses import dataclass

from gta.config import MethodConfig
from gta.fields import result
from gta.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig(MethodConfig):
    name: str = result("supervised", "Key of the method in gta.methods.METHODS.")


class Supervised(Method):
    """The student alone; every step is the step of the other methods' warm-up."""

    Config = SupervisedConfig
