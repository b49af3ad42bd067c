"""Confusion matrix, IoU and mIoU. Counts are integers, so their sum over ranks is exact in any order."""

from __future__ import annotations

import torch
from torch import Tensor


def confusion(pred: Tensor, mask: Tensor, num_classes: int, ignore_index: int = 255) -> Tensor:
    """(C, C) int64 counts of pixels, row = true class, column = predicted class; ignored pixels are left out.

    pred and mask are integer tensors of one shape; pred holds 0 to C - 1, mask also `ignore_index`.
    """
    assert pred.shape == mask.shape, f"{tuple(pred.shape)} is not {tuple(mask.shape)}"
    valid = mask != ignore_index
    cell = mask[valid].long() * num_classes + pred[valid].long()
    return torch.bincount(cell, minlength=num_classes**2).reshape(num_classes, num_classes)


def iou(confusion: Tensor) -> Tensor:
    """(C,) float64 intersection over union, 0 to 1; nan for a class that is neither there nor predicted."""
    counts = confusion.double()
    hit = counts.diagonal()
    return hit / (counts.sum(0) + counts.sum(1) - hit)


def miou(confusion: Tensor) -> float:
    """Mean IoU in percent over the classes that are there or predicted; nan where there is none."""
    return 100.0 * iou(confusion).nanmean().item()
