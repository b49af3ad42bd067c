"""Confusion matrix, IoU and mIoU against torchmetrics and against counting."""

from __future__ import annotations

import math

import pytest
import torch
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex

from gta.ops import metrics
from gta.ops.metrics import confusion, confusions, iou, miou, occurrences, predicted

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


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_predicted_class_is_the_first_of_the_highest(layout: torch.memory_format) -> None:
    scores = torch.randn(2, 150, 7, 9, generator=torch.Generator().manual_seed(0)).mul(2).round()  # many ties
    assert torch.equal(predicted(scores.to(memory_format=layout))[0].long(), scores.argmax(1))
    assert torch.equal(predicted(torch.zeros(1, 3, 2, 2))[0].long(), torch.zeros(1, 2, 2, dtype=torch.int64))


def test_images_that_are_too_large_for_the_cache_are_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.randn(5, 4, 6, 7)
    scores[3, 1, 2, 2] = math.nan
    monkeypatch.setattr(metrics, "CACHED", 2 * 6 * 7)
    classes, sound = predicted(scores)
    assert torch.equal(classes[[0, 1, 2, 4]].long(), scores[[0, 1, 2, 4]].argmax(1))
    assert sound.tolist() == [True, True, True, False, True]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_value_that_is_not_finite_is_found_in_its_image(value: float) -> None:
    for layout in (torch.contiguous_format, torch.channels_last):
        scores = torch.randn(3, 4, 5, 6).to(memory_format=layout)
        assert predicted(scores)[1].tolist() == [True, True, True]
        scores[1, 2, 3, 4] = value
        assert predicted(scores)[1].tolist() == [True, False, True]


def test_images_are_counted_apart() -> None:
    pred, mask = example()
    found = confusions(pred.to(torch.uint8), mask.to(torch.uint8), CLASSES)
    assert found.dtype == torch.int64
    for one, p, m in zip(found, pred, mask, strict=True):
        assert torch.equal(one, confusion(p, m, CLASSES))
    assert torch.equal(confusions(pred, mask, CLASSES), found)


def test_occurrences_are_those_of_bincount() -> None:
    """What a GPU counts by, as bincount would wait for it."""
    cells = torch.randint(0, 90, (1000,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(occurrences(cells, 100), torch.bincount(cells, minlength=100))
