"""Mean teacher: the student also learns pseudo-labels of its own EMA (Tarvainen and Valpola, 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gta.batch import Labeled, Unlabeled
from gta.config import MethodConfig
from gta.fields import result
from gta.losses import thresholded_cross_entropy
from gta.methods.base import Method, check_range


@dataclass
class MeanTeacherConfig(MethodConfig):
    name: str = result("mean_teacher", "Key of the method in gta.methods.METHODS.")
    threshold: float = result(0.0, "Pseudo-labels of less confidence are left out of the loss.")
    unsupervised_weight: float = result(1.0, "Weight of the unsupervised loss.")
    strong: bool = result(True, "The student sees the strong view of unlabeled images; else the weak one.")

    def __post_init__(self) -> None:
        check_range("threshold", self.threshold, 0, 1)


class MeanTeacher(Method):
    """Hard pseudo-labels, cross-entropy; the teacher is scored."""

    Config = MeanTeacherConfig
    uses_unlabeled = True
    headline = "teacher"

    def semi_supervised_step(self, labeled: Labeled, unlabeled: Unlabeled, iteration: int) -> dict[str, Tensor]:
        # The teacher labels the weak view.
        pseudo, confidence = self.pseudo_labels(unlabeled)
        images, pseudo, confidence = self.perturb(unlabeled, pseudo, confidence, iteration)

        # The student learns from labels and pseudo-labels in one batch.
        self.models["student"].train()
        supervised, logits = self.student_loss(torch.cat([labeled.image, images]), labeled.mask)
        unsupervised, kept = thresholded_cross_entropy(
            logits, pseudo, confidence, self.config.threshold, self.schedule.group_size
        )
        self.update("student", supervised + self.config.unsupervised_weight * unsupervised)

        # The teacher follows.
        self.update_teacher(iteration)
        return {
            "loss/supervised": supervised.detach(),
            "loss/unsupervised": unsupervised.detach(),
            "pseudo/kept": kept,
        }

    def perturb(
        self, unlabeled: Unlabeled, pseudo: Tensor, confidence: Tensor, iteration: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the student is shown: images (B, 3, h, w), their pseudo-labels and confidences (B, h, w)."""
        return self.view(unlabeled), pseudo, confidence
