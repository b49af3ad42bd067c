"""Training methods by name. A new one is a file with a `Config` and a `Method`, and a line here."""

from __future__ import annotations

from gta.methods.base import Method
from gta.methods.cps import CPS
from gta.methods.cutmix import CutMix
from gta.methods.fixmatch import FixMatch
from gta.methods.fully_supervised import FullySupervised
from gta.methods.gta import GTA
from gta.methods.mean_teacher import MeanTeacher
from gta.methods.student_teacher import StudentTeacher
from gta.methods.supervised import Supervised
from gta.methods.unimatch import UniMatch
from gta.methods.unimatch_v2 import UniMatchV2

__all__ = ["METHODS", "Method"]

METHODS: dict[str, type[Method]] = {
    "supervised": Supervised,
    "fully_supervised": FullySupervised,
    "mean_teacher": MeanTeacher,
    "cutmix": CutMix,
    "fixmatch": FixMatch,
    "unimatch": UniMatch,
    "unimatch_v2": UniMatchV2,
    "cps": CPS,
    "student_teacher": StudentTeacher,
    "gta": GTA,
}
