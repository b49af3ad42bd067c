"""Batches of validation images: by shape, from the list alone, whole ones for each rank, and what is in them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gta.data.loaders import val_batches, val_samples
from gta.data.transforms import normalised
from gta.data.valbatches import batches_of, dealt
from tests.helpers.configs import changed
from tests.helpers.mixed_shapes import IDS, mixed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("valbatches")


def test_images_of_one_shape_in_the_order_of_the_list_most_pixels_first(folder: Path) -> None:
    assert batches_of(mixed(folder), IDS) == tuple((index,) for index in range(7))
    assert batches_of(mixed(folder, batch=2), IDS) == ((0, 2), (4, 6), (1, 5), (3,))
    assert batches_of(mixed(folder, batch=3), IDS) == ((0, 2, 4), (1, 5), (6,), (3,))
    assert batches_of(mixed(folder, batch=8), IDS[::-1]) == ((0, 2, 4, 6), (1, 5), (3,))
    assert batches_of(mixed(folder, batch=8), []) == ()


def test_whole_batches_are_dealt(folder: Path) -> None:
    batches = batches_of(mixed(folder, batch=2), IDS)
    assert [dealt(batches, rank, 3) for rank in range(3)] == [((0, 2), (3,)), ((4, 6),), ((1, 5),)]
    assert dealt(batches, 4, 5) == ()


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_batch_holds_its_images(folder: Path, workers: int) -> None:
    config = changed(mixed(folder, batch=3), {"site.workers": workers, "data.input_scale": 0.5})
    alone = {index: (image, mask) for index, image, mask in val_samples(config, IDS, 0, 1)}
    batches = batches_of(config, IDS)
    found = list(val_batches(config, IDS, batches))
    assert [tuple(batch.indices.tolist()) for batch in found] == list(batches)
    for batch in found:
        for index, image, mask in zip(
            batch.indices.tolist(), normalised(batch.images, config.data), batch.masks, strict=True
        ):
            assert batch.images.dtype == batch.masks.dtype == torch.uint8
            assert torch.equal(image, alone[index][0][0])
            assert torch.equal(mask, alone[index][1])
