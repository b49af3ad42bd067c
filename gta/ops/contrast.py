"""U2PL's contrast: reliable pixels of a class against unreliable ones that are of another class, whichever it is.

Pixels are those of one group, on the grid of the representations: of labeled images first, then of unlabeled ones, n in
all. What is read from the public code, and where the paper says otherwise: docs/explanation/method.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gta import seeds
from gta.ops.losses import IGNORE_INDEX, full_precision, percentile
from gta.ops.memory import Memory


@dataclass
class Pixels:
    """What is known of each pixel before the student learns."""

    label: Tensor  # (n) int64: label or pseudo-label; 255 where there is none
    labeled: Tensor  # (n) bool: of a labeled image
    low: Tensor  # (n) bool: labeled, or of low entropy
    high: Tensor  # (n) bool: labeled, or of high entropy
    logits: Tensor  # (n, C), the teacher's
    representation: Tensor  # (n, width), the teacher's


@dataclass
class Targets:
    """What the student's representations of these pixels are compared with."""

    anchor: Tensor  # (n) int64: the class whose anchor the pixel may be; 255: of none
    positives: dict[int, Tensor]  # class -> (width); of every class that has a pixel of low entropy, in their order


def pixels_of(
    mask: Tensor, pseudo: Tensor, entropies: Tensor, logits: Tensor, representation: Tensor, percent: float
) -> Pixels:
    """The pixels of a group of G labeled and G unlabeled images.

    mask, pseudo (G, h, w) int64 with 255 = ignore; entropies (G, h, w) of the unlabeled images; logits (2 G, C, h', w')
    and representation (2 G, width, h', w') of the labeled, then the unlabeled images. Of low entropy are the pixels up
    to its `percent`-th percentile over those with a pseudo-label, of high entropy those from the (100 - percent)-th.
    What has h x w is brought to h' x w' by the nearest pixel.
    """
    valid, known = pseudo != IGNORE_INDEX, mask != IGNORE_INDEX
    low = high = torch.zeros_like(valid)
    if valid.any():
        chosen = entropies[valid]
        low = valid & (entropies <= percentile(chosen, percent))
        high = valid & (entropies >= percentile(chosen, 100.0 - percent))
    size = (logits.shape[2], logits.shape[3])
    count = size[0] * size[1]
    return Pixels(
        label=_small(torch.cat([mask, pseudo]), size),
        labeled=torch.arange(2 * len(mask) * count, device=mask.device) < len(mask) * count,
        low=_small(torch.cat([known, low]), size).bool(),
        high=_small(torch.cat([known, high]), size).bool(),
        logits=as_rows(logits),
        representation=as_rows(representation),
    )


def targets(pixels: Pixels, threshold: float) -> Targets:
    """Anchors: pixels of low entropy whose own class has a probability above the threshold. Positives: the mean
    representation of all pixels of low entropy of a class.
    """
    label = torch.where(pixels.low, pixels.label, IGNORE_INDEX)
    own = label.clamp(max=pixels.logits.shape[1] - 1)  # any class will do where there is none
    chance = full_precision(pixels.logits).softmax(1).gather(1, own[:, None])[:, 0]
    anchor = torch.where(chance > threshold, label, IGNORE_INDEX)
    present = [one for one in label.unique().tolist() if one != IGNORE_INDEX]
    return Targets(anchor, {one: pixels.representation[label == one].mean(0) for one in present})


def negatives(pixels: Pixels, low_rank: int, high_rank: int, own_label: bool) -> list[Tensor]:
    """Of each class, the representations (m, width) of pixels that are hardly of it, in their order.

    The rank of a class is its place among the probabilities of a pixel, 0 being the largest. Of unlabeled images:
    pixels of high entropy for which the class has a rank of `low_rank` to `high_rank` - 1. Of labeled ones: pixels of
    another class for which it has a rank below `low_rank`. `own_label`: as the public code, only pixels whose
    (pseudo-)label is the class itself, which leaves none of labeled images.
    """
    ranks = pixels.logits.argsort(1, descending=True).argsort(1)
    is_label = pixels.label[:, None] == torch.arange(ranks.shape[1], device=ranks.device)
    unlikely = pixels.high[:, None] & (ranks >= low_rank) & (ranks < high_rank)
    confused = pixels.high[:, None] & ~is_label & (ranks < low_rank)
    chosen = torch.where(pixels.labeled[:, None], confused, unlikely)
    if own_label:
        chosen &= is_label
    return [pixels.representation[of_class] for of_class in chosen.unbind(1)]


def contrast(
    representation: Tensor,
    wanted: Targets,
    memory: Memory,
    draws: Callable[[int], seeds.Generator],
    anchors: int,
    negatives_each: int,
    temperature: float,
    by_place: bool,
) -> Tensor:
    """The contrast of the student's representations (n, width) of one group: mean over the classes that it has.

    Of a class, cross-entropy of `anchors` anchors, each to choose its positive among `negatives_each` vectors of the
    memory by cosine / temperature; both drawn with replacement, by `draws(class)`. A class without anchors or without
    memory counts as 0, and so does a group of fewer than two classes. `by_place`: as the public code, the negatives of
    the i-th class that is there meet anchors and positive of class i (issue 111).
    """
    nothing = representation[:0].sum()  # of no pixel: 0, and every rank's backward pass goes the same way
    if len(wanted.positives) < 2:
        return nothing
    chosen, keys = [], []
    for place, label in enumerate(wanted.positives):
        own = place if by_place else label
        candidates = (wanted.anchor == own).nonzero()[:, 0]
        kept = memory.count(label)
        if not len(candidates) or not kept:
            continue
        draw = draws(label)
        chosen.append(candidates[torch.from_numpy(draw.integers(len(candidates), size=anchors)).to(candidates.device)])
        others = memory.take(label, torch.from_numpy(draw.integers(kept, size=(anchors, negatives_each))))
        keys.append(torch.cat([wanted.positives[own].expand(anchors, 1, -1), others], 1))
    if not chosen:
        return nothing
    # all at once: each time that a few pixels are taken out, the backward pass goes over all of them
    units = F.normalize(representation[torch.cat(chosen)], dim=1).split(anchors)
    first = torch.zeros(anchors, dtype=torch.int64, device=representation.device)
    losses = [
        F.cross_entropy(torch.einsum("aw,akw->ak", mine, F.normalize(theirs, dim=2)) / temperature, first)
        for mine, theirs in zip(units, keys, strict=True)
    ]
    return torch.stack(losses).sum() / len(wanted.positives)


def as_rows(maps: Tensor) -> Tensor:
    """(N, K, h', w') -> (N h' w', K), image by image, row by row."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def _small(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, h, w) -> (N h' w') int64, by the nearest pixel."""
    return F.interpolate(values[:, None].float(), size=size, mode="nearest").flatten().long()
