"""FixMatch for segmentation, as UniMatch's paper has it: the student labels the weak view, and learns the strong one.

Sohn et al., 2020; the numbers are those of github.com/LiheYoung/UniMatch, fixmatch.py (docs/explanation/method.md).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from gta.config import MethodConfig
from gta.methods.base import Method
from gta.methods.mixing import cutmix_mask, mix
from gta.methods.settings import FixMatchConfig
from gta.ops.batch import Labeled, Part, Unlabeled
from gta.ops.losses import IGNORE_INDEX, thresholded_cross_entropy


class FixMatch(Method):
    """One student, no teacher; confident labels alone. The CutMix partner is the next image of the group.

    The label of a pixel is that of the training pass, but what a box brings along has its label of evaluation mode.
    """

    Config: ClassVar[type[MethodConfig]] = FixMatchConfig
    reports = ("loss/supervised", "loss/unsupervised", "pseudo/kept")

    @property
    def strong_views(self) -> int:
        return 1

    def kept(self, confidence: Tensor) -> Tensor:
        return confidence >= self.config.threshold

    def weights(self) -> list[float]:
        """Weights of the losses of the images that `passes` gives after the weak ones."""
        return [self.config.unsupervised_weight]

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        # 1. In evaluation mode: the labels that go along with what CutMix pastes.
        ready = [(*part, self.pseudo_labels(part[1]), self.boxes(part[1], iteration)) for part in parts]
        return self.update("student", self.loss, ready)

    def boxes(self, unlabeled: Unlabeled, iteration: int) -> list[Tensor]:
        """Where each strong view is mixed; each has coins and boxes of its own."""
        size, config = self.schedule.group_size, self.config
        return [
            cutmix_mask(unlabeled, size, config.cutmix_probability, self.seed, iteration, view, config.cutmix_boxes)
            for view in range(self.strong_views)
        ]

    def loss(
        self, labeled: Labeled, unlabeled: Unlabeled, pasted: tuple[Tensor, Tensor], insides: list[Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        size = self.schedule.group_size

        # 2. CutMix of the strong views; the passes in training mode.
        both = (unlabeled.strong, unlabeled.strong2)[: self.strong_views]
        views = [mix(view, inside, size) for view, inside in zip(both, insides, strict=True) if view is not None]
        assert len(views) == self.strong_views, "this method needs the strong views"
        supervised, weak, learners = self.passes(labeled, unlabeled, views)

        # 3. The weak view's labels; padding is no label.
        sure, pseudo = weak.detach().softmax(1).max(1)
        pseudo = pseudo.masked_fill(unlabeled.padding, IGNORE_INDEX)

        # 4. Every other image learns them, mixed as it is itself (not at all, for what no box was drawn for).
        insides = insides + [torch.zeros_like(unlabeled.padding)] * (len(learners) - len(insides))
        unsupervised = torch.zeros_like(supervised)
        for logits, inside, weight in zip(learners, insides, self.weights(), strict=True):
            target, confidence = mix(pseudo, inside, size, pasted[0]), mix(sure, inside, size, pasted[1])
            loss, kept = thresholded_cross_entropy(logits, target, confidence, self.config.threshold, size)
            unsupervised = unsupervised + weight * loss
        values = {"loss/supervised": supervised, "loss/unsupervised": unsupervised, "pseudo/kept": kept}
        return self.config.loss_factor * (supervised + unsupervised), values

    def passes(
        self, labeled: Labeled, unlabeled: Unlabeled, views: list[Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The supervised loss, the logits of the weak view, and those of what learns its labels."""
        batch = len(unlabeled.weak)
        if self.config.joint_batches:
            supervised, logits = self.student_loss(torch.cat([labeled.image, unlabeled.weak, *views]), labeled.mask)
            weak, *strong = logits.split(batch)
            return supervised, weak, strong
        supervised, weak = self.student_loss(torch.cat([labeled.image, unlabeled.weak]), labeled.mask)
        return supervised, weak, list(self.forward("student", torch.cat(views)).split(batch))
