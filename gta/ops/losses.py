"""Pixel losses. Each is a ratio of two sums over the pixels of a group, and the mean of that over the groups.

A group is `group_size` consecutive images of the batch. Because sums never cross a group, the loss of a
global batch is the same on any number of ranks that hold whole groups, with nothing but DDP's gradient mean
between them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gta.ops.quantiles import percentile_of, smallest_of

IGNORE_INDEX = 255
WEIGHTINGS = ("laplace", "confidence", "none")


def cross_entropy(logits: Tensor, mask: Tensor, group_size: int) -> Tensor:
    """Mean cross-entropy over the labeled pixels of each group, and of that over the groups.

    logits (B, C, h, w), mask (B, h, w) int64 with 255 = ignore. A group without a labeled pixel counts as 0.
    """
    loss = _pixel_loss(logits, mask)
    return _ratio(loss, (mask != IGNORE_INDEX).to(loss.dtype), group_size)


def ohem_cross_entropy(logits: Tensor, mask: Tensor, group_size: int, threshold: float, min_kept: int) -> Tensor:
    """Cross-entropy of the hard pixels of each group (online hard example mining), mean over the groups.

    Hard are labeled pixels whose own class has a probability of at most `threshold`; where these are fewer than
    `min_kept`, the `min_kept` least probable pixels of the group (all of them, where it has no more). The mean is over
    the kept pixels. logits (B, C, h, w), mask (B, h, w) int64 with 255 = ignore.
    """
    loss = _pixel_loss(logits, mask)
    probability = (-loss.detach()).exp()  # of the pixel's own class
    kept = []
    for chances, valid in zip(probability.split(group_size), (mask != IGNORE_INDEX).split(group_size), strict=True):
        bound = smallest_of(chances, valid, min_kept).clamp(min=threshold) if min_kept else threshold
        kept.append(valid & (chances <= bound))
    hard = torch.cat(kept)
    return _ratio(loss * hard, hard.to(loss.dtype), group_size)


def thresholded_cross_entropy(
    logits: Tensor,
    pseudo: Tensor,
    confidence: Tensor,
    threshold: float,
    group_size: int,
    over_ignored: bool = False,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy against pseudo-labels of confidence `threshold` or more; returns (loss, kept share).

    pseudo (B, h, w) int64 with 255 = padding, confidence (B, h, w). Divided by the number of ALL pixels that
    are not padding, as FixMatch does: an unsure batch then weighs less. `over_ignored`: divided by the number of all
    pixels, those of 255 too, as AugSeg does.
    """
    loss = _pixel_loss(logits, pseudo)
    valid = pseudo != IGNORE_INDEX
    kept = valid & (confidence >= threshold)
    counted = torch.ones_like(valid) if over_ignored else valid
    return _ratio(loss * kept, counted.to(loss.dtype), group_size), _share(kept, valid, group_size)


