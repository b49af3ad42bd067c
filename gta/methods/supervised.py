"""Training with the labeled images alone: the baseline of every table."""

from __future__ import annotations

from gta.methods.base import Method
from gta.methods.settings import SupervisedConfig


class Supervised(Method):
    """The student alone; every step is the step of the other methods' warm-up."""

    Config = SupervisedConfig
