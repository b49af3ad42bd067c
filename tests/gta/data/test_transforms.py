"""The random views: one geometry for image, mask and padding; no mixed labels; antialiased when shrinking."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from gta.config import AugmentConfig, DataConfig
from gta.data.resample import rescale
from gta.data.transforms import mean_colour, normalise, strong_view, weak_view
from gta.seeds import generator

COLOURS = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250], [240, 240, 20]], np.uint8)
STILL = AugmentConfig(scale_min=1, scale_max=1, flip=False)


def _config(**augment: object) -> DataConfig:
    return DataConfig(name="x", classes=list("abcd"), crop_size=40, augment=AugmentConfig(**augment))  # type: ignore[arg-type]


def _blocks(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A mask of random 12-pixel blocks, and the picture that shows each label in its colour."""
    coarse = np.random.default_rng(1).integers(0, 4, (height // 12 + 1, width // 12 + 1), dtype=np.uint8)
    mask = np.kron(coarse, np.ones((12, 12), np.uint8))[:height, :width]
    return COLOURS[mask], mask


@pytest.mark.parametrize("shape", [(60, 70), (30, 90), (24, 24)])
def test_image_mask_and_padding_go_through_one_geometry(shape: tuple[int, int]) -> None:
    image, mask = _blocks(*shape)
    config = _config()
    wrong = total = 0
    for number in range(60):
        view = weak_view(image, mask, config, generator(0, "test", number))
        assert view.mask is not None
        assert view.image.shape == (40, 40, 3)
        assert (view.mask.shape, view.padding.shape) == ((40, 40), (40, 40))
        np.testing.assert_array_equal(view.mask == 255, view.padding)
        assert (view.image[view.padding] == mean_colour(config)).all()
        told = np.abs(view.image[:, :, None].astype(int) - COLOURS).sum(-1).argmin(-1)
        wrong += (told != view.mask)[~view.padding].sum()
        total += (~view.padding).sum()
    # Only interpolated edge pixels, whose colour is a mixture, may differ; half a pixel of offset gives more.
    assert wrong / total < 0.02


def test_the_mask_is_centred_on_the_image() -> None:
    """Both halves of a picture keep half of the pixels at any scale: an offset of half a pixel would tilt
    this.
    """
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 1
    image = COLOURS[mask]
    for scale in (0.25, 0.5, 0.75, 1.25, 2.0):
        side = round(64 * scale)
        config = replace(_config(scale_min=scale, scale_max=scale, flip=False), crop_size=side)
        view = weak_view(image, mask, config, generator(0, "test"))
        assert view.mask is not None
        assert view.mask.mean() == 0.5
        assert abs(view.image[..., 1].mean() - 130) < 1


def test_a_picture_smaller_than_the_crop_is_whole_and_placed_at_random() -> None:
    image, mask = _blocks(24, 30)
    config = replace(_config(), augment=STILL)
    places = set()
    for number in range(50):
        view = weak_view(image, mask, config, generator(0, "test", number))
        rows, columns = np.nonzero(~view.padding)
        places.add((rows.min(), columns.min()))
        np.testing.assert_array_equal(view.image[~view.padding].reshape(24, 30, 3), image)
        assert view.mask is not None
        np.testing.assert_array_equal(view.mask[~view.padding].reshape(24, 30), mask)
    assert len(places) > 20
    assert max(row for row, _ in places) <= 16
    assert max(column for _, column in places) <= 10


def test_half_the_scales_lie_below_one() -> None:
    image = np.full((80, 80, 3), 200, np.uint8)
    config = replace(_config(flip=False), crop_size=160)
    sides = [int((~weak_view(image, None, config, generator(0, "test", n)).padding).any(0).sum()) for n in range(400)]
    assert min(sides) < 45
    assert max(sides) > 155
    assert 0.42 < np.mean(np.array(sides) < 80) < 0.58


def test_flips_half_the_time_and_only_where_asked() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, :20] = 255
    for flip in (True, False):
        config = replace(_config(), augment=replace(STILL, flip=flip))
        flipped = [weak_view(image, None, config, generator(0, "test", n)).image[0, 0, 0] == 0 for n in range(200)]
        assert 70 < sum(flipped) < 130 if flip else not any(flipped)


def test_shrinking_is_antialiased() -> None:
    """A pixel checkerboard has no structure at 0.45 of its size: it must turn gray, not into moire."""
    board = (np.indices((120, 120)).sum(0) % 2 * 255).astype(np.uint8)
    image = np.repeat(board[..., None], 3, axis=2)
    view = weak_view(image, None, _config(scale_min=0.45, scale_max=0.45), generator(0, "test"))
    assert view.image.std() < 25
    assert cv2.resize(image, (54, 54)).std() > 35  # what bilinear sampling makes of it
    assert rescale(image, 0.5, labels=False).std() < 1


def test_a_view_depends_on_its_generator_alone_and_the_strong_view_shares_its_geometry() -> None:
    image, mask = _blocks(60, 70)
    config = _config(weak_brightness=0.2)
    first = weak_view(image, mask, config, generator(0, "test", 1))
    rng = generator(0, "test", 1)
    again = weak_view(image, mask, config, rng)
    np.testing.assert_array_equal(first.image, again.image)
    strong = strong_view(again, config, rng)
    np.testing.assert_array_equal(first.image, again.image)  # the weak view is not painted over
    assert strong.shape == first.image.shape
    other = weak_view(image, mask, config, generator(0, "test", 2))
    assert not np.array_equal(first.image, other.image)


def test_the_strong_view_changes_colours_and_leaves_the_padding() -> None:
    image, _ = _blocks(24, 30)
    config = _config(scale_min=0.9, scale_max=1.0)
    changed = 0
    for number in range(40):
        rng = generator(0, "test", number)
        weak = weak_view(image, None, config, rng)
        strong = strong_view(weak, config, rng)
        assert (strong[weak.padding] == mean_colour(config)).all()
        changed += not np.array_equal(strong, weak.image)
    assert changed > 30


def test_strong_operations_do_what_they_are_called() -> None:
    image, _ = _blocks(40, 40)
    image = image // 2 + 40  # room above and below
    off = replace(STILL, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, jitter_probability=1.0)
    off = replace(off, grayscale_probability=0.0, blur_probability=0.0)

    def strong(**changes: float) -> list[np.ndarray]:
        config = replace(_config(), augment=replace(off, **changes))  # type: ignore[arg-type]
        made = []
        for number in range(20):
            rng = generator(0, "test", number)
            made.append(strong_view(weak_view(image, None, config, rng), config, rng))
        return made

    for made in strong():
        np.testing.assert_array_equal(made, image)
    brighter = np.array([made.mean() / image.mean() for made in strong(brightness=0.5)])
    assert brighter.min() < 0.75
    assert 1.3 < brighter.max() < 1.51
    contrast = np.array([made.std() / image.std() for made in strong(contrast=0.5)])
    assert contrast.min() < 0.7
    for made in strong(grayscale_probability=1.0):
        assert (made.max(-1) == made.min(-1)).all()
    for made in strong(saturation=1.0):
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(int)
        assert abs(cv2.cvtColor(made, cv2.COLOR_RGB2GRAY).astype(int) - gray).mean() < 25
    hues = [cv2.cvtColor(made, cv2.COLOR_RGB2HSV_FULL) for made in strong(hue=0.25)]
    start = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    shifts = [int(((hue[0, 0, 0].astype(int) - start[0, 0, 0]) + 128) % 256 - 128) for hue in hues]
    assert min(shifts) < -25
    assert max(shifts) > 25
    assert max(map(abs, shifts)) <= 66
    for made in strong(blur_probability=1.0, blur_sigma_max=3.0)[:5]:
        assert made.std() < image.std()


def test_normalise() -> None:
    config = _config()
    images = np.stack([np.broadcast_to(mean_colour(config), (5, 4, 3)), np.full((5, 4, 3), 255, np.uint8)])
    tensor = normalise(images, config)
    assert tensor.shape == (2, 3, 5, 4)
    assert tensor.dtype == torch.float32
    assert tensor[0].abs().max() < 0.01  # the padding's colour is the mean
    expected = (1 - torch.tensor(config.mean)) / torch.tensor(config.std)
    torch.testing.assert_close(tensor[1, :, 0, 0], expected)
