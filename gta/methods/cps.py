"""Cross pseudo supervision with CutMix: two students, each learns the other's labels (Chen et al., 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gta import seeds
from gta.config import MethodConfig, ScheduleConfig
from gta.fields import result
from gta.methods.base import Method
from gta.methods.mixing import cutmix_mask, mix
from gta.models import SegmentationModel
from gta.ops.batch import Labeled, Part
from gta.ops.losses import cross_entropy


@dataclass(frozen=True, kw_only=True)
class CPSConfig(MethodConfig):
    name: str = result("cps", "Key of the method in gta.methods.METHODS.")
    cutmix_probability: float = result(1.0, "Probability that a group is mixed.", within=(0, 1))
    unsupervised_weight: float = result(1.5, "Weight of the cross supervision.")
    strong: bool = result(False, "Both students see the strong view of unlabeled images; else the weak one.")


class CPS(Method):
    """Two students of different initial weights, both scored; the first is the method's number.

    Initial weights from a file are the same for both: then what is not in the file (ASPP, head, mask predictor) sets
    them apart. Both train from iteration 0; there is no teacher and no confidence threshold.
    """

    Config = CPSConfig
    uses_unlabeled = True
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
        # Each student labels the weak view; one CutMix for images and both labels.
        mixed = []
        for labeled, unlabeled in parts:
            size = self.schedule.group_size
            inside = cutmix_mask(unlabeled, size, self.config.cutmix_probability, self.seed, iteration)
            labels = {name: mix(self.pseudo_labels(unlabeled, name)[0], inside, size) for name in self.scored}
            mixed.append((labeled, mix(self.view(unlabeled), inside, size), labels))

        # Each learns the labels, and the other's pseudo-labels.
        first = self.update("student", partial(self.loss, "student", "student2"), mixed)
        second = self.update("student2", partial(self.loss, "student2", "student"), mixed)
        return first | {f"{key}2": value for key, value in second.items()}

    def loss(
        self, name: str, other: str, labeled: Labeled, images: Tensor, labels: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What `name` learns: the labels, and the pseudo-labels of `other`."""
        supervised, logits = self.student_loss(torch.cat([labeled.image, images]), labeled.mask, name)
        unsupervised = cross_entropy(logits, labels[other], self.schedule.group_size)
        total = supervised + self.config.unsupervised_weight * unsupervised
        return total, {"loss/supervised": supervised, "loss/unsupervised": unsupervised}
