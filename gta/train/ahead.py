"""Batches on the device; a GPU is given the next one while it is still at the step of the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from gta.ops.batch import Labeled, Unlabeled

Batch = tuple[Labeled, Unlabeled | None]


def on_device(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches, one after the other. None is taken before the one before was used: where a run stops, the loading
    stands where the steps do.

    A step is handed over to a GPU long before that has done it. So the next batch is taken and sent meanwhile, from
    pinned memory on a stream of its own; the step waits on the GPU for it, and the host waits for nothing.
    """
    if device.type != "cuda":
        for labeled, unlabeled in batches:
            yield _moved(labeled, unlabeled, device)
        return
    side = torch.cuda.Stream(device)
    for labeled, unlabeled in batches:
        with torch.cuda.stream(side):
            batch = _moved(labeled, unlabeled, device)
        here = torch.cuda.current_stream(device)
        here.wait_stream(side)
        for tensor in _tensors(batch):
            tensor.record_stream(here)  # its memory is of the other stream, which must not have it back too soon
        yield batch


def _moved(labeled: Labeled, unlabeled: Unlabeled | None, device: torch.device) -> Batch:
    return labeled.to(device), unlabeled.to(device) if unlabeled else None


def _tensors(batch: Batch) -> Iterator[Tensor]:
    for part in batch:
        if part is not None:
            yield from (value for value in vars(part).values() if isinstance(value, Tensor))
