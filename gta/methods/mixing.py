"""CutMix within a group: which pixels of an image come from the next image of its group."""

from __future__ import annotations

import torch
from torch import Tensor

from gta import seeds
from gta.ops.batch import PseudoLabeled, Unlabeled


def cutmix_mask(
    unlabeled: Unlabeled, group_size: int, probability: float, seed: int, iteration: int, view: int = 0
) -> Tensor:
    """(B, h, w) bool on the batch's device, True inside the box of each image.

    A group is mixed with `probability`, all of it or not at all. A box has half the image's area; its width is uniform
    in w/2 + 1 to w - 1, and so is its place. What is drawn depends on (seed, iteration, global index of the group,
    number of the strong view) only, never on the rank.
    """
    count, height, width = unlabeled.padding.shape
    inside = torch.zeros(count, height, width, dtype=torch.bool)
    for start in range(0, count, group_size):
        draw = seeds.cutmix(seed, iteration, unlabeled.first_group + start // group_size, view)
        if draw.random() >= probability:
            continue
        for image in inside[start : start + group_size]:
            w = draw.randint(width // 2 + 1, width - 1)
            h = round(height * width / 2 / w)
            left, top = draw.randint(0, width - w), draw.randint(0, height - h)
            image[top : top + h, left : left + w] = True
    return inside.to(unlabeled.padding.device)


def mix(values: Tensor, inside: Tensor, group_size: int) -> Tensor:
    """Values (B, h, w) or (B, C, h, w), with those of the next image of the group (cyclic) inside the box."""
    groups = values.reshape(-1, group_size, *values.shape[1:])
    partner = groups.roll(-1, dims=1).reshape(values.shape)
    return torch.where(inside if values.dim() == 3 else inside[:, None], partner, values)


def mix_all(shown: PseudoLabeled, inside: Tensor, group_size: int) -> PseudoLabeled:
    """Images, pseudo-labels and confidences mixed alike."""
    return PseudoLabeled(*(mix(values, inside, group_size) for values in (shown.image, shown.pseudo, shown.confidence)))
