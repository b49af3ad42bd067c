"""Random views of training images on uint8 arrays (OpenCV): image, mask and padding go through one geometry.

Every draw comes from the generator that is handed in, in a fixed order, the strong view's last: a weak view
is the same whether or not a strong one is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch

from gta.config import AugmentConfig, DataConfig
from gta.data.resample import resize, scaled_size
from gta.data.spec import IGNORE


@dataclass
class View:
    """A square crop of side S."""

    image: np.ndarray  # (S, S, 3) uint8 RGB
    mask: np.ndarray | None  # (S, S) uint8, IGNORE where padded; None without labels
    padding: np.ndarray  # (S, S) bool, True where there is no image


def weak_view(image: np.ndarray, mask: np.ndarray | None, config: DataConfig, rng: np.random.Generator) -> View:
    """Random scale, crop and flip, and a brightness factor where `weak_brightness` is set.

    image (H, W, 3) uint8, mask (H, W) uint8 or None. The image is resampled once: by area where it shrinks
    (antialiased), by one bilinear warp of the crop alone where it grows. The mask takes the nearest label. A
    picture smaller than the crop is placed at random; what is left gets the mean colour, IGNORE, and padding
    True.
    """
    augment, side = config.augment, config.crop_size
    pick_side, pick_scale, pick_flip, pick_top, pick_left, pick_brightness = rng.random(6).tolist()
    scale = _between(augment, pick_side, pick_scale)
    height, width = scaled_size(image, scale)
    # Where the crop starts in the scaled picture; below 0 the picture starts inside the crop.
    top, left = _start(height - side, pick_top), _start(width - side, pick_left)
    rows, columns = min(height, side), min(width, side)
    start, part = (max(top, 0), max(left, 0)), (rows, columns)
    crop = _part(image, (height, width), start, part, labels=False)
    labels = None if mask is None else _part(mask, (height, width), start, part, labels=True)
    if augment.weak_brightness:
        crop = cv2.convertScaleAbs(crop, alpha=_factor(augment.weak_brightness, pick_brightness))
    padding: np.ndarray = np.zeros((side, side), np.uint8)
    if part != (side, side):
        above, before = max(-top, 0), max(-left, 0)
        border = (above, side - rows - above, before, side - columns - before)
        crop = cv2.copyMakeBorder(crop, *border, cv2.BORDER_CONSTANT, value=mean_colour(config).tolist())
        padding = cv2.copyMakeBorder(padding[:rows, :columns], *border, cv2.BORDER_CONSTANT, value=1)
        if labels is not None:
            labels = cv2.copyMakeBorder(labels, *border, cv2.BORDER_CONSTANT, value=IGNORE)
    if augment.flip and pick_flip < 0.5:
        crop, padding = cv2.flip(crop, 1), cv2.flip(padding, 1)
        labels = None if labels is None else cv2.flip(labels, 1)
    return View(crop, labels, padding.view(bool))


def strong_view(weak: View, config: DataConfig, rng: np.random.Generator) -> np.ndarray:
    """The weak view's image with colour jitter, grayscale and blur, (S, S, 3) uint8; padding keeps the mean
    colour.
    """
    augment, image = config.augment, weak.image
    jitter, brightness, contrast, saturation, hue, gray, blur, sigma = rng.random(8).tolist()
    if jitter < augment.jitter_probability:
        factors = (
            _factor(augment.brightness, brightness),
            _factor(augment.contrast, contrast),
            _factor(augment.saturation, saturation),
        )
        image = _jitter(image, weak.padding, factors, hue=augment.hue * (2 * hue - 1))
    if gray < augment.grayscale_probability:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if blur < augment.blur_probability and augment.blur_sigma_max > 0:
        low = min(0.1, augment.blur_sigma_max)
        image = cv2.GaussianBlur(image, (0, 0), low + (augment.blur_sigma_max - low) * sigma)
    if weak.padding.any():
        image = np.where(weak.padding[..., None], mean_colour(config), image)
    return image


def normalise(images: np.ndarray, config: DataConfig) -> torch.Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32, less the mean, over the standard deviation."""
    mean = torch.tensor(config.mean).mul_(255).view(1, 3, 1, 1)
    std = torch.tensor(config.std).mul_(255).view(1, 3, 1, 1)
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float().sub_(mean).div_(std)


def denormalise(images: torch.Tensor, config: DataConfig) -> np.ndarray:
    """(B, 3, H, W) float32 -> (B, H, W, 3) uint8: what `normalise` was given."""
    mean = torch.tensor(config.mean).mul_(255).view(1, 3, 1, 1)
    std = torch.tensor(config.std).mul_(255).view(1, 3, 1, 1)
    return (images * std + mean).round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def mean_colour(config: DataConfig) -> np.ndarray:
    """(3,) uint8: the padding's colour, 0 after normalisation to within rounding."""
    return _colour(tuple(config.mean))


@lru_cache(maxsize=8)
def _colour(mean: tuple[float, ...]) -> np.ndarray:
    return np.array([round(value * 255) for value in mean], dtype=np.uint8)


def _between(augment: AugmentConfig, side: float, value: float) -> float:
    """The scale for two uniform draws: half the scales lie below 1 where the range spans 1, so that shrinking
    is as frequent as growing.
    """
    low, high = augment.scale_min, augment.scale_max
    if low < 1 < high:
        low, high = (low, 1.0) if side < 0.5 else (1.0, high)
    return low + (high - low) * value


def _start(slack: int, value: float) -> int:
    """Uniform over the whole numbers 0..slack, or slack..0 where the crop is larger than the picture."""
    return min(slack, 0) + int(value * (abs(slack) + 1))


def _factor(width: float, value: float) -> float:
    """A factor in 1 +- width, at least 0."""
    return max(0.0, 1.0 + width * (2 * value - 1))


def _part(
    source: np.ndarray, size: tuple[int, int], start: tuple[int, int], part: tuple[int, int], labels: bool
) -> np.ndarray:
    """Rows and columns `start` to `start + part` of `source` as it is at `size`."""
    (y, x), (rows, columns) = start, part
    if size[0] <= source.shape[0] and size[1] <= source.shape[1]:
        return resize(source, size, labels)[y : y + rows, x : x + columns]
    step_y, step_x = source.shape[0] / size[0], source.shape[1] / size[1]
    # Output pixel centre (i + 0.5 + start) lies at source coordinate (i + 0.5 + start) * step - 0.5.
    inverse = np.array([[step_x, 0, (x + 0.5) * step_x - 0.5], [0, step_y, (y + 0.5) * step_y - 0.5]])
    flags = (cv2.INTER_NEAREST if labels else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(source, inverse, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _jitter(image: np.ndarray, padding: np.ndarray, factors: tuple[float, float, float], hue: float) -> np.ndarray:
    """Brightness, contrast (about the mean gray of the picture, without padding), saturation, hue shift."""
    brightness, contrast, saturation = factors
    if brightness != 1:
        image = cv2.convertScaleAbs(image, alpha=brightness)
    if contrast != 1:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        centre = cv2.mean(gray, mask=(~padding).astype(np.uint8))[0]
        # Not convertScaleAbs: it would mirror values below 0 instead of cutting them off.
        table = np.clip(np.rint(contrast * np.arange(256) + (1 - contrast) * centre), 0, 255).astype(np.uint8)
        image = cv2.LUT(image, table)
    if saturation != 1:
        gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, saturation, gray, 1 - saturation, 0)
    if hue != 0:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
        hsv[..., 0] += np.uint8(round(hue * 256) % 256)  # uint8 wraps around as the colour circle does
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
    return image
