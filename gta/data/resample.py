"""Pictures and masks at another size: antialiased where they shrink, and labels never mixed."""

from __future__ import annotations

import cv2
import numpy as np


def resize(array: np.ndarray, size: tuple[int, int], labels: bool) -> np.ndarray:
    """`array` (H, W[, 3]) uint8 at `size` (height, width): by area where it shrinks, else bilinear; labels
    nearest.
    """
    if size == array.shape[:2]:
        return array
    shrinks = size[0] <= array.shape[0] and size[1] <= array.shape[1]
    # INTER_NEAREST takes a block's first pixel, half a pixel off the image; the EXACT one takes its centre.
    how = cv2.INTER_NEAREST_EXACT if labels else cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(array, (size[1], size[0]), interpolation=how)


def rescale(array: np.ndarray, scale: float, labels: bool) -> np.ndarray:
    """`array` at `scale` of its size, for `input_scale`: the same in training and validation."""
    return resize(array, scaled_size(array, scale), labels)


def scaled_size(array: np.ndarray, scale: float) -> tuple[int, int]:
    """(height, width) at `scale`, at least one pixel each."""
    return max(1, round(array.shape[0] * scale)), max(1, round(array.shape[1] * scale))
