"""Reading pictures: what is refused, in which words, and what is kept in memory."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gta.config import DataConfig
from gta.data.dataset import SegmentationDataset
from gta.errors import UserError

Tiny = Callable[..., DataConfig]
LABELS = np.array([[0, 1, 0, 1, 255, 0]] * 4, np.uint8)


def _file(config: DataConfig, item: str, mask: bool) -> Path:
    return Path(config.root) / (f"{config.masks}/{item}.png" if mask else f"{config.images}/{item}.jpg")


@pytest.mark.parametrize("palette", [False, True])
def test_masks_are_read_as_indices(tiny: Tiny, palette: bool) -> None:
    config = tiny()
    picture = Image.fromarray(LABELS)
    if palette:  # colours in an order that would give other numbers if they were looked at
        picture.putpalette([200, 0, 0, 100, 0, 0] + [7, 7, 7] * 254)
    picture.save(_file(config, "a", mask=True))
    assert (Image.open(_file(config, "a", mask=True)).mode == "P") == palette
    np.testing.assert_array_equal(SegmentationDataset(config, ["a"]).mask(0), LABELS)


def test_images_are_rgb_in_this_order(tiny: Tiny) -> None:
    config = tiny()
    Image.fromarray(np.full((8, 8, 3), (200, 100, 0), np.uint8)).save(_file(config, "a", mask=False), quality=100)
    image = SegmentationDataset(config, ["a"]).image(0)
    assert image.shape == (8, 8, 3)
    np.testing.assert_allclose(image[4, 4], (200, 100, 0), atol=3)
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(_file(config, "a", mask=False))
    assert SegmentationDataset(config, ["a"]).image(0)[4, 4].tolist() == [90, 90, 90]  # gray becomes RGB


def test_a_label_outside_the_classes_is_named(tiny: Tiny) -> None:
    config = tiny()
    mask = LABELS.copy()
    mask[0, 0] = 7
    Image.fromarray(mask).save(_file(config, "a", mask=True))
    with pytest.raises(UserError, match=r"a\.png: label 7 \(1 pixels\) is none of the classes \(0 to 1\)"):
        SegmentationDataset(config, ["a"]).mask(0)


def test_another_ignore_label_leaves_as_255_and_255_is_then_a_stray(tiny: Tiny) -> None:
    config = tiny(ignore_index=0, classes=["void", "thing"])
    with pytest.raises(UserError, match="label 255"):
        SegmentationDataset(config, ["a"]).mask(0)
    Image.fromarray(np.where(LABELS == 255, 1, LABELS).astype(np.uint8)).save(_file(config, "a", mask=True))
    assert set(np.unique(SegmentationDataset(config, ["a"]).mask(0))) == {1, 255}


def test_a_picture_as_a_mask_is_refused(tiny: Tiny) -> None:
    config = tiny()
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(_file(config, "a", mask=True))
    with pytest.raises(UserError, match=r"a\.png is no index mask: its mode is RGB"):
        SegmentationDataset(config, ["a"]).mask(0)


def test_image_and_mask_of_different_size(tiny: Tiny) -> None:
    config = tiny()
    Image.fromarray(LABELS.T.copy()).save(_file(config, "b", mask=True))
    dataset = SegmentationDataset(config, ["a", "b"])
    dataset.labeled(0)
    with pytest.raises(UserError, match=r"b\.jpg is 6x4 but its mask .*b\.png is 4x6"):
        dataset.labeled(1)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.95])
def test_a_truncated_file_is_refused(tiny: Tiny, mask: bool, keep: float) -> None:
    config = tiny()
    path = _file(config, "a", mask)
    noise = np.random.default_rng(0).integers(0, 2, (64, 64), dtype=np.uint8)
    Image.fromarray(noise if mask else noise * 255).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    dataset = SegmentationDataset(config, ["a"])
    with pytest.raises(UserError, match=rf"{path.name} is corrupt or not a picture") as error:
        dataset.mask(0) if mask else dataset.image(0)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tiny: Tiny) -> None:
    with pytest.raises(UserError, match=r"nowhere\.jpg is not there"):
        SegmentationDataset(tiny(), ["nowhere"]).image(0)


def test_a_small_data_set_is_kept_in_memory_and_a_large_one_is_not(tiny: Tiny) -> None:
    config = tiny()
    both = 2 * (4 * 6 * 3 + 4 * 6)
    kept, large = (SegmentationDataset(config, ["a", "b"], cache_bytes=size) for size in (both, both - 1))
    for dataset in (kept, large):
        dataset.training(0, with_mask=True)
    copy = pickle.loads(pickle.dumps(kept))  # what a spawned worker gets: without the pictures
    _file(config, "a", mask=False).unlink()
    image, mask = kept.training(0, with_mask=True)
    assert image.shape == (4, 6, 3)
    np.testing.assert_array_equal(mask, LABELS)
    for dataset in (large, copy):
        with pytest.raises(UserError, match="not there"):
            dataset.training(0, with_mask=True)


def test_training_pictures_come_at_input_scale(tiny: Tiny) -> None:
    dataset = SegmentationDataset(tiny(input_scale=0.5), ["a"])
    image, mask = dataset.training(0, with_mask=True)
    assert image.shape == (2, 3, 3)
    assert mask is not None
    assert mask.shape == (2, 3)
    assert set(np.unique(mask)) <= set(np.unique(LABELS))
