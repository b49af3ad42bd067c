"""From a batch of validation images to counts of pixels, by networks and protocols: tensors alone, nothing is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gta.config import CROP, CROP_BACKGROUND, Config
from gta.data.spec import IGNORE
from gta.ops import distributed, metrics
from gta.train import inference

BACKGROUND = 0  # the class that the public code gives to padding


@dataclass
class Counts:
    """Pixels of one network by one protocol: the confusion matrix `total` (C, C) int64, rows truth; and, where they are
    asked for, `intersection` and `union` of each image and class, (N, C) int64.
    """

    total: Tensor
    intersection: Tensor | None = None
    union: Tensor | None = None

    @classmethod
    def none(cls, classes: int, images: int, device: torch.device) -> Counts:
        """Of nothing yet; `images`: how many are kept apart."""

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.int64, device=device)

        total = zeros(classes, classes)
        return cls(total, zeros(images, classes), zeros(images, classes)) if images else cls(total)

    def add(self, indices: Tensor, matrices: Tensor) -> None:
        """Add what the images of the numbers `indices` (N,) gave: `matrices` (N, C, C)."""
        self.total += matrices.sum(0)
        if self.intersection is not None and self.union is not None:
            hit = matrices.diagonal(dim1=1, dim2=2)
            self.intersection.index_copy_(0, indices, hit)
            self.union.index_copy_(0, indices, matrices.sum(1) + matrices.sum(2) - hit)

    def of_all_ranks(self) -> Counts:
        """Their sum over the ranks, on the CPU."""
        parts = (self.total, self.intersection, self.union)
        return Counts(*(None if part is None else distributed.all_reduce_sum(part).cpu() for part in parts))  # type: ignore[arg-type]


@torch.no_grad()
def count_batch(
    networks: Mapping[str, nn.Module],
    configs: Sequence[Config],
    images: Tensor,
    masks: Tensor,
    indices: Tensor,
    counts: Sequence[dict[str, Counts]],
    unsound: Mapping[str, Tensor],
) -> None:
    """Add what each network gets right and wrong of images of one shape, by each config, to `counts`, and which of its
    scores are not finite to `unsound`: (images of the list,) int64, 0 where they are.

    images (N, 3, h, w) normalised, masks (N, H, W) with 255 where it is ignored, indices (N,) of them in the list; all
    on the device of the networks, which are in eval mode. Nothing here waits for that device, unless it is the CPU.
    """
    classes = len(configs[0].data.classes)
    parts = [scored_part(images, masks, config) for config in configs]
    pairs = zip(configs, parts, strict=True)
    sizes = [(config, _part(config), len(images), part.shape[-2], part.shape[-1]) for config, (part, _) in pairs]
    for name, network in networks.items():
        shared = inference.Shared(sizes) if len(configs) > 1 else None
        for config, (part, truth), found in zip(configs, parts, counts, strict=True):
            size = (truth.shape[-2], truth.shape[-1])
            scores = inference.class_scores(network, part, size, config, shared, _part(config))
            labels, sound = metrics.predicted(scores)
            found[name].add(indices, metrics.confusions(labels, truth, classes, IGNORE))
            unsound[name].index_add_(0, indices, (~sound).long())
            del scores  # they are large: the next pass takes their place


def _part(config: Config) -> inference.Key:
    """Equal for configs by which the same part of an image is scored."""
    evaluation = config.evaluation
    return ("crop", evaluation.crop) if evaluation.protocol in (CROP, CROP_BACKGROUND) else ("whole",)


def scored_part(images: Tensor, masks: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    """Images (N, 3, h, w) and masks (..., H, W), whole or cut to the center crop, which is padded to its full side."""
    protocol, side = config.evaluation.protocol, config.evaluation.crop
    if protocol not in (CROP, CROP_BACKGROUND):
        return images, masks
    height, width = masks.shape[-2:]
    top, left = max(0, height - side) // 2, max(0, width - side) // 2
    cut = (..., slice(top, top + side), slice(left, left + side))
    images, masks = images[cut], masks[cut]
    missing = (side - masks.shape[-1], side - masks.shape[-2])
    frame = (missing[0] // 2, missing[0] - missing[0] // 2, missing[1] // 2, missing[1] - missing[1] // 2)
    filler = BACKGROUND if protocol == CROP_BACKGROUND else IGNORE
    # 0 is the mean colour of a normalised image
    return F.pad(images, frame), F.pad(masks, frame, value=filler)
