"""GTA without its assistant: the student itself learns the pseudo-labels. The first row of GTA's ablation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gta.batch import Labeled, Unlabeled
from gta.config import MethodConfig
from gta.fields import result
from gta.losses import WEIGHTINGS, weighted_cross_entropy
from gta.methods.base import Method, check_choice, check_range
from gta.methods.mixing import cutmix_mask, mix


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

    def semi_supervised_step(self, labeled: Labeled, unlabeled: Unlabeled, iteration: int) -> dict[str, Tensor]:
        size, batch = self.schedule.group_size, len(labeled.mask)

        # The teacher labels the weak view; CutMix within each group.
        pseudo, _ = self.pseudo_labels(unlabeled)
        inside = cutmix_mask(unlabeled, size, self.config.cutmix_probability, self.seed, iteration)
        images, pseudo = mix(self.view(unlabeled), inside, size), mix(pseudo, inside, size)
        joint = torch.cat([labeled.image, images])

        # The teacher's confidence in training mode, which moves its BatchNorm statistics.
        self.models["teacher"].train()
        confidence = self.confidence("teacher", joint)[0][batch:]

        # The student learns from labels and pseudo-labels, with every part of it.
        self.models["student"].train()
        supervised, logits = self.student_loss(joint, labeled.mask)
        unsupervised, kept = weighted_cross_entropy(
            logits, pseudo, confidence, size, self.config.drop_percent, self.config.weighting
        )
        self.update("student", supervised + self.config.unsupervised_weight * unsupervised)

        # The teacher follows.
        self.update_teacher(iteration, statistics=False)
        return {
            "loss/supervised": supervised.detach(),
            "loss/unsupervised": unsupervised.detach(),
            "pseudo/kept": kept,
        }
