"""FixMatch: the student labels the weak view and learns its confident labels on the strong one (Sohn et al., 2020)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gta.fields import result
from gta.methods.cutmix import CutMix, CutMixConfig
from gta.ops.batch import Unlabeled


@dataclass
class FixMatchConfig(CutMixConfig):
    name: str = result("fixmatch", "Key of the method in gta.methods.METHODS.")
    threshold: float = result(0.95, "Pseudo-labels of less confidence are left out of the loss.")
    strong: bool = result(True, "The student sees the strong view of unlabeled images; else the weak one.")


class FixMatch(CutMix):
    """`CutMix` without a teacher: the student's own labels, of confidence 0.95 or more; the student is scored."""

    Config = FixMatchConfig
    headline = "student"

    def start(self) -> None:
        """No other network begins."""

    def pseudo_labels(self, unlabeled: Unlabeled, name: str = "student") -> tuple[Tensor, Tensor]:
        return super().pseudo_labels(unlabeled, name)

    def update_teacher(self, iteration: int, cap: float | None = None, statistics: bool = True) -> None:
        """There is none."""
