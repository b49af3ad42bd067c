"""Operations that change colours: each against its definition, and by which numbers it is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from gta.data.recolour import recoloured, several
from gta.operations import COLOUR
from gta.seeds import generator
from tests.helpers import colours

EXACT: dict[str, tuple[str, Callable[..., np.ndarray], tuple[float, ...]]] = {  # name -> parameter, definition, values
    "brightness": ("factor", colours.brightness, (0.0, 0.05, 0.5, 0.95, 1.0, 1.7)),
    "contrast": ("factor", colours.contrast, (0.0, 0.05, 0.5, 0.95, 1.0, 1.7)),
    "saturation": ("factor", colours.saturation, (0.0, 0.05, 0.5, 0.95, 1.0, 1.7)),
    "sharpness": ("factor", colours.sharpness, (0.0, 0.05, 0.5, 0.95, 1.0, 1.7)),
    "posterize": ("bits", colours.posterize, (1, 4, 7, 8)),
    "solarize": ("threshold", colours.solarize, (0, 1, 128, 255, 256)),
}
PLAIN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda image: image,
    "grayscale": colours.grayscale,
    "autocontrast": colours.autocontrast,
    "equalize": colours.equalize,
}
RAMP = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)


def _picture() -> np.ndarray:
    """Smooth colours and some noise, within 20 and 231."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(30, 41, 3)), (4, 4, 0))
    picture = 125 + 90 * smooth / np.abs(smooth).max() + rng.integers(-15, 16, smooth.shape)
    return np.clip(picture, 20, 231).astype(np.uint8)


def _one(image: np.ndarray, number: int = 0, **operation: Any) -> np.ndarray:
    return recoloured(image, [operation], generator(0, "test", number))


@pytest.mark.parametrize("name", EXACT)
def test_an_operation_of_one_strength_is_what_its_definition_says_to_the_last_bit(name: str) -> None:
    parameter, definition, values = EXACT[name]
    picture = _picture()
    for value in values:
        made = _one(picture, op=name, **{parameter: [value, value]})
        np.testing.assert_array_equal(made, definition(picture, value), err_msg=f"{name} {value}")
        assert made.dtype == np.uint8


