"""Mean teacher: the student is to predict what its own EMA predicts (Tarvainen and Valpola, 2017).

That paper classifies; weight and loss on pixels are those of github.com/charlesCXK/TorchSemiSeg's mean teacher
(docs/explanation/method.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gta.config import MethodConfig
from gta.methods.base import Method
from gta.methods.settings import MeanTeacherConfig
from gta.ops.batch import Labeled, Part, Unlabeled, by_group
from gta.ops.losses import IGNORE_INDEX, squared_difference, thresholded_cross_entropy


@dataclass
class Taught:
    """Unlabeled images as the student sees them, and what the teacher says of them."""

    image: Tensor  # (B, 3, h, w)
    chances: Tensor  # (B, C, h, w), the teacher's probabilities
    padding: Tensor  # (B, h, w) bool
    on_labeled: Tensor | None  # (B, C, h, w), its probabilities on the labeled images, where they are wanted


class MeanTeacher(Method):
    """The teacher is scored."""

    Config: ClassVar[type[MethodConfig]] = MeanTeacherConfig
    teacher = True
    headline = "teacher"
    reports = ("loss/supervised", "loss/unsupervised", "pseudo/kept")
    averaged_statistics: ClassVar[bool] = (
        False  # the teacher's BatchNorm follows the student's also where it moves itself
    )

    @property
    def strong_views(self) -> int:
        return int(self.config.strong)

    @property
    def hard(self) -> bool:
        """Whether the student learns hard labels."""
        return bool(self.config.consistency == "cross_entropy")

    def kept(self, confidence: Tensor) -> Tensor:
        return confidence >= self.config.threshold if self.hard else super().kept(confidence)

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        # The teacher sees the weak view.
        taught = [(labeled, self.perturb(self.taught(labeled, unlabeled), unlabeled, iteration))
                  for labeled, unlabeled in parts]  # fmt: skip

        # The student learns from labels and from the teacher.
        values = self.update("student", self.loss, taught)

        # The teacher follows.
        own = self.config.training_labels and not self.averaged_statistics
        self.update_teacher(iteration, statistics=not own)
        return values

    @torch.no_grad()
    def taught(self, labeled: Labeled, unlabeled: Unlabeled) -> Taught:
        """What the teacher says, in one pass."""
        too = self.config.on_labeled and not self.hard
        images = torch.cat([labeled.image, unlabeled.weak]) if too else unlabeled.weak
        self.models["teacher"].train(self.config.training_labels)
        with self.draws.of_group(unlabeled.first_group):
            chances = self.forward("teacher", images).softmax(1)
        batch = len(unlabeled.weak)
        return Taught(self.view(unlabeled), chances[-batch:], unlabeled.padding, chances[:-batch] if too else None)

    def perturb(self, taught: Taught, unlabeled: Unlabeled, iteration: int) -> Taught:
        """What the student is shown, where that is not just another view."""
        return taught

    def loss(self, labeled: Labeled, taught: Taught) -> tuple[Tensor, dict[str, Tensor]]:
        size, config = self.schedule.group_size, self.config
        supervised, on_labeled, logits = self.passes(labeled, taught.image)
        if self.hard:
            confidence, pseudo = taught.chances.max(1)
            pseudo = pseudo.masked_fill(taught.padding, IGNORE_INDEX)
            unsupervised, kept = thresholded_cross_entropy(logits, pseudo, confidence, config.threshold, size)
        else:
            unsupervised, kept = self.squares(labeled, taught, on_labeled, logits)
        total = supervised + config.unsupervised_weight * unsupervised
        return total, {"loss/supervised": supervised, "loss/unsupervised": unsupervised, "pseudo/kept": kept}

    def squares(self, labeled: Labeled, taught: Taught, on_labeled: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Squared difference of the probabilities, of labeled images too where they are wanted; and the sure share."""
        size, config = self.schedule.group_size, self.config
        chances, valid = taught.chances, ~taught.padding
        if taught.on_labeled is not None:
            chances = by_group(taught.on_labeled, chances, size)
            logits = by_group(on_labeled, logits, size)
            valid = by_group(labeled.mask != IGNORE_INDEX, valid, size)
            size *= 2
        loss, sure = squared_difference(logits, chances, valid, size, config.threshold)
        return loss / chances.shape[1] if config.consistency == "mean_square" else loss, sure

    def passes(self, labeled: Labeled, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The student's supervised loss, and its logits on labeled and on unlabeled images."""
        if self.config.joint_batches:
            return self.student_losses(torch.cat([labeled.image, images]), labeled.mask)
        supervised, on_labeled, _ = self.student_losses(labeled.image, labeled.mask)
        return supervised, on_labeled, self.forward("student", images)
