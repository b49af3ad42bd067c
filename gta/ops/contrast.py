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
from gta.ops.losses import IGNORE_INDEX, full_precision
from gta.ops.memory import Memory
from gta.ops.quantiles import percentile_of
from gta.ops.transfer import to_device


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
    low = valid & (entropies <= percentile_of(entropies, valid, percent))
    high = valid & (entropies >= percentile_of(entropies, valid, 100.0 - percent))
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
    rows = rows_of_classes(pixels.representation, _is_class(label, pixels.logits.shape[1]))
    return Targets(anchor, {one: found.mean(0) for one, found in enumerate(rows) if len(found)})


def negatives(pixels: Pixels, low_rank: int, high_rank: int, own_label: bool) -> list[Tensor]:
    """Of each class, the representations (m, width) of pixels that are hardly of it, in their order.

    The rank of a class is its place among the probabilities of a pixel, 0 being the largest. Of unlabeled images:
    pixels of high entropy for which the class has a rank of `low_rank` to `high_rank` - 1. Of labeled ones: pixels of
    another class for which it has a rank below `low_rank`. `own_label`: as the public code, only pixels whose
    (pseudo-)label is the class itself, which leaves none of labeled images.
    """
    ranks = pixels.logits.argsort(1, descending=True).argsort(1)
    is_label = _is_class(pixels.label, ranks.shape[1])
    unlikely = pixels.high[:, None] & (ranks >= low_rank) & (ranks < high_rank)
    confused = pixels.high[:, None] & ~is_label & (ranks < low_rank)
    chosen = torch.where(pixels.labeled[:, None], confused, unlikely)
    if own_label:
        chosen &= is_label
    return list(rows_of_classes(pixels.representation, chosen))


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
    pixels = torch.arange(len(wanted.anchor), device=wanted.anchor.device)
    candidates_of = rows_of_classes(pixels, _is_class(wanted.anchor, len(memory.sizes)))
    for place, label in enumerate(wanted.positives):
        own = place if by_place else label
        candidates, kept = candidates_of[own], memory.count(label)
        if not len(candidates) or not kept:
            continue
        draw = draws(label)
        drawn = torch.from_numpy(draw.integers(len(candidates), size=anchors))
        chosen.append(candidates[to_device(drawn, candidates.device)])
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


def rows_of_classes(values: Tensor, chosen: Tensor) -> tuple[Tensor, ...]:
    """Of each class, the rows of `values` (n, ...) that are chosen for it (bool (n, C)), in their order.

    How many these are the host must know: it waits for the device twice, however many classes there are.
    """
    counts = chosen.sum(0).tolist()
    rows = chosen.t().nonzero()[:, 1]
    return values[rows].split(counts)


def _is_class(labels: Tensor, classes: int) -> Tensor:
    """(n) -> bool (n, classes)."""
    return labels[:, None] == torch.arange(classes, device=labels.device)


def _small(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, h, w) -> (N h' w') int64, by the nearest pixel."""
    return F.interpolate(values[:, None].float(), size=size, mode="nearest").flatten().long()
