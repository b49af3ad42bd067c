"""UniMatch V1: two strong views and one of dropped features learn the weak view's labels (Yang et al., 2023).

The numbers are those of github.com/LiheYoung/UniMatch, unimatch.py (docs/explanation/method.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from gta.config import MethodConfig
from gta.fields import result
from gta.methods.fixmatch import FixMatch
from gta.methods.mixing import BOXES
from gta.models import SegmentationModel
from gta.ops.batch import Labeled, Unlabeled
from gta.ops.distributed import unwrap
from gta.ops.dropout import drop_planes


@dataclass(frozen=True, kw_only=True)
class UniMatchConfig(MethodConfig):
    name: str = result("unimatch", "Key of the method in gta.methods.METHODS.")
    threshold: float = result(0.95, "Pseudo-labels of less confidence are left out of the loss.", within=(0, 1))
    cutmix_boxes: str = result("unimatch", "Whose CutMix: size of the boxes, and a coin an image or a group.",
                               choices=BOXES)  # fmt: skip
    cutmix_probability: float = result(
        0.5, "Probability that an image (or group) is mixed, in each strong view by itself.", within=(0, 1)
    )
    loss_factor: float = result(0.5, "Factor of the whole loss: (supervised + unsupervised) / 2 in the public code.")
    joint_batches: bool = result(
        False, "All images pass as one batch (BatchNorm); else labeled and weak ones do, and strong ones by themselves."
    )
    strong_weight: float = result(0.25, "Weight of the loss of each of the two strong views.")
    feature_weight: float = result(0.5, "Weight of the loss of the view with dropped features.")
    feature_dropout: float = result(
        0.5, "Probability that a plane of the encoder's features is dropped there.", within=(0, 1)
    )


class UniMatch(FixMatch):
    """`FixMatch` with a second strong view and one whose features lose half of their planes."""

    Config = UniMatchConfig

    @property
    def strong_views(self) -> int:
        return 2

    def weights(self) -> list[float]:
        return [self.config.strong_weight, self.config.strong_weight, self.config.feature_weight]

    def passes(
        self, labeled: Labeled, unlabeled: Unlabeled, views: list[Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """As in `FixMatch`; last of the learners is the weak view through dropped features.

        Labeled features are dropped as well where they pass with the weak ones: the decoder's BatchNorm sees both.
        """
        batch, config = len(unlabeled.weak), self.config
        model = cast(SegmentationModel, unwrap(self.models["student"]))
        if config.joint_batches:
            with _DroppedFeatures(model, batch, config.feature_dropout):
                images = torch.cat([labeled.image, *views, unlabeled.weak])
                supervised, logits = self.student_loss(images, labeled.mask)
            first, second, weak, dropped = logits.split(batch)
            return supervised, weak, [first, second, dropped]
        with _DroppedFeatures(model, len(labeled.image) + batch, config.feature_dropout):
            images = torch.cat([labeled.image, unlabeled.weak])
            supervised, logits = self.student_loss(images, labeled.mask)
        first, second = self.forward("student", torch.cat(views)).split(batch)
        return supervised, logits[:batch], [first, second, logits[-batch:]]


class _DroppedFeatures:
    """While entered, the encoder hands on, after each batch's features, those of the last `count` images once more
    with planes dropped: low-level and last ones. (One pass of the wrapped network, as DDP wants it.)
    """

    def __init__(self, model: SegmentationModel, count: int, probability: float) -> None:
        self.encoder, self.count, self.probability = model.encoder, count, probability

    def __enter__(self) -> None:
        self.handle = self.encoder.register_forward_hook(self._append)

    def __exit__(self, *error: object) -> None:
        self.handle.remove()

    def _append(self, encoder: nn.Module, inputs: object, output: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        low, middle, top = output
        low, top = (torch.cat([x, drop_planes(x[-self.count :], self.probability)]) for x in (low, top))
        return low, middle, top
