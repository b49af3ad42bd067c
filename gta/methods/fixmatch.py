"""FixMatch: the student labels the weak view and learns its confident labels on the strong one (Sohn et al., 2020)."""

from __future__ import annotations

from dataclasses import dataclass

from gta.fields import result
from gta.methods.cutmix import CutMix, CutMixConfig


@dataclass(frozen=True, kw_only=True)
class FixMatchConfig(CutMixConfig):
    name: str = result("fixmatch", "Key of the method in gta.methods.METHODS.")
    threshold: float = result(0.95, "Pseudo-labels of less confidence are left out of the loss.", within=(0, 1))
    strong: bool = result(True, "The student sees the strong view of unlabeled images; else the weak one.")


class FixMatch(CutMix):
    """`CutMix` without a teacher: the student's own labels, of confidence 0.95 or more; the student is scored."""

    Config = FixMatchConfig
    teacher = False
    headline = "student"