def squared_difference(
    logits: Tensor, chances: Tensor, valid: Tensor, group_size: int, threshold: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Sum over classes of the squared difference of the logits' softmax from `chances`, both (B, C, h, w).

    Mean over the valid pixels (bool (B, h, w)) of each group, times the share of these whose largest chance is
    `threshold` or more; and mean over the groups. Returns (loss, that share).
    """
    loss = (full_precision(logits).softmax(1) - chances).square().sum(1)
    sure = valid & (chances.amax(1) >= threshold)
    share = _ratios(sure.to(loss.dtype), valid.to(loss.dtype), group_size)
    return (share * _ratios(loss * valid, valid.to(loss.dtype), group_size)).mean(), share.mean()


def weighted_cross_entropy(
    logits: Tensor,
    pseudo: Tensor,
    confidence: Tensor,
    group_size: int,
    drop_percent: float,
    weighting: str = "laplace",
) -> tuple[Tensor, Tensor]:
    """GTA's unlabeled loss (step 5 of gta/methods/gta.py); returns (loss, kept share).

    pseudo (B, h, w) int64 with 255 = padding, confidence (B, h, w) in 0 to 1. In each group the pixels
    strictly above the (100 - drop_percent)-th percentile of the confidence are kept, and the confidence is 0
    at the others. Then sum over kept of w CE / sum over ALL pixels of w, with w = 1 + confidence ("laplace"),
    confidence, or 1 ("none"). Padding is in no sum and in no percentile.
    """
    assert weighting in WEIGHTINGS, weighting
    loss = _pixel_loss(logits, pseudo)
    valid = pseudo != IGNORE_INDEX
    kept = _above_percentile(confidence, valid, 100.0 - drop_percent, group_size)
    confidence = torch.where(kept, confidence, 0.0)
    weight = {"laplace": 1.0 + confidence, "confidence": confidence, "none": torch.ones_like(confidence)}[weighting]
    weight = weight * valid
    return _ratio(weight * kept * loss, weight, group_size), _share(kept, valid, group_size)


def reliable_cross_entropy(
    logits: Tensor, pseudo: Tensor, entropies: Tensor, unreliable_percent: float, group_size: int
) -> tuple[Tensor, Tensor]:
    """U2PL's unlabeled loss; returns (loss, kept share).

    pseudo (B, h, w) int64 with 255 = padding, entropies (B, h, w). In each group the pixels whose entropy reaches its
    (100 - unreliable_percent)-th percentile are left out. Of N pixels that are not padding, K kept: N / K times the
    mean cross-entropy of the kept ones. Padding is in no sum and in no percentile.
    """
    loss = _pixel_loss(logits, pseudo)
    valid = pseudo != IGNORE_INDEX
    kept = valid & ~_at_least_percentile(entropies, valid, 100.0 - unreliable_percent, group_size)
    share = _ratios(kept.to(loss.dtype), valid.to(loss.dtype), group_size)
    mean = _ratios(loss * kept, kept.to(loss.dtype), group_size)
    return (mean / torch.where(share > 0, share, 1.0)).mean(), share.mean()


def entropy(logits: Tensor) -> Tensor:
    """(B, C, ...) -> (B, ...): entropy of the softmax over classes, in nats."""
    logarithms = full_precision(logits).log_softmax(1)
    return -(logarithms.exp() * logarithms).sum(1)


def _at_least_percentile(values: Tensor, valid: Tensor, percent: float, group_size: int) -> Tensor:
    """Where valid values reach the percentile (linear interpolation) of those of their group."""
    reached = []
    for group, usable in zip(values.split(group_size), valid.split(group_size), strict=True):
        reached.append(usable & (group >= percentile_of(group, usable, percent)))
    return torch.cat(reached)


def _above_percentile(values: Tensor, valid: Tensor, percent: float, group_size: int) -> Tensor:
    """Where valid values lie strictly above the percentile (linear interpolation) of those of their group."""
    above = []
    for group, usable in zip(values.split(group_size), valid.split(group_size), strict=True):
        above.append(usable & (group > percentile_of(group, usable, percent)))
    return torch.cat(above)


def full_precision(values: Tensor) -> Tensor:
    """Half precisions as float32, where sums over pixels need it; float32 and float64 as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _pixel_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """(B, h, w): cross-entropy of each pixel, 0 where ignored."""
    return F.cross_entropy(full_precision(logits), labels, ignore_index=IGNORE_INDEX, reduction="none")


def _share(kept: Tensor, valid: Tensor, group_size: int) -> Tensor:
    return _ratio(kept.float(), valid.float(), group_size)


def _ratio(numerator: Tensor, denominator: Tensor, group_size: int) -> Tensor:
    """Mean over groups of sum(numerator) / sum(denominator); a group whose denominator is 0 counts as 0."""
    return _ratios(numerator, denominator, group_size).mean()


def _ratios(numerator: Tensor, denominator: Tensor, group_size: int) -> Tensor:
    """(groups): sum(numerator) / sum(denominator) of each."""
    assert numerator.shape[0] % group_size == 0, "a rank must hold whole groups"
    groups = numerator.shape[0] // group_size
    above = numerator.reshape(groups, -1).sum(1)
    below = denominator.reshape(groups, -1).sum(1)
    return above / torch.where(below > 0, below, 1.0)