@pytest.mark.parametrize("name", PLAIN)
def test_an_operation_without_strength_is_what_its_definition_says(name: str) -> None:
    for picture in (_picture(), _picture()[:, :, ::-1] // 3 + 10, RAMP, np.full((9, 9, 3), 77, np.uint8)):
        np.testing.assert_array_equal(_one(picture, op=name), PLAIN[name](picture))


@pytest.mark.parametrize("shift", [-0.5, -0.25, 0.0, 0.1, 0.5])
def test_hue_is_turned_on_the_circle_and_value_stays(shift: float) -> None:
    picture = _picture()
    made = _one(picture, op="hue", shift=[shift, shift])
    assert np.abs(made - colours.hue(picture, shift)).max() < 7  # a step of 8-bit hue in the strongest colour
    assert np.abs(made - colours.hue(picture, shift)).mean() < 1.5
    assert np.abs(made.max(-1).astype(int) - picture.max(-1)).max() <= 1


@pytest.mark.parametrize(("shift", "steps"), [(-0.5, -127), (-0.25, -63), (0.0, 0), (0.1, 25), (0.4999, 127)])
def test_hue_is_turned_by_whole_steps_of_255(shift: float, steps: int) -> None:
    """As torchvision counts them; on the hue that Pillow gives."""
    hue, saturation, value = Image.fromarray(_picture()).convert("HSV").split()
    moved = Image.fromarray(((np.asarray(hue).astype(int) + steps) % 256).astype(np.uint8))
    wanted = Image.merge("HSV", (moved, saturation, value)).convert("RGB")
    np.testing.assert_array_equal(_one(_picture(), op="hue", shift=[shift, shift]), np.asarray(wanted))


@pytest.mark.parametrize("radius", [0.1, 0.7, 2.0])
def test_blur_is_a_gaussian_of_that_standard_deviation(radius: float) -> None:
    picture = _picture()
    made = _one(picture, op="blur", radius=[radius, radius])
    assert np.abs(made - colours.blur(picture, radius))[4:-4, 4:-4].max() < 3
    others = [np.abs(made - colours.blur(picture, other)).mean() for other in (radius / 2, radius, radius * 1.5)]
    assert others[1] == min(others)


def test_every_colour_operation_is_tested() -> None:
    assert {*EXACT, *PLAIN, "hue", "blur", "jitter"} == set(COLOUR)


def test_strengths_fill_their_ranges_uniformly() -> None:
    """AugSeg's: factors above 0.05 up to 0.95, 4 to 7 bits, thresholds 1 to 255; half of all shifts of hue negative."""
    white = np.full((2, 2, 3), 255, np.uint8)
    factors = np.array([_one(white, n, op="brightness", factor=[0.05, 0.95])[0, 0, 0] / 255 for n in range(600)])
    assert 0.045 < factors.min() < 0.07
    assert 0.93 < factors.max() <= 0.95
    assert abs(factors.mean() - 0.5) < 0.04
    bits = Counter(len(np.unique(_one(RAMP, n, op="posterize", bits=[4, 7]))).bit_length() - 1 for n in range(400))
    assert bits.keys() == {4, 5, 6, 7}
    assert min(bits.values()) > 70
    inverted = [_one(RAMP, n, op="solarize", threshold=[1, 255]) != RAMP for n in range(1500)]
    thresholds = {int(np.argmax(made[..., 0].ravel())) for made in inverted}
    assert (min(thresholds), max(thresholds)) == (1, 255)
    assert len(thresholds) > 245
    red = np.zeros((1, 1, 3), np.uint8) + np.array([200, 0, 0], np.uint8)
    turned = [_one(red, n, op="hue", shift=[-0.5, 0.5])[0, 0] for n in range(400)]
    towards_green = [made[1] > made[2] for made in turned]
    assert 160 < sum(towards_green) < 240
    assert any(made[0] == 0 for made in turned), "as far as cyan"


def test_operations_are_done_in_order_and_each_as_often_as_its_probability() -> None:
    picture = _picture()
    dark, gray = {"op": "brightness", "factor": [0.5, 0.5]}, {"op": "grayscale"}
    made = recoloured(picture, [dark, {"op": "posterize", "bits": [2, 2]}], generator(0, "test"))
    np.testing.assert_array_equal(made, colours.posterize(colours.brightness(picture, 0.5), 2))
    often = sum(np.array_equal(_one(picture, n, **gray, probability=0.2), picture) for n in range(300))
    assert 215 < often < 265
    assert np.array_equal(_one(picture, **gray, probability=0), picture)


def test_jitter_does_what_is_given_in_random_order() -> None:
    picture = _picture()
    ops = {"brightness": [0.6, 0.6], "contrast": [1.4, 1.4], "saturation": [0.3, 0.3]}
    wanted = {
        order: getattr(colours, order[2])(
            getattr(colours, order[1])(getattr(colours, order[0])(picture, ops[order[0]][0]), ops[order[1]][0]),
            ops[order[2]][0],
        )
        for order in [
            ("brightness", "contrast", "saturation"), ("brightness", "saturation", "contrast"),
            ("contrast", "brightness", "saturation"), ("contrast", "saturation", "brightness"),
            ("saturation", "brightness", "contrast"), ("saturation", "contrast", "brightness"),
        ]
    }  # fmt: skip
    found = Counter[tuple[str, ...]]()
    for number in range(120):
        made = _one(picture, number, op="jitter", **ops)
        found.update([next(order for order, image in wanted.items() if np.array_equal(image, made))])
    assert len(found) == len({image.tobytes() for image in wanted.values()}) == 6
    assert min(found.values()) > 8
    alone = _one(picture, op="jitter", hue=[0.2, 0.2])
    np.testing.assert_array_equal(alone, _one(picture, op="hue", shift=[0.2, 0.2]))


def test_several_operations_are_drawn_with_replacement() -> None:
    operations = [{"op": name} for name in COLOUR]
    drawn = [several(operations, [1, 3], generator(0, "test", number)) for number in range(1200)]
    lengths = Counter(map(len, drawn))
    assert lengths.keys() == {1, 2, 3}
    assert min(lengths.values()) > 340
    names = Counter(one["op"] for made in drawn for one in made)
    assert names.keys() == set(COLOUR)
    assert min(names.values()) > 0.75 * max(names.values()) - 30
    assert any(len({one["op"] for one in made}) < len(made) for made in drawn)
    assert len({tuple(one["op"] for one in made) for made in drawn if len(made) == 2}) > 100, "in any order"
    assert several(operations, [], generator(0, "test")) == operations
