"""Training methods by name. A new one of the package is a file with a `Config` and a `Method`, and a line here: its
class, or, so that commands which train nothing need not load torch, an `Entry` with its settings in
`gta.methods.settings`. A user's own needs no line: `gta.methods.own` finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gta.methods import settings
from gta.methods.registry import Entry, Methods

if TYPE_CHECKING:
    from gta.methods.base import Method

__all__ = ["METHODS", "Method"]

METHODS = Methods(
    {
        "supervised": Entry(settings.SupervisedConfig, "gta.methods.supervised:Supervised"),
        "fully_supervised": Entry(settings.FullySupervisedConfig, "gta.methods.fully_supervised:FullySupervised"),
        "mean_teacher": Entry(settings.MeanTeacherConfig, "gta.methods.mean_teacher:MeanTeacher"),
        "cutmix": Entry(settings.CutMixConfig, "gta.methods.cutmix:CutMix"),
        "fixmatch": Entry(settings.FixMatchConfig, "gta.methods.fixmatch:FixMatch"),
        "unimatch": Entry(settings.UniMatchConfig, "gta.methods.unimatch:UniMatch"),
        "unimatch_v2": Entry(settings.UniMatchV2Config, "gta.methods.unimatch_v2:UniMatchV2"),
        "augseg": Entry(settings.AugSegConfig, "gta.methods.augseg:AugSeg"),
        "u2pl": Entry(settings.U2PLConfig, "gta.methods.u2pl:U2PL"),
        "cps": Entry(settings.CPSConfig, "gta.methods.cps:CPS"),
        "student_teacher": Entry(settings.StudentTeacherConfig, "gta.methods.student_teacher:StudentTeacher"),
        "gta": Entry(settings.GTAConfig, "gta.methods.gta:GTA"),
    }
)


def __getattr__(name: str) -> Any:
    """`Method`, loaded when it is asked for."""
    if name == "Method":
        from gta.methods.base import Method

        return Method
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
