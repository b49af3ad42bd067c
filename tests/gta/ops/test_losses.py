"""The losses against plain loops over pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gta.ops.losses import (
    cross_entropy,
    entropy,
    ohem_cross_entropy,
    reliable_cross_entropy,
    squared_difference,
    thresholded_cross_entropy,
    weighted_cross_entropy,
)
from gta.ops.quantiles import percentile

CLASSES = 4


def example(images: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels (a different share of each image is 255), confidences."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, CLASSES, 5, 6, generator=generator)
    labels = torch.randint(0, CLASSES, (images, 5, 6), generator=generator)
    ignored = torch.rand(images, 5, 6, generator=generator) < torch.linspace(0, 0.7, images)[:, None, None]
    return logits, labels.masked_fill(ignored, 255), torch.rand(images, 5, 6, generator=generator)


def pixel_loss(logits: Tensor, label: int) -> float:
    values = logits.tolist()
    return math.log(sum(math.exp(v) for v in values)) - values[label]


def pixels(group: range, labels: Tensor) -> list[tuple[int, int, int]]:
    _, height, width = labels.shape
    every = [(b, y, x) for b in group for y in range(height) for x in range(width)]
    return [place for place in every if labels[place] != 255]


def groups(images: int, size: int) -> list[range]:
    return [range(start, start + size) for start in range(0, images, size)]


def at(logits: Tensor, place: tuple[int, int, int]) -> Tensor:
    b, y, x = place
    return logits[b, :, y, x]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_cross_entropy_is_the_mean_over_groups_of_the_mean_over_pixels(size: int) -> None:
    logits, labels, _ = example()
    means = []
    for group in groups(4, size):
        losses = [pixel_loss(at(logits, p), int(labels[p])) for p in pixels(group, labels)]
        means.append(sum(losses) / len(losses))
    assert cross_entropy(logits, labels, size).item() == pytest.approx(np.mean(means), rel=1e-5)


def test_cross_entropy_depends_on_the_group() -> None:
    """Unequal label counts: one mean over all pixels is another number, so the groups must be right."""
    logits, labels, _ = example()
    assert cross_entropy(logits, labels, 1).item() != pytest.approx(cross_entropy(logits, labels, 4).item(), rel=1e-3)


def test_a_group_without_labels_counts_as_zero_and_keeps_gradients_finite() -> None:
    logits, labels, _ = example()
    labels[:2] = 255
    logits.requires_grad_()
    loss = cross_entropy(logits, labels, 2)
    assert loss.item() == pytest.approx(cross_entropy(logits[2:], labels[2:], 2).item() / 2)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:2] == 0).all()


@pytest.mark.parametrize("threshold", [0.0, 0.6])
def test_thresholded_loss_is_the_loop(threshold: float) -> None:
    logits, labels, confidence = example()
    means, shares = [], []
    for group in groups(4, 2):
        every = pixels(group, labels)
        kept = [p for p in every if confidence[p] >= threshold]
        means.append(sum(pixel_loss(at(logits, p), int(labels[p])) for p in kept) / len(every))
        shares.append(len(kept) / len(every))
    loss, share = thresholded_cross_entropy(logits, labels, confidence, threshold, 2)
    assert loss.item() == pytest.approx(np.mean(means), rel=1e-5)
    assert share.item() == pytest.approx(np.mean(shares))
    loss, same = thresholded_cross_entropy(logits, labels, confidence, threshold, 2, over_ignored=True)
    whole = 2 * labels[0].numel()  # ignored pixels too
    means = [mean * len(pixels(group, labels)) / whole for group, mean in zip(groups(4, 2), means, strict=True)]
    assert loss.item() == pytest.approx(np.mean(means), rel=1e-5)
    assert same.item() == share.item()


WEIGHT = {"laplace": lambda c: 1 + c, "confidence": lambda c: c, "none": lambda c: 1.0}


@pytest.mark.parametrize("weighting", WEIGHT)
@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("drop_percent", [80.0, 35.0])
def test_weighted_loss_is_the_loop(weighting: str, size: int, drop_percent: float) -> None:
    logits, labels, confidence = example(seed=1)
    means, shares = [], []
    for group in groups(4, size):
        every = pixels(group, labels)
        bound = np.percentile([float(confidence[p]) for p in every], 100 - drop_percent)
        above = below = kept = 0.0
        for place in every:
            c = float(confidence[place])
            if c > bound:
                above += WEIGHT[weighting](c) * pixel_loss(at(logits, place), int(labels[place]))
                kept += 1
            else:
                c = 0.0
            below += WEIGHT[weighting](c)
        means.append(above / below)
        shares.append(kept / len(every))
    loss, share = weighted_cross_entropy(logits, labels, confidence, size, drop_percent, weighting)
    assert loss.item() == pytest.approx(np.mean(means), rel=1e-5)
    assert share.item() == pytest.approx(np.mean(shares))


def test_weighted_loss_does_not_see_padding() -> None:
    """What lies in padded pixels, logits and confidence, changes nothing: no sum and no percentile has them."""
    logits, labels, confidence = example(seed=2)
    before = weighted_cross_entropy(logits, labels, confidence, 2, 80.0)[0]
    padded = labels == 255
    confidence[padded] = 1.0
    logits.permute(0, 2, 3, 1)[padded] = 50.0
    assert weighted_cross_entropy(logits, labels, confidence, 2, 80.0)[0] == before


def test_weighted_loss_divides_by_all_pixels_not_by_the_kept_ones() -> None:
    """Two pixels of equal CE log 2, confidences 0.2 and 0.6, one kept: 1.6 log 2 / (1.6 + 1)."""
    logits = torch.zeros(1, 2, 1, 2)
    labels = torch.zeros(1, 1, 2, dtype=torch.long)
    loss, share = weighted_cross_entropy(logits, labels, torch.tensor([[[0.2, 0.6]]]), 1, 50.0)
    assert loss.item() == pytest.approx(1.6 * math.log(2) / 2.6)
    assert share.item() == 0.5


def test_weighted_loss_of_padding_alone_is_zero() -> None:
    logits, labels, confidence = example()
    loss, share = weighted_cross_entropy(logits.requires_grad_(), torch.full_like(labels, 255), confidence, 2, 80.0)
    loss.backward()
    assert (loss.item(), share.item()) == (0.0, 0.0)


def test_no_gradient_reaches_a_dropped_pixel() -> None:
    logits, labels, confidence = example()
    labels[labels == 255] = 0
    weighted_cross_entropy(logits.requires_grad_(), labels, confidence, 4, 80.0)[0].backward()
    bound = np.percentile(confidence.numpy(), 20)
    assert logits.grad is not None
    touched = (logits.grad != 0).any(dim=1)
    assert torch.equal(touched, confidence > bound)


@pytest.mark.parametrize("count", [1, 2, 7, 100])
@pytest.mark.parametrize("percent", [0.0, 20.0, 33.3, 50.0, 99.0, 100.0])
def test_percentile_is_numpys(count: int, percent: float) -> None:
    values = torch.rand(count, generator=torch.Generator().manual_seed(count))
    assert percentile(values, percent).item() == pytest.approx(np.percentile(values.numpy(), percent), rel=1e-6)


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize(("threshold", "min_kept"), [(0.7, 0), (0.1, 12), (0.3, 10_000), (0.05, 1)])
def test_ohem_is_the_loop(size: int, threshold: float, min_kept: int) -> None:
    """Pixels no more probable than the threshold; where these are too few, the least probable `min_kept`."""
    logits, labels, _ = example(seed=3)
    means, kept = [], 0
    for group in groups(4, size):
        losses = sorted((pixel_loss(at(logits, p), int(labels[p])) for p in pixels(group, labels)), reverse=True)
        hard = [loss for loss in losses if math.exp(-loss) <= threshold]
        hard = hard if len(hard) >= min_kept else losses[:min_kept]
        kept += len(hard)
        means.append(sum(hard) / len(hard) if hard else 0.0)
    found = ohem_cross_entropy(logits, labels, size, threshold, min_kept).item()
    assert found == pytest.approx(np.mean(means), rel=1e-5)
    if (threshold, min_kept) == (0.1, 12):
        assert 0 < kept < int((labels != 255).sum())
    if min_kept == 10_000:
        assert found == pytest.approx(cross_entropy(logits, labels, size).item())


def test_ohem_without_labels_is_zero() -> None:
    logits, labels, _ = example()
    loss = ohem_cross_entropy(logits.requires_grad_(), torch.full_like(labels, 255), 2, 0.7, 100)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_losses_keep_float64() -> None:
    """Cast to float32, a loss would lose half of its digits."""
    logits, labels, confidence = example()
    double = logits.double(), labels, confidence.double()
    assert cross_entropy(*double[:2], 2).dtype == torch.float64
    assert ohem_cross_entropy(*double[:2], 2, 0.7, 10).dtype == torch.float64
    assert weighted_cross_entropy(*double, 2, 80.0)[0].dtype == torch.float64
    assert thresholded_cross_entropy(*double, 0.5, 2)[0].dtype == torch.float64
    assert cross_entropy(logits.bfloat16(), labels, 2).dtype == torch.float32


def test_squared_difference_weighs_a_group_by_its_sure_share() -> None:
    """By loops, in float64; a group without a valid pixel is 0."""
    generator = torch.Generator().manual_seed(4)
    logits, other = torch.randn(2, 6, 3, 4, 5, generator=generator, dtype=torch.float64)
    chances, valid = other.softmax(1), torch.rand(6, 4, 5, generator=generator) > 0.3
    valid[4:] = False
    means, shares = [], []
    for start in (0, 2, 4):
        total, sure, count = 0.0, 0, 0
        for i, y, x in torch.nonzero(valid[start : start + 2]).tolist():
            soft = torch.exp(logits[start + i, :, y, x])
            soft = soft / soft.sum()
            total += float(((soft - chances[start + i, :, y, x]) ** 2).sum())
            sure += int(chances[start + i, :, y, x].max() >= 0.6)
            count += 1
        means.append(total * sure / count**2 if count else 0.0)
        shares.append(sure / count if count else 0.0)
    assert 0 < sum(shares) / 3 < 2 / 3
    found = squared_difference(logits, chances, valid, 2, 0.6)
    assert [value.item() for value in found] == pytest.approx([sum(means) / 3, sum(shares) / 3], abs=1e-12)


@pytest.mark.parametrize("unreliable", [0.0, 20.0, 50.0])
def test_reliable_cross_entropy_leaves_out_the_pixels_of_highest_entropy(unreliable: float) -> None:
    """Of N pixels, K kept: N / K times their mean; the bound itself is left out, so that 0% leaves out one pixel."""
    logits, labels, entropies = example()
    losses, shares = [], []
    for group in groups(4, 2):
        places = pixels(group, labels)
        bound = np.percentile([entropies[p].item() for p in places], 100 - unreliable)
        kept = [p for p in places if entropies[p].item() < bound]
        mean = sum(pixel_loss(at(logits, p), int(labels[p])) for p in kept) / len(kept)
        losses.append(len(places) / len(kept) * mean)
        shares.append(len(kept) / len(places))
    loss, share = reliable_cross_entropy(logits, labels, entropies, unreliable, 2)
    assert loss.item() == pytest.approx(np.mean(losses), rel=1e-5)
    assert share.item() == pytest.approx(np.mean(shares), rel=1e-6)


def test_reliable_cross_entropy_of_nothing_is_zero() -> None:
    """A group of padding, and one whose pixels are all as unsure as each other."""
    logits, labels, entropies = example()
    labels[:2], entropies[2:] = 255, 0.5
    loss, share = reliable_cross_entropy(logits, labels, entropies, 20.0, 2)
    assert (loss.item(), share.item()) == (0.0, 0.0)


def test_entropy() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1e4, -1e4], [500.0, 0.0, 0.0, 0.0]])
    assert entropy(logits).tolist() == pytest.approx([math.log(4), math.log(2), 0.0], abs=1e-6)
