"""Where the pixels of a training view come from: image, mask and padding at one size, in one crop, in one direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from gta.data.resample import resize, scaled_size
from gta.data.spec import IGNORE
from gta.operations import CENTRED, HALVES, PIXELS, RIGHT_BOTTOM

Size = tuple[int, int]  # height, width


@dataclass
class View:
    """A square crop of side S."""

    image: np.ndarray  # (S, S, 3) uint8 RGB
    mask: np.ndarray | None  # (S, S) uint8, IGNORE where padded; None without labels
    padding: np.ndarray  # (S, S) bool, True where there is no image


@dataclass
class Source:
    """A picture on its way to a view: what of it will be seen is resampled once, with the crop."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    mask: np.ndarray | None  # (H, W) uint8
    size: Size  # at which it is cut

    def mirrored(self) -> Source:
        """Left and right exchanged."""
        return Source(cv2.flip(self.image, 1), None if self.mask is None else cv2.flip(self.mask, 1), self.size)

    def cut(self, top: int, left: int, side: int) -> tuple[np.ndarray, np.ndarray | None, tuple[int, int, int, int]]:
        """The image and the mask inside a square whose corner is at (top, left), below 0 outside of them, and how much
        of the square is left above, below, left and right.

        By area where the image shrinks (antialiased), by one bilinear warp of the crop alone where it grows; the mask
        takes the nearest label.
        """
        height, width = self.size
        rows, columns = min(height, side), min(width, side)
        start, part = (max(top, 0), max(left, 0)), (rows, columns)
        crop = _part(self.image, self.size, start, part, labels=False)
        labels = None if self.mask is None else _part(self.mask, self.size, start, part, labels=True)
        above, before = max(-top, 0), max(-left, 0)
        return crop, labels, (above, side - rows - above, before, side - columns - before)


def padded(crop: np.ndarray, labels: np.ndarray | None, border: tuple[int, int, int, int], colour: np.ndarray) -> View:
    """A view of what was cut; the border has this colour, IGNORE, and padding True."""
    padding: np.ndarray = np.zeros(crop.shape[:2], np.uint8)
    if any(border):
        crop = cv2.copyMakeBorder(crop, *border, cv2.BORDER_CONSTANT, value=colour.tolist())
        padding = cv2.copyMakeBorder(padding, *border, cv2.BORDER_CONSTANT, value=1)
        if labels is not None:
            labels = cv2.copyMakeBorder(labels, *border, cv2.BORDER_CONSTANT, value=IGNORE)
    return View(crop, labels, padding.view(bool))


def mirrored(view: View) -> View:
    """Left and right exchanged, in all of it."""
    labels = None if view.mask is None else cv2.flip(view.mask, 1)
    return View(cv2.flip(view.image, 1), labels, cv2.flip(view.padding.view(np.uint8), 1).view(bool))


def drawn_size(name: str, parameters: Mapping[str, Any], image: np.ndarray, rng: Generator) -> Size:
    """The size that the operation `scale` or `long_side` gives to an image (H, W, 3)."""
    if name == "long_side":
        return _by_long_side(image, parameters["pixels"], rng)
    (low, high), draw = parameters["factor"], parameters["draw"]
    if draw == PIXELS:
        longest = max(image.shape[:2])
        return _by_long_side(image, [max(1, int(longest * end)) for end in (low, high)], rng)
    side, value = rng.random(2).tolist()
    return scaled_size(image, halves(low, high, side, value) if draw == HALVES else low + (high - low) * value)


def drawn_corner(size: Size, side: int, padding: str, rng: Generator) -> tuple[int, int]:
    """(top, left) of a square of that side: uniform in an image that is larger; in one that is smaller by `padding`,
    below 0.
    """
    slacks = [length - side for length in size]
    starts = [start(slack, value) for slack, value in zip(slacks, rng.random(2).tolist(), strict=True)]
    if padding == RIGHT_BOTTOM:
        starts = [max(0, one) for one in starts]
    elif padding == CENTRED:  # an odd pixel is right and bottom
        starts = [one if slack >= 0 else -(-slack // 2) for one, slack in zip(starts, slacks, strict=True)]
    return starts[0], starts[1]


def halves(low: float, high: float, side: float, value: float) -> float:
    """The scale for two uniform draws: half the scales lie below 1 where the range spans 1, so that shrinking
    is as frequent as growing.
    """
    if low < 1 < high:
        low, high = (low, 1.0) if side < 0.5 else (1.0, high)
    return low + (high - low) * value


def start(slack: int, value: float) -> int:
    """Uniform over the whole numbers 0..slack, or slack..0 where the crop is larger than the picture."""
    return min(slack, 0) + int(value * (abs(slack) + 1))


def whole(drawn: Sequence[int], rng: Generator) -> int:
    """Uniform over the whole numbers low..high, both among them."""
    low, high = drawn
    return low + start(high - low, rng.random())


def _by_long_side(image: np.ndarray, pixels: Sequence[int], rng: Generator) -> Size:
    """The long side drawn from a range of pixels; the short one in proportion, half a pixel upwards."""
    (height, width), longest = image.shape[:2], whole(pixels, rng)
    shortest = max(1, int(longest * min(height, width) / max(height, width) + 0.5))
    return (longest, shortest) if height > width else (shortest, longest)


def _part(source: np.ndarray, size: Size, start: tuple[int, int], part: Size, labels: bool) -> np.ndarray:
    """Rows and columns `start` to `start + part` of `source` as it is at `size`."""
    (y, x), (rows, columns) = start, part
    if size[0] <= source.shape[0] and size[1] <= source.shape[1]:
        return resize(source, size, labels)[y : y + rows, x : x + columns]
    step_y, step_x = source.shape[0] / size[0], source.shape[1] / size[1]
    # Output pixel centre (i + 0.5 + start) lies at source coordinate (i + 0.5 + start) * step - 0.5.
    inverse = np.array([[step_x, 0, (x + 0.5) * step_x - 0.5], [0, step_y, (y + 0.5) * step_y - 0.5]])
    flags = (cv2.INTER_NEAREST if labels else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(source, inverse, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
