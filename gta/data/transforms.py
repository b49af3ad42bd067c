"""Random views of training images on uint8 arrays: image, mask and padding go through one geometry.

Every draw comes from the generator that is handed in, in a fixed order, the strong view's last: a weak view
is the same whether or not a strong one is asked for.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch

from gta.config import AugmentConfig, DataConfig
from gta.data.geometry import Source, View, drawn_corner, drawn_size, halves, mirrored, padded, start
from gta.data.recolour import recoloured, several
from gta.data.resample import scaled_size
from gta.operations import BLACK, COLOUR, OP, parameters


def weak_view(image: np.ndarray, mask: np.ndarray | None, config: DataConfig, rng: np.random.Generator) -> View:
    """The operations of `augment.weak`; where it is empty random scale, crop and flip, and a brightness factor where
    `weak_brightness` is set.

    image (H, W, 3) uint8, mask (H, W) uint8 or None. The image is resampled once, with the crop
    (`gta.data.geometry.Source.cut`). A picture smaller than the crop is padded: IGNORE, and padding True.
    """
    if config.augment.weak:
        return _weak_of_list(image, mask, config, rng)
    augment, side = config.augment, config.crop_size
    pick_side, pick_scale, pick_flip, pick_top, pick_left, pick_brightness = rng.random(6).tolist()
    height, width = scaled_size(image, halves(augment.scale_min, augment.scale_max, pick_side, pick_scale))
    source = Source(image, mask, (height, width))
    crop, labels, border = source.cut(start(height - side, pick_top), start(width - side, pick_left), side)
    if augment.weak_brightness:
        crop = cv2.convertScaleAbs(crop, alpha=_factor(augment.weak_brightness, pick_brightness))
    view = padded(crop, labels, border, mean_colour(config))
    return mirrored(view) if augment.flip and pick_flip < 0.5 else view


def strong_view(weak: View, config: DataConfig, rng: np.random.Generator) -> np.ndarray:
    """The weak view's image, (S, S, 3) uint8, after the operations of `augment.strong`, or of those that
    `augment.strong_draws` draws from them; where it is empty with colour jitter, grayscale and blur. Padding keeps its
    colour.
    """
    augment = config.augment
    if augment.strong:
        image = recoloured(weak.image, several(augment.strong, augment.strong_draws, rng), rng)
    else:
        image = _strong_by_settings(weak, augment, rng)
    return _repainted(image, weak.padding, config)


def _weak_of_list(image: np.ndarray, mask: np.ndarray | None, config: DataConfig, rng: np.random.Generator) -> View:
    source = Source(image, mask, image.shape[:2])
    view: View | None = None
    for operation in config.augment.weak:
        name, given = operation[OP], parameters(operation)
        if name == "flip":
            if rng.random() < given["probability"]:
                source, view = (source.mirrored(), view) if view is None else (source, mirrored(view))
        elif name == "crop":
            top, left = drawn_corner(source.size, config.crop_size, given["padding"], rng)
            view = padded(*source.cut(top, left, config.crop_size), _padding_colour(config))
        elif name in COLOUR:
            assert view is not None, "colours are changed after the crop"
            view.image = _repainted(recoloured(view.image, [operation], rng), view.padding, config)
        else:
            source.size = drawn_size(name, given, image, rng)
    assert view is not None, "a weak view has a crop"
    return view


def _strong_by_settings(weak: View, augment: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    image = weak.image
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
    return image


def _repainted(image: np.ndarray, padding: np.ndarray, config: DataConfig) -> np.ndarray:
    """The image with the padding in its colour: it shows nothing, and no operation makes something of it."""
    if not padding.any():
        return image
    painted = image.copy()
    painted[padding] = _padding_colour(config)
    return painted


def _padding_colour(config: DataConfig) -> np.ndarray:
    """(3,) uint8."""
    black = any(parameters(one).get("colour") == BLACK for one in config.augment.weak)
    return np.zeros(3, np.uint8) if black else mean_colour(config)


def normalise(images: np.ndarray, config: DataConfig) -> torch.Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32, less the mean, over the standard deviation."""
    return normalised(torch.from_numpy(images), config)


def normalised(images: torch.Tensor, config: DataConfig) -> torch.Tensor:
    """The same of a tensor, on its device; the numbers are the same on each."""
    mean, std = _moments(tuple(config.mean), tuple(config.std), images.device)
    return images.permute(0, 3, 1, 2).contiguous().float().sub_(mean).div_(std)


@lru_cache(maxsize=8)  # made once: to copy them to a device is to wait for it
def _moments(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 3, 1, 1) twice, of values 0 to 255."""
    first, second = (torch.tensor(values).mul_(255).view(1, 3, 1, 1).to(device) for values in (mean, std))
    return first, second


def denormalise(images: torch.Tensor, config: DataConfig) -> np.ndarray:
    """(B, 3, H, W) float32 -> (B, H, W, 3) uint8: what `normalise` was given."""
    mean = torch.tensor(config.mean).mul_(255).view(1, 3, 1, 1)
    std = torch.tensor(config.std).mul_(255).view(1, 3, 1, 1)
    return (images * std + mean).round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def mean_colour(config: DataConfig) -> np.ndarray:
    """(3,) uint8: the padding's colour where nothing else is said, 0 after normalisation to within rounding."""
    return _colour(tuple(config.mean))


@lru_cache(maxsize=8)
def _colour(mean: tuple[float, ...]) -> np.ndarray:
    return np.array([round(value * 255) for value in mean], dtype=np.uint8)


def _factor(width: float, value: float) -> float:
    """A factor in 1 +- width, at least 0."""
    return max(0.0, 1.0 + width * (2 * value - 1))


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
