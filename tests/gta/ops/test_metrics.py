"""Confusion matrix, IoU and mIoU against torchmetrics and against counting."""

from __future__ import annotations

import math

import torch
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex

from gta.ops.metrics import confusion, iou, miou

CLASSES = 6


def example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(0, CLASSES, (3, 20, 30), generator=generator)
    pred = torch.where(torch.rand(mask.shape, generator=generator) < 0.6, mask, mask.roll(1, 2))
    mask[torch.rand(mask.shape, generator=generator) < 0.2] = 255
    return pred, mask


def test_equals_torchmetrics() -> None:
    pred, mask = example()
    counts = confusion(pred, mask, CLASSES)
    assert counts.dtype == torch.int64
    assert torch.equal(counts, MulticlassConfusionMatrix(CLASSES, ignore_index=255)(pred, mask))
    theirs = MulticlassJaccardIndex(CLASSES, average=None, ignore_index=255)(pred, mask)
    assert torch.allclose(iou(counts).float(), theirs)
    assert math.isclose(miou(counts), 100 * theirs.mean().item(), rel_tol=1e-6)


def test_rows_are_the_truth() -> None:
    counts = confusion(torch.tensor([1, 1, 0]), torch.tensor([0, 1, 255]), 3)
    assert counts.tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_uint8_masks_and_another_ignore_index() -> None:
    """200 x 21 classes does not fit a byte: counting must not wrap."""
    pred, mask = torch.tensor([20, 20, 3], dtype=torch.uint8), torch.tensor([20, 19, 0], dtype=torch.uint8)
    counts = confusion(pred, mask, 21, ignore_index=0)
    assert counts.sum() == 2
    assert counts[20, 20] == counts[19, 20] == 1


def test_parts_add_up_to_the_whole() -> None:
    pred, mask = example()
    parts = sum(confusion(p, m, CLASSES) for p, m in zip(pred, mask, strict=True))
    assert torch.equal(parts, confusion(pred, mask, CLASSES))  # type: ignore[arg-type]


def test_a_class_that_is_nowhere_is_nan_and_not_in_the_mean() -> None:
    counts = torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert iou(counts)[:2].tolist() == [0.75, 0.8]
    assert torch.isnan(iou(counts)[2])
    assert math.isclose(miou(counts), 77.5)
    assert math.isnan(miou(torch.zeros(3, 3, dtype=torch.int64)))


def test_a_class_that_is_only_predicted_has_iou_zero() -> None:
    assert iou(torch.tensor([[3, 1], [0, 0]])).tolist() == [0.75, 0.0]
