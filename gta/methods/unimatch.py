"""UniMatch V1: two strong views and one of dropped features learn the weak view's labels (Yang et al., 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from gta.config import MethodConfig
from gta.fields import result
from gta.methods.base import Method
from gta.methods.mixing import cutmix_mask, mix
from gta.models import SegmentationModel
from gta.ops.batch import Labeled, Part, Unlabeled
from gta.ops.distributed import unwrap
from gta.ops.dropout import drop_planes
from gta.ops.losses import IGNORE_INDEX, thresholded_cross_entropy


@dataclass(frozen=True, kw_only=True)
class UniMatchConfig(MethodConfig):
    name: str = result("unimatch", "Key of the method in gta.methods.METHODS.")
    threshold: float = result(0.95, "Pseudo-labels of less confidence are left out of the loss.", within=(0, 1))
    cutmix_probability: float = result(
        0.5, "Probability that a group is mixed, for each strong view by itself.", within=(0, 1)
    )
    strong_weight: float = result(0.25, "Weight of the loss of each of the two strong views.")
    feature_weight: float = result(0.5, "Weight of the loss of the view with dropped features.")
    feature_dropout: float = result(
        0.5, "Probability that a plane of the encoder's features is dropped there.", within=(0, 1)
    )


class UniMatch(Method):
    """One student, which labels its own weak view; no teacher. The CutMix partner is the next image of the group.

    (In the public code the partner of an image is the same image, because two iterators walk one sampler in one order.)
    All views pass as one batch, so that BatchNorm sees them together.
    """

    Config = UniMatchConfig
    uses_unlabeled = True
    reports = ("loss/supervised", "loss/unsupervised", "pseudo/kept")

    @property
    def strong_views(self) -> int:
        return 2

    def kept(self, confidence: Tensor) -> Tensor:
        return confidence >= self.config.threshold

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        mixed = [(*part, self.boxes(part[1], iteration)) for part in parts]
        return self.update("student", self.loss, mixed)

    def boxes(self, unlabeled: Unlabeled, iteration: int) -> list[Tensor]:
        """Where each of the two strong views is mixed: each has its own CutMix within the group."""
        size, probability = self.schedule.group_size, self.config.cutmix_probability
        return [cutmix_mask(unlabeled, size, probability, self.seed, iteration, view) for view in (0, 1)]

    def loss(self, labeled: Labeled, unlabeled: Unlabeled, insides: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        size, batch, config = self.schedule.group_size, len(unlabeled.padding), self.config
        assert unlabeled.strong is not None, "this method needs two strong views"
        assert unlabeled.strong2 is not None, "this method needs two strong views"
        first, second = (
            mix(view, inside, size) for view, inside in zip((unlabeled.strong, unlabeled.strong2), insides, strict=True)
        )

        # One pass of labeled, strong and weak images; the decoder sees the weak features also with planes dropped.
        images = torch.cat([labeled.image, first, second, unlabeled.weak])
        with _DroppedFeatures(cast(SegmentationModel, unwrap(self.models["student"])), batch, config.feature_dropout):
            supervised, logits = self.student_loss(images, labeled.mask)
        strong1, strong2, weak, dropped = logits.split(batch)

        # The weak view's labels, for every other view.
        confidence, pseudo = weak.detach().softmax(1).max(1)
        pseudo = pseudo.masked_fill(unlabeled.padding, IGNORE_INDEX)
        losses = []
        nowhere = torch.zeros_like(unlabeled.padding)
        for view, inside in zip((strong1, strong2, dropped), (*insides, nowhere), strict=True):
            target, sure = mix(pseudo, inside, size), mix(confidence, inside, size)
            losses.append(thresholded_cross_entropy(view, target, sure, config.threshold, size))
        (loss1, _), (loss2, _), (loss_dropped, kept) = losses
        unsupervised = config.strong_weight * (loss1 + loss2) + config.feature_weight * loss_dropped
        values = {"loss/supervised": supervised, "loss/unsupervised": unsupervised, "pseudo/kept": kept}
        return supervised + unsupervised, values


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
