"""What the colour operations of a view compute, written from their definitions on numpy arrays: (H, W, 3) uint8 RGB."""

from __future__ import annotations

import colorsys

import numpy as np
from scipy import ndimage


def luma(image: np.ndarray) -> np.ndarray:
    """(H, W) uint8: ITU-R 601-2 in 16-bit fixed point, rounded."""
    red, green, blue = (image[..., channel].astype(np.int64) for channel in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16).astype(np.uint8)


def mixed(other: np.ndarray, image: np.ndarray, factor: float) -> np.ndarray:
    """`other` at factor 0, the image at 1, beyond it above; whole numbers by cutting, held to 0..255."""
    apart = image.astype(np.float32) - other.astype(np.float32)
    return np.clip(np.trunc(other.astype(np.float32) + np.float32(factor) * apart), 0, 255).astype(np.uint8)


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    return mixed(np.zeros_like(image), image, factor)


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    return mixed(np.full_like(image, int(luma(image).mean() + 0.5)), image, factor)


def saturation(image: np.ndarray, factor: float) -> np.ndarray:
    return mixed(grayscale(image), image, factor)


def sharpness(image: np.ndarray, factor: float) -> np.ndarray:
    """Towards a 3x3 mean in which the centre counts five times; the outermost pixels stay."""
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    smooth = np.stack([ndimage.convolve(image[..., c].astype(float), kernel) for c in range(3)], -1)
    degenerate = image.copy()
    degenerate[1:-1, 1:-1] = np.clip(np.floor(smooth + 0.5), 0, 255)[1:-1, 1:-1]
    return mixed(degenerate, image, factor)


def grayscale(image: np.ndarray) -> np.ndarray:
    return np.repeat(luma(image)[..., None], 3, axis=2)


def autocontrast(image: np.ndarray) -> np.ndarray:
    made = image.copy()
    for channel in range(3):
        values = image[..., channel].astype(float)
        low, high = values.min(), values.max()
        if high > low:
            scale = 255.0 / (high - low)
            made[..., channel] = np.clip(np.trunc(values * scale - low * scale), 0, 255)
    return made


def equalize(image: np.ndarray) -> np.ndarray:
    """A value becomes the number of pixels below it, and half a step, over the step; the brightest value counts in no
    step.
    """
    made = image.copy()
    for channel in range(3):
        values = image[..., channel]
        counts = [int((values == value).sum()) for value in range(256)]
        step = (values.size - counts[int(values.max())]) // 255
        if step and len(set(values.ravel().tolist())) > 1:
            below = [sum(counts[:value]) for value in range(256)]
            made[..., channel] = np.array([min(255, (step // 2 + number) // step) for number in below])[values]
    return made


def posterize(image: np.ndarray, bits: int) -> np.ndarray:
    return image // 2 ** (8 - bits) * 2 ** (8 - bits)


def solarize(image: np.ndarray, threshold: int) -> np.ndarray:
    return np.where(image < threshold, image, 255 - image)


def hue(image: np.ndarray, shift: float) -> np.ndarray:
    """In real numbers: 8 bits of hue are some levels of a colour off."""
    made = np.empty(image.shape)
    for place in np.ndindex(image.shape[:2]):
        h, s, v = colorsys.rgb_to_hsv(*(image[place] / 255))
        made[place] = colorsys.hsv_to_rgb((h + int(shift * 255) / 255) % 1, s, v)
    return made * 255


def blur(image: np.ndarray, radius: float) -> np.ndarray:
    """In real numbers."""
    return ndimage.gaussian_filter(image.astype(float), (radius, radius, 0), mode="nearest", truncate=6)
