"""Mean teacher: the student also learns pseudo-labels of its own EMA (Tarvainen and Valpola, 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gta.config import MethodConfig
from gta.fields import result
from gta.methods.base import Method
from gta.ops.batch import Labeled, Part, PseudoLabeled, Unlabeled
from gta.ops.losses import thresholded_cross_entropy


@dataclass(frozen=True, kw_only=True)
class MeanTeacherConfig(MethodConfig):
    name: str = result("mean_teacher", "Key of the method in gta.methods.METHODS.")
    threshold: float = result(0.0, "Pseudo-labels of less confidence are left out of the loss.", within=(0, 1))
    unsupervised_weight: float = result(1.0, "Weight of the unsupervised loss.")
    strong: bool = result(True, "The student sees the strong view of unlabeled images; else the weak one.")


class MeanTeacher(Method):
    """Hard pseudo-labels, cross-entropy; the teacher is scored."""

    Config = MeanTeacherConfig
    uses_unlabeled = True
    teacher = True
    headline = "teacher"
    reports = ("loss/supervised", "loss/unsupervised", "pseudo/kept")

    @property
    def strong_views(self) -> int:
        return int(self.config.strong)

    def kept(self, confidence: Tensor) -> Tensor:
        return confidence >= self.config.threshold

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        # The weak view is labeled.
        shown = [(labeled, self.perturb(unlabeled, iteration)) for labeled, unlabeled in parts]

        # The student learns from labels and pseudo-labels in one batch.
        values = self.update("student", self.loss, shown)

        # The teacher follows, where there is one.
        if self.teacher:
            self.update_teacher(iteration)
        return values

    def perturb(self, unlabeled: Unlabeled, iteration: int) -> PseudoLabeled:
        """What the student is shown of the unlabeled images."""
        return PseudoLabeled(self.view(unlabeled), *self.pseudo_labels(unlabeled))

    def loss(self, labeled: Labeled, shown: PseudoLabeled) -> tuple[Tensor, dict[str, Tensor]]:
        supervised, logits = self.student_loss(torch.cat([labeled.image, shown.image]), labeled.mask)
        unsupervised, kept = thresholded_cross_entropy(
            logits, shown.pseudo, shown.confidence, self.config.threshold, self.schedule.group_size
        )
        total = supervised + self.config.unsupervised_weight * unsupervised
        return total, {"loss/supervised": supervised, "loss/unsupervised": unsupervised, "pseudo/kept": kept}
