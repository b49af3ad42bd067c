"""Cross pseudo supervision: two students, each learns the other's labels (Chen et al., 2021), with or without CutMix.

The numbers are those of github.com/charlesCXK/TorchSemiSeg (docs/explanation/method.md).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gta import seeds
from gta.config import ScheduleConfig
from gta.methods.base import Method
from gta.methods.mixing import cutmix_mask, mix
from gta.methods.settings import CPSConfig
from gta.models import SegmentationModel
from gta.ops.batch import Labeled, Part, Unlabeled, by_group
from gta.ops.losses import IGNORE_INDEX, cross_entropy


class CPS(Method):
    """Two students of different initial weights, both scored; the first is the method's number.

    Initial weights from a file are the same for both: then what is not in the file (ASPP, head, mask predictor) sets
    them apart. Both train from iteration 0; there is no teacher and no confidence threshold.
    """

    Config = CPSConfig
    scored = ("student", "student2")
    reports = ("loss/supervised", "loss/unsupervised", "loss/supervised2", "loss/unsupervised2")

    def __init__(
        self, config: Any, model: Callable[[], SegmentationModel], schedule: ScheduleConfig, seed: int,
        device: torch.device | str, precision: str = "fp32",
    ) -> None:  # fmt: skip
        super().__init__(config, model, schedule, seed, device, precision)
        self.add_new("student2", model, seeds.weights(seed, network=1))

    @property
    def strong_views(self) -> int:
        return int(self.config.strong)

    def supervised_step(self, parts: list[Labeled]) -> dict[str, Tensor]:
        """The warm-up: each student learns the labels."""
        alone = [(part,) for part in parts]
        first = self.update("student", self.supervised_loss, alone)
        second = self.update("student2", partial(self.supervised_loss, name="student2"), alone)
        return first | {f"{key}2": value for key, value in second.items()}

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        if not self.config.cutmix:
            return self.update(self.scored, self.plain_loss, parts)

        # Each student labels the weak view; one CutMix for images and both labels.
        mixed = []
        for labeled, unlabeled in parts:
            size, config = self.schedule.group_size, self.config
            inside = cutmix_mask(
                unlabeled, size, config.cutmix_probability, self.seed, iteration, boxes=config.cutmix_boxes
            )
            labels = {
                name: mix(self.pseudo_labels(unlabeled, name, config.training_labels)[0], inside, size)
                for name in self.scored
            }
            mixed.append((labeled, mix(self.view(unlabeled), inside, size), labels))

        # Each learns the labels, and the other's pseudo-labels.
        first = self.update("student", partial(self.loss, "student", "student2"), mixed)
        second = self.update("student2", partial(self.loss, "student2", "student"), mixed)
        return first | {f"{key}2": value for key, value in second.items()}

    def loss(
        self, name: str, other: str, labeled: Labeled, images: Tensor, labels: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What `name` learns: the labels, and the pseudo-labels of `other`."""
        supervised, _, logits = self.passes(name, labeled, images)
        unsupervised = cross_entropy(logits, labels[other], self.schedule.group_size)
        total = supervised + self.config.unsupervised_weight * unsupervised
        return total, {"loss/supervised": supervised, "loss/unsupervised": unsupervised}

    def plain_loss(self, labeled: Labeled, unlabeled: Unlabeled) -> tuple[Tensor, dict[str, Tensor]]:
        """Both students' losses without CutMix: each learns the other's labels of the very same pass, on all images."""
        size, images = self.schedule.group_size, self.view(unlabeled)
        supervised, logits = {}, {}
        for name in self.scored:
            supervised[name], on_labeled, on_unlabeled = self.passes(name, labeled, images)
            logits[name] = by_group(on_labeled, on_unlabeled, size)
        nowhere = by_group(labeled.mask == IGNORE_INDEX, unlabeled.padding, size)
        losses: list[Tensor] = []
        values: dict[str, Tensor] = {}
        for name, other, number in (("student", "student2", ""), ("student2", "student", "2")):
            target = logits[other].detach().argmax(1).masked_fill(nowhere, IGNORE_INDEX)
            unsupervised = cross_entropy(logits[name], target, 2 * size)
            losses.append(supervised[name] + self.config.unsupervised_weight * unsupervised)
            values |= {f"loss/supervised{number}": supervised[name], f"loss/unsupervised{number}": unsupervised}
        return torch.stack(losses).sum(), values

    def passes(self, name: str, labeled: Labeled, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The supervised loss of a student, and its logits on labeled and on unlabeled images."""
        if self.config.joint_batches:
            return self.student_losses(torch.cat([labeled.image, images]), labeled.mask, name)
        unlabeled = self.forward(name, images)
        supervised, on_labeled, _ = self.student_losses(labeled.image, labeled.mask, name)
        return supervised, on_labeled, unlabeled
