"""Operations that change colours alone, as Pillow computes them on 8 bits: what the public codes run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from gta.data.geometry import whole
from gta.operations import OP, parameters

Picture = Image.Image
_ENHANCED = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
    "sharpness": ImageEnhance.Sharpness,
}
_PLAIN: dict[str, Callable[[Picture], Picture]] = {
    "identity": lambda picture: picture,
    "grayscale": lambda picture: picture.convert("L").convert("RGB"),
    "autocontrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
}
_JITTERED = ("brightness", "contrast", "saturation", "hue")


def recoloured(image: np.ndarray, operations: list[dict[str, Any]], rng: Generator) -> np.ndarray:
    """(H, W, 3) uint8 RGB after these operations, in their order; each draws its coin, where it has one, and then its
    strength.
    """
    picture = Image.fromarray(image)
    for operation in operations:
        given = parameters(operation)
        if rng.random() < given.get("probability", 1.0):
            picture = _done(operation[OP], given, picture, rng)
    return np.asarray(picture)


def several(operations: list[dict[str, Any]], draws: list[int], rng: Generator) -> list[dict[str, Any]]:
    """All of the operations where `draws` is empty; else a number of them that is uniform in `draws` (fewest, most),
    each drawn from all.
    """
    if not draws:
        return operations
    number = whole(draws, rng)
    return [operations[whole((0, len(operations) - 1), rng)] for _ in range(number)]


def _done(name: str, given: Mapping[str, Any], picture: Picture, rng: Generator) -> Picture:
    if name in _PLAIN:
        return _PLAIN[name](picture)
    if name == "jitter":
        for place in rng.permutation(len(_JITTERED)):
            if (drawn := given[_JITTERED[place]]) is not None:
                picture = _changed(_JITTERED[place], drawn, picture, rng)
        return picture
    if name == "blur":
        return picture.filter(ImageFilter.GaussianBlur(_between(given["radius"], rng)))
    if name == "posterize":
        return ImageOps.posterize(picture, whole(given["bits"], rng))
    if name == "solarize":
        return ImageOps.solarize(picture, whole(given["threshold"], rng))
    return _changed(name, given["shift" if name == "hue" else "factor"], picture, rng)


def _changed(name: str, drawn: list[float], picture: Picture, rng: Generator) -> Picture:
    """Hue, or one of Pillow's enhancements, by a draw of that range; of a factor the upper end is in the range."""
    if name == "hue":
        return turned(picture, _between(drawn, rng))
    low, high = drawn
    return _ENHANCED[name](picture).enhance(high - (high - low) * rng.random())


def turned(picture: Picture, shift: float) -> Picture:
    """Hue shifted on the 8-bit circle of HSV, by the whole steps in `shift` of 255, as torchvision counts."""
    hue, saturation, value = picture.convert("HSV").split()
    steps = np.uint8(int(shift * 255) % 256)
    moved = Image.fromarray(np.asarray(hue) + steps)  # uint8 wraps around, as the circle does
    return Image.merge("HSV", (moved, saturation, value)).convert("RGB")


def _between(drawn: list[float], rng: Generator) -> float:
    low, high = drawn
    return low + (high - low) * rng.random()
