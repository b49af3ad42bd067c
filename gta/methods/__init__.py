"""Training methods by name. A new one is a file with a `Config` and a `Method`, and a line here."""

from __future__ import annotations

from gta.methods.base import Method
from gta.methods.cutmix import CutMix
from gta.methods.gta import GTA
from gta.methods.mean_teacher import MeanTeacher
from gta.methods.supervised import Supervised

__all__ = ["METHODS", "Method"]

METHODS: dict[str, type[Method]] = {
    "supervised": Supervised,
    "mean_teacher": MeanTeacher,
    "cutmix": CutMix,
    "gta": GTA,
}
