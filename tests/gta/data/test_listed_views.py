"""Views by lists of operations: where a crop lies, at which size, and what of it is padding."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gta.config import AugmentConfig, Config, DataConfig
from gta.data.geometry import View
from gta.data.loaders import train_loader
from gta.data.splits.split import load_split
from gta.data.transforms import mean_colour, strong_view, weak_view
from gta.seeds import generator

COLOURS = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250], [240, 240, 20]], np.uint8)
JITTER = {"op": "jitter", "brightness": [0.5, 1.5], "hue": [-0.25, 0.25]}
WHOLE = {"op": "crop", "padding": "right_bottom"}


def _config(weak: list[dict[str, Any]], side: int = 40, **augment: Any) -> DataConfig:
    return DataConfig(name="x", classes=list("abcd"), crop_size=side, augment=AugmentConfig(weak=weak, **augment))


def _blocks(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A mask of random 12-pixel blocks, and the picture that shows each label in its colour."""
    coarse = np.random.default_rng(1).integers(0, 4, (height // 12 + 1, width // 12 + 1), dtype=np.uint8)
    mask = np.kron(coarse, np.ones((12, 12), np.uint8))[:height, :width]
    return COLOURS[mask], mask


def _views(image: np.ndarray, config: DataConfig, number: int) -> list[View]:
    return [weak_view(image, None, config, generator(0, "test", n)) for n in range(number)]


def _sides(image: np.ndarray, scale: dict[str, Any], number: int = 400, side: int = 200) -> list[tuple[int, int]]:
    """(height, width) that an operation gave to an image, seen in a crop that holds all of it."""
    shown = [~view.padding for view in _views(image, _config([scale, WHOLE], side), number)]
    return [(int(one.any(1).sum()), int(one.any(0).sum())) for one in shown]


@pytest.mark.parametrize("padding", ["random", "centred", "right_bottom"])
@pytest.mark.parametrize("flip_first", [True, False])
@pytest.mark.parametrize("draw", ["uniform", "halves", "pixels"])
def test_image_mask_and_padding_go_through_one_geometry(padding: str, flip_first: bool, draw: str) -> None:
    image, mask = _blocks(40, 90)
    crop = {"op": "crop", "padding": padding}
    both = [{"op": "flip"}, crop] if flip_first else [crop, {"op": "flip"}]
    config = _config([{"op": "scale", "factor": [0.3, 2], "draw": draw}, *both])
    wrong = total = 0
    for number in range(40):
        view = weak_view(image, mask, config, generator(0, "test", number))
        assert view.mask is not None
        assert (view.image.shape, view.mask.shape, view.padding.shape) == ((40, 40, 3), (40, 40), (40, 40))
        assert set(np.unique(view.mask)) <= {0, 1, 2, 3, 255}
        np.testing.assert_array_equal(view.mask == 255, view.padding)
        assert (view.image[view.padding] == mean_colour(config)).all()
        told = np.abs(view.image[:, :, None].astype(int) - COLOURS).sum(-1).argmin(-1)
        wrong += (told != view.mask)[~view.padding].sum()
        total += (~view.padding).sum()
    assert wrong / total < 0.03  # edges alone, whose colour is a mixture


def _places(padding: str, after: bool = False) -> set[tuple[int, int]]:
    """Where the first row and column of a picture of 24 x 31 lie in a crop of 40."""
    flip = [{"op": "flip"}]
    crop = [{"op": "crop", "padding": padding}]
    views = _views(_blocks(24, 31)[0], _config(crop + flip if after else flip + crop), 60)
    return {(int(np.argmax(~view.padding.all(1))), int(np.argmax(~view.padding.all(0)))) for view in views}


def test_padding_lies_where_it_is_asked_for() -> None:
    assert _places("centred") == {(8, 4)}, "an odd pixel is right and bottom"
    assert _places("right_bottom") == {(0, 0)}
    assert _places("right_bottom", after=True) == {(0, 0), (0, 9)}, "a flip after the crop moves it"
    places = _places("random")
    assert len(places) > 40
    assert {max(row for row, _ in places), max(column for _, column in places)} <= {*range(17)}


def test_a_larger_picture_is_cut_uniformly_whatever_the_padding() -> None:
    ramp = np.repeat(np.arange(60, dtype=np.uint8)[None, :, None], 60, axis=0).repeat(3, axis=2)
    for padding in ("random", "centred", "right_bottom"):
        lefts = Counter(
            int(view.image[0, 0, 0]) for view in _views(ramp, _config([{"op": "crop", "padding": padding}]), 300)
        )
        assert lefts.keys() == {*range(21)}
        assert max(lefts.values()) < 35


def test_black_padding_stays_black_and_the_mean_colour_the_mean() -> None:
    image = _blocks(24, 30)[0]
    strong = [{"op": "solarize", "threshold": [1, 1]}, {"op": "brightness", "factor": [2, 2]}]
    for colour, wanted in (("black", [0, 0, 0]), ("mean", mean_colour(_config([])).tolist())):
        crop = {"op": "crop", "colour": colour}
        config = _config([crop, {"op": "brightness", "factor": [0.5, 0.5]}], strong=strong)
        view = weak_view(image, None, config, generator(0, "test"))
        made = strong_view(view, config, generator(0, "test", 1))
        assert (view.image[view.padding] == wanted).all()
        assert (made[view.padding] == wanted).all()
        assert not np.array_equal(made, view.image)
        assert view.image.max() <= 125, "colours of the weak view are changed, too"


def test_scales_are_drawn_as_they_are_asked_for() -> None:
    image = np.full((60, 80, 3), 9, np.uint8)
    below = {}
    for draw in ("uniform", "halves", "pixels"):
        sides = _sides(image, {"op": "scale", "factor": [0.5, 2.0], "draw": draw})
        below[draw] = np.mean([width < 80 for _, width in sides])
        assert min(width for _, width in sides) in range(40, 44)
        assert max(width for _, width in sides) in range(155, 161)
        assert all(abs(height - 0.75 * width) <= 1 for height, width in sides)
    assert 0.26 < below["uniform"] < 0.4
    assert 0.43 < below["halves"] < 0.57
    assert 0.26 < below["pixels"] < 0.4


@pytest.mark.parametrize("shape", [(60, 80), (80, 60), (400, 300), (21, 30)])
def test_the_long_side_is_of_so_many_pixels_whatever_the_image(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 9, np.uint8)
    sides = _sides(image, {"op": "long_side", "pixels": [25, 100]}, 600, 101)
    assert {max(one) for one in sides} == {*range(25, 101)}
    tall = shape[0] > shape[1]
    for height, width in sides:
        long, short = (height, width) if tall else (width, height)
        assert short == int(long * min(shape) / max(shape) + 0.5)


def test_a_long_side_by_factor_is_a_whole_number_of_pixels_of_the_image_s_own() -> None:
    """As UniMatch draws it: from int(L / 2) to int(2 L), each as likely."""
    sides = _sides(np.full((11, 15, 3), 9, np.uint8), {"op": "scale", "factor": [0.5, 2.0], "draw": "pixels"}, 1200, 40)
    counts = Counter(width for _, width in sides)
    assert counts.keys() == {*range(7, 31)}
    assert min(counts.values()) > 25


def test_flip_is_as_often_as_its_probability() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, :20] = 255
    for probability, low, high in ((0.0, 0, 0), (0.25, 30, 72), (1.0, 200, 200)):
        config = _config([{"op": "flip", "probability": probability}, WHOLE])
        assert low <= sum(view.image[0, 0, 0] == 0 for view in _views(image, config, 200)) <= high


def test_a_weak_view_is_the_same_whether_or_not_strong_ones_are_made_and_those_differ() -> None:
    image, mask = _blocks(60, 70)
    config = _config([{"op": "scale", "factor": [0.5, 2]}, WHOLE, {"op": "flip"}], strong=[JITTER])
    alone = weak_view(image, mask, config, generator(0, "test", 1))
    rng = generator(0, "test", 1)
    weak = weak_view(image, mask, config, rng)
    before = weak.image.copy()
    first, second = strong_view(weak, config, rng), strong_view(weak, config, rng)
    np.testing.assert_array_equal(alone.image, weak.image)
    np.testing.assert_array_equal(before, weak.image)  # not painted over
    assert not np.array_equal(first, second)
    rng = generator(0, "test", 1)
    again = weak_view(image, mask, config, rng)
    np.testing.assert_array_equal(first, strong_view(again, config, rng))
    unlike = weak_view(image, mask, replace(config, augment=AugmentConfig(weak=[WHOLE])), generator(0, "test", 1))
    assert not np.array_equal(unlike.image, weak.image)


def test_a_strong_list_leaves_the_weak_views_of_all_batches_as_they_are(shapes_config: Config) -> None:
    """Methods without a strong view train on the same pictures, whatever the list; and one process or two load them."""
    split = load_split(shapes_config.data)

    def batches(views: int, workers: int = 0, **augment: Any) -> list[Any]:
        data = replace(shapes_config.data, augment=replace(shapes_config.data.augment, **augment))
        config = replace(shapes_config, data=data, site=replace(shapes_config.site, workers=workers))
        return list(train_loader(config, split, 1, 0, 0, strong=views, unlabeled=True))[:3]

    some = {"strong": [JITTER, {"op": "equalize"}, {"op": "blur", "radius": [1, 2]}], "strong_draws": [1, 2]}
    plain, listed, more = batches(0), batches(0, **some), batches(2, 1, **some)
    again = batches(2, **some)
    for one, other, third, fourth in zip(plain, listed, more, again, strict=True):
        assert torch.equal(one[0].image, other[0].image)
        assert torch.equal(one[0].mask, third[0].mask)
        assert torch.equal(one[1].weak, other[1].weak)
        assert torch.equal(one[1].weak, third[1].weak)
        assert torch.equal(third[1].strong, fourth[1].strong)
        assert not torch.equal(third[1].strong, third[1].strong2)


def test_without_lists_the_draws_are_those_of_before() -> None:
    """Cells of before have no lists: where their crops lie, which are flipped, how dark the strong view is."""
    image = np.zeros((24, 30, 3), np.uint8)
    image[:, :15] = 100
    still = AugmentConfig(
        scale_min=1, scale_max=1, contrast=0, saturation=0, hue=0, grayscale_probability=0, blur_probability=0
    )
    config = DataConfig(name="x", classes=["a"], crop_size=40, augment=still)
    seen = []
    for number in range(6):
        rng = generator(0, "test", number)
        view = weak_view(image, None, config, rng)
        rows, columns = np.nonzero(~view.padding)
        strong = strong_view(view, config, rng)
        bright = int(strong[rows[0], columns[0], 0]) + int(strong[rows[0], columns[-1], 0])
        seen.append((int(rows[0]), int(columns[0]), int(view.image[rows[0], columns[0], 0]), bright))
    assert seen == [
        (0, 4, 100, 100),
        (8, 0, 100, 78),
        (1, 2, 0, 150),
        (11, 2, 100, 82),
        (7, 7, 0, 124),
        (0, 5, 100, 87),
    ]
