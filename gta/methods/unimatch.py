"""UniMatch V1: two strong views and one of dropped features learn the weak view's labels (Yang et al., 2023).

The numbers are those of github.com/LiheYoung/UniMatch, unimatch.py (docs/explanation/method.md).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from gta.methods.fixmatch import FixMatch
from gta.methods.settings import UniMatchConfig
from gta.models import SegmentationModel
from gta.ops.batch import Labeled, Unlabeled
from gta.ops.distributed import unwrap
from gta.ops.dropout import drop_planes


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
    with planes dropped: those that the decoder is made from. (One pass of the wrapped network, as DDP wants it.)
    """

    def __init__(self, model: SegmentationModel, count: int, probability: float) -> None:
        self.encoder, self.decoded, self.count, self.probability = model.encoder, model.decoded, count, probability

    def __enter__(self) -> None:
        self.handle = self.encoder.register_forward_hook(self._append)

    def __exit__(self, *error: object) -> None:
        self.handle.remove()

    def _append(self, encoder: nn.Module, inputs: object, output: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(
            torch.cat([x, drop_planes(x[-self.count :], self.probability)]) if number in self.decoded else x
            for number, x in enumerate(output)
        )
