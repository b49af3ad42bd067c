"""CutMix within a group: which pixels of an image come from the next image of its group."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from gta import seeds
from gta.ops.batch import PseudoLabeled, Unlabeled
from gta.ops.transfer import to_device

Draw = random.Random


def half_box(inside: Tensor, draw: Draw) -> None:
    """GTA-Seg and U2PL: one box of half the area; its width is uniform in w/2 + 1 to w - 1, and so is its place."""
    height, width = inside.shape
    w = draw.randint(width // 2 + 1, width - 1)
    h = round(height * width / 2 / w)
    left, top = draw.randint(0, width - w), draw.randint(0, height - h)
    inside[top : top + h, left : left + w] = True


def unimatch_box(inside: Tensor, draw: Draw) -> None:
    """UniMatch V1 and V2: one box of 2 to 40% of the area (uniform), its height 0.3 to 1/0.3 of its width (uniform).

    Ratio and corner are drawn until the box lies inside; the area is drawn once.
    """
    height, width = inside.shape
    area = draw.uniform(0.02, 0.4) * height * width
    while True:
        ratio = draw.uniform(0.3, 1 / 0.3)
        w, h = int(math.sqrt(area / ratio)), int(math.sqrt(area * ratio))
        left, top = draw.randrange(width), draw.randrange(height)
        if left + w <= width and top + h <= height:
            inside[top : top + h, left : left + w] = True
            return


def cutmix_seg_box(inside: Tensor, draw: Draw) -> None:
    """CutMix-Seg (French et al.): one box of half the area; the logarithm of its height's share is uniform."""
    _shares(inside, draw, boxes=1, least=0.5, most=0.5)


def cps_boxes(inside: Tensor, draw: Draw) -> None:
    """CPS: three such boxes, each of a third of 25 to 50% of the area; where two overlap, they undo each other."""
    _shares(inside, draw, boxes=3, least=0.25, most=0.5)


def _shares(inside: Tensor, draw: Draw, boxes: int, least: float, most: float) -> None:
    height, width = inside.shape
    for _ in range(boxes):
        share = draw.uniform(least, most)
        tall = share ** draw.random()  # of the image's height; between share and 1
        h, w = round(height * tall / math.sqrt(boxes)), round(width * share / tall / math.sqrt(boxes))
        top, left = round((height - h) * draw.random()), round((width - w) * draw.random())
        inside[top : top + h, left : left + w].logical_not_()


# Boxes by the code that draws them so, and whether the coin that decides on mixing is of the group or of each image.
BOXES: dict[str, tuple[Callable[[Tensor, Draw], None], bool]] = {
    "gta": (half_box, True),
    "unimatch": (unimatch_box, False),
    "cutmix_seg": (cutmix_seg_box, False),
    "cps": (cps_boxes, False),
}


def cutmix_mask(
    unlabeled: Unlabeled,
    group_size: int,
    probability: float,
    seed: int,
    iteration: int,
    view: int = 0,
    boxes: str = "gta",
) -> Tensor:
    """(B, h, w) bool on the batch's device, True inside the box (`boxes`: a key of `BOXES`) of each image.

    A group, or an image by itself, is mixed with `probability`. What is drawn depends on (seed, iteration, global index
    of the group, number of the strong view) only, never on the rank.
    """
    count, height, width = unlabeled.padding.shape
    inside = torch.zeros(count, height, width, dtype=torch.bool)
    box, one_coin = BOXES[boxes]
    for start in range(0, count, group_size):
        draw = seeds.cutmix(seed, iteration, unlabeled.first_group + start // group_size, view)
        if one_coin and draw.random() >= probability:
            continue
        for image in inside[start : start + group_size]:
            if one_coin or draw.random() < probability:
                box(image, draw)
    return to_device(inside, unlabeled.padding.device)


def mix(values: Tensor, inside: Tensor, group_size: int, pasted: Tensor | None = None, reverse: bool = False) -> Tensor:
    """Values (B, h, w) or (B, C, h, w), with those of the next image of the group (cyclic) inside the box.

    `pasted`: what is taken inside the box where it is not `values`, in the order of the images. `reverse`: from the
    first image of the group for the last, and so on, not from the next one.
    """
    source = values if pasted is None else pasted
    groups = source.reshape(-1, group_size, *source.shape[1:])
    partner = (groups.flip(1) if reverse else groups.roll(-1, dims=1)).reshape(source.shape)
    return torch.where(inside if values.dim() == 3 else inside[:, None], partner, values)


def mix_all(shown: PseudoLabeled, inside: Tensor, group_size: int, reverse: bool = False) -> PseudoLabeled:
    """Images, pseudo-labels and confidences mixed alike."""
    fields = (shown.image, shown.pseudo, shown.confidence)
    return PseudoLabeled(*(mix(values, inside, group_size, reverse=reverse) for values in fields))
