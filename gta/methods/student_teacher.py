"""GTA without its assistant: the student itself learns the pseudo-labels. The first row of GTA's ablation."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from gta.config import MethodConfig
from gta.methods.base import Method
from gta.methods.mixing import cutmix_mask, mix_all
from gta.methods.settings import StudentTeacherConfig
from gta.ops.batch import Labeled, Part, PseudoLabeled, Unlabeled
from gta.ops.losses import weighted_cross_entropy
from gta.ops.quantiles import percentile


class StudentTeacher(Method):
    """Steps 1 to 9 of gta.py with one network in the place of student and assistant; the teacher is scored."""

    Config: ClassVar[type[MethodConfig]] = StudentTeacherConfig
    teacher = True
    headline = "teacher"
    reports: ClassVar[tuple[str, ...]] = ("loss/supervised", "loss/unsupervised", "pseudo/kept")

    @property
    def strong_views(self) -> int:
        return int(self.config.strong)

    def kept(self, confidence: Tensor) -> Tensor:
        return confidence > percentile(confidence, 100.0 - self.config.drop_percent)

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        # The teacher labels the weak view; CutMix within each group.
        mixed = [(labeled, self.labeled_and_mixed(unlabeled, iteration)) for labeled, unlabeled in parts]

        # The student learns from labels and pseudo-labels, with every part of it.
        values = self.update("student", self.loss, mixed)

        # The teacher follows.
        self.update_teacher(iteration, statistics=False)
        return values

    def labeled_and_mixed(self, unlabeled: Unlabeled, iteration: int) -> PseudoLabeled:
        """Steps 1 and 2 of gta.py, of a part of the batch."""
        size = self.schedule.group_size

        # 1. The teacher labels the weak view; padding is no label.
        labeled = PseudoLabeled(self.view(unlabeled), *self.pseudo_labels(unlabeled))

        # 2. CutMix within each group, of images, pseudo-labels and confidences.
        inside = cutmix_mask(unlabeled, size, self.config.cutmix_probability, self.seed, iteration)
        return mix_all(labeled, inside, size)

    def loss(self, labeled: Labeled, mixed: PseudoLabeled) -> tuple[Tensor, dict[str, Tensor]]:
        joint = torch.cat([labeled.image, mixed.image])

        # The teacher's confidence in training mode, which moves its BatchNorm statistics.
        self.models["teacher"].train()
        confidence = self.confidence("teacher", joint)[0][len(labeled.image) :]

        supervised, logits = self.student_loss(joint, labeled.mask)
        unsupervised, kept = weighted_cross_entropy(
            logits, mixed.pseudo, confidence, self.schedule.group_size, self.config.drop_percent, self.config.weighting
        )
        total = supervised + self.config.unsupervised_weight * unsupervised
        return total, {"loss/supervised": supervised, "loss/unsupervised": unsupervised, "pseudo/kept": kept}
