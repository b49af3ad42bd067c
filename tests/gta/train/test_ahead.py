"""Batches on the device: in order, none before the one before was used; on a GPU from pinned memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gta.data.loaders import train_loader
from gta.data.splits.split import load_split
from gta.ops.batch import Labeled, Unlabeled
from gta.train.ahead import Batch, on_device
from tests.helpers.configs import changed
from tests.helpers.methods import make_batch
from tests.helpers.training import make

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=NEEDS_GPU)]


def batches(taken: list[int], number: int) -> Iterator[Batch]:
    for iteration in range(number):
        taken.append(iteration)
        labeled, unlabeled = make_batch(iteration)
        yield labeled, unlabeled if iteration else None


@pytest.mark.parametrize("device", DEVICES)
def test_no_batch_is_taken_before_it_is_asked_for(device: str) -> None:
    taken: list[int] = []
    for iteration, (labeled, unlabeled) in enumerate(on_device(batches(taken, 3), torch.device(device))):
        assert taken == list(range(iteration + 1)), "what was loaded is what was trained on"
        expected, others = make_batch(iteration)
        assert labeled.image.device.type == device
        assert torch.equal(labeled.image.cpu(), expected.image)
        assert torch.equal(labeled.mask.cpu(), expected.mask)
        assert (unlabeled is None) == (iteration == 0)
        if unlabeled is not None:
            assert unlabeled.strong2 is not None
            assert others.strong2 is not None
            assert torch.equal(unlabeled.strong2.cpu(), others.strong2)
    assert taken == [0, 1, 2]


@NEEDS_GPU
@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_gives_pinned_batches(tmp_path: Path, workers: int) -> None:
    config = changed(make(tmp_path), {"site.workers": workers})
    split = load_split(config.data)
    labeled, unlabeled = next(train_loader(config, split, 1, 0, 4, strong=1, unlabeled=True, pinned=True))
    assert isinstance(labeled, Labeled)
    assert isinstance(unlabeled, Unlabeled)
    assert labeled.image.is_pinned()
    assert labeled.mask.is_pinned()
    assert unlabeled.weak.is_pinned()
    assert unlabeled.padding.is_pinned()
