"""GTA without its assistant: the student itself learns the pseudo-labels. The first row of GTA's ablation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gta.config import MethodConfig
from gta.fields import result
from gta.methods.base import Method, check_choice, check_range
from gta.methods.mixing import cutmix_mask, mix_all
from gta.ops.batch import Labeled, Part, PseudoLabeled, Unlabeled
from gta.ops.losses import WEIGHTINGS, weighted_cross_entropy


@dataclass
class StudentTeacherConfig(MethodConfig):
    name: str = result("student_teacher", "Key of the method in gta.methods.METHODS.")
    drop_percent: float = result(
        80.0, "Percentage of the pixels, the most confident ones, that the unlabeled loss keeps."
    )
    weighting: str = result("laplace", "Weight of a pixel of confidence c: laplace (1 + c), confidence (c), none (1).")
    cutmix_probability: float = result(0.5, "Probability that a group is mixed.")
    unsupervised_weight: float = result(1.0, "Weight of the unsupervised loss.")
    strong: bool = result(False, "The student sees the strong view of unlabeled images; else the weak one.")

    def __post_init__(self) -> None:
        check_range("drop_percent", self.drop_percent, 0, 100)
        check_range("cutmix_probability", self.cutmix_probability, 0, 1)
        check_choice("weighting", self.weighting, WEIGHTINGS)


class StudentTeacher(Method):
    """Steps 1 to 9 of gta.py with one network in the place of student and assistant; the teacher is scored."""

    Config = StudentTeacherConfig
    uses_unlabeled = True
    headline = "teacher"

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        # The teacher labels the weak view; CutMix within each group.
        mixed = [(labeled, self.labeled_and_mixed(unlabeled, iteration)) for labeled, unlabeled in parts]

        # The student learns from labels and pseudo-labels, with every part of it.
        values = self.update("student", self.loss, mixed)

        # The teacher follows.
        self.update_teacher(iteration, statistics=False)
        return values

    def labeled_and_mixed(self, unlabeled: Unlabeled, iteration: int) -> PseudoLabeled:
        """The unlabeled images with the teacher's labels, after CutMix."""
        size = self.schedule.group_size
        inside = cutmix_mask(unlabeled, size, self.config.cutmix_probability, self.seed, iteration)
        return mix_all(PseudoLabeled(self.view(unlabeled), *self.pseudo_labels(unlabeled)), inside, size)

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
