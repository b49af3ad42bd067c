"""Predicted classes, confusion matrix, IoU, mIoU. Counts are integers: their sum over ranks is exact in any order."""

from __future__ import annotations

import torch
from torch import Tensor

CACHED = 2**18  # pixels: a plane of so many scores stays in the cache between two operations


def predicted(scores: Tensor) -> tuple[Tensor, Tensor]:
    """(N, C, H, W) -> (N, H, W) integers, the class of the highest score, of several the first, as argmax says it; and
    (N,) bool: whether all scores of an image are finite. Where they are not, no class means anything.

    C is at most 256.
    """
    if not (on_host(scores) and scores.is_contiguous()):
        highest, classes = scores.max(1)
    else:
        together = max(1, CACHED // (scores.shape[-2] * scores.shape[-1]))
        parts = [_by_planes(part) for part in scores.split(together)]
        highest, classes = (torch.cat(found) if len(found) > 1 else found[0] for found in zip(*parts, strict=True))
    # nan goes through both; a map of which are finite would be as large as the scores, and ten times as slow on a CPU
    return classes, highest.amax((1, 2)).isfinite() & scores.amin((1, 2, 3)).isfinite()


def _by_planes(scores: Tensor) -> tuple[Tensor, Tensor]:
    """(N, H, W) twice, the highest scores and their classes. On a CPU argmax walks across the planes of classes; plane
    by plane it is 15 times as fast (21 classes).
    """
    best = scores[:, 0].clone()
    found = torch.zeros(best.shape, dtype=torch.uint8)
    better = torch.empty(best.shape, dtype=torch.bool)
    for number in range(1, scores.shape[1]):
        plane = scores[:, number]
        torch.gt(plane, best, out=better)
        torch.maximum(best, plane, out=best)
        torch.maximum(found, better.view(torch.uint8).mul_(number), out=found)  # a later class has a higher number
    return best, found


def confusions(pred: Tensor, mask: Tensor, num_classes: int, ignore_index: int = 255) -> Tensor:
    """(N, H, W) twice -> (N, C, C) int64 counts of the pixels of each image, row = true class, column = predicted
    class; ignored pixels are left out. On the tensors' device, which is not waited for unless it is the CPU.

    pred holds 0 to C - 1, mask also `ignore_index`; both are integer tensors. Nothing looks for another label, which
    would be counted in another row, or image: the masks of a data set are checked where they are read.
    """
    assert pred.shape == mask.shape, f"{tuple(pred.shape)} is not {tuple(mask.shape)}"
    images, rows = len(pred), num_classes + 1
    # Ignored pixels are counted in a row of their own, which is left out: to pick the others out would cost more.
    truth = mask.to(torch.int32, copy=True)
    cells = truth.masked_fill_(mask == ignore_index, num_classes).mul_(num_classes).add_(pred)
    if images > 1:
        first = torch.arange(images, dtype=torch.int32, device=pred.device) * (rows * num_classes)
        cells += first.view(-1, *[1] * (pred.dim() - 1))
    size = images * rows * num_classes
    if on_host(pred):
        counts = torch.bincount(cells.flatten(), minlength=size)
    else:  # bincount would wait for the device
        counts = occurrences(cells.flatten().long(), size)
    return counts.reshape(images, rows, num_classes)[:, :num_classes]


def occurrences(cells: Tensor, size: int) -> Tensor:
    """(size,) int64: how often each number is in `cells` (n,) int64; bincount, without asking for the highest one."""
    ones = torch.ones((), dtype=torch.int64, device=cells.device).expand(cells.shape)
    return torch.zeros(size, dtype=torch.int64, device=cells.device).scatter_add_(0, cells, ones)


def on_host(tensor: Tensor) -> bool:
    """Whether it lies in the memory of the CPU, which waits for nobody."""
    return tensor.device.type == "cpu"


def confusion(pred: Tensor, mask: Tensor, num_classes: int, ignore_index: int = 255) -> Tensor:
    """(C, C) int64 counts of all pixels, of tensors of any one shape: the sum of `confusions`."""
    assert pred.shape == mask.shape, f"{tuple(pred.shape)} is not {tuple(mask.shape)}"
    return confusions(pred.reshape(1, 1, -1), mask.reshape(1, 1, -1), num_classes, ignore_index)[0]


def iou(confusion: Tensor) -> Tensor:
    """(C,) float64 intersection over union, 0 to 1; nan for a class that is neither there nor predicted."""
    counts = confusion.double()
    hit = counts.diagonal()
    return hit / (counts.sum(0) + counts.sum(1) - hit)


def miou(confusion: Tensor) -> float:
    """Mean IoU in percent over the classes that are there or predicted; nan where there is none."""
    return 100.0 * iou(confusion).nanmean().item()
