"""The embedded data set: pictures of coloured shapes whose class is told by hue, the same on every machine.

It exists so that the whole machinery runs on any machine without a download. It is not tuned to favour a
method.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from gta import progress, seeds
from gta.config import ShapesConfig
from gta.data.spec import check_options

CLASSES = ["background", "red", "green", "cyan", "violet"]  # in this order around the colour circle
PALETTE = [(0, 0, 0), (230, 40, 40), (120, 220, 40), (40, 210, 220), (140, 40, 230)]
HUES = [0.0, 0.25, 0.5, 0.75]  # of classes 1 to 4, as fractions of the colour circle
RADIUS = (0.16, 0.30)  # of the picture's side
SATURATION, VALUE = (0.45, 0.75), (0.45, 0.75)  # of an object, before light and noise
TRIES = 60  # places tried for an object that must not overlap another


def generate(options: ShapesConfig, root: Path) -> None:
    """Write `options.train` + `options.val` pictures below `root` (made where absent) in the VOC layout.

    JPEGImages/ID.jpg (quality 95, 4:4:4, since hue is the class), SegmentationClass/ID.png (palette, index 0
    to 4), ImageSets/Segmentation/{train,val}.txt. Every picture is drawn from its own generator, keyed by
    (seed, its number), so that more pictures leave the first ones as they were (validation pictures have
    numbers of their own). Raises UserError for options that make no picture.
    """
    check_options(options)
    folders = {name: root / name for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    palette = [channel for colour in PALETTE for channel in colour]
    for part, count in (("train", options.train), ("val", options.val)):
        ids = [f"{part}_{number:05d}" for number in range(count)]
        for number, item in progress.steps(enumerate(ids), f"drawing {part} pictures", count):
            image, mask = picture(options, seeds.shape_picture(options.seed, part, number))
            Image.fromarray(image).save(folders["JPEGImages"] / f"{item}.jpg", quality=95, subsampling=0)
            indexed = Image.fromarray(mask)
            indexed.putpalette(palette)
            indexed.save(folders["SegmentationClass"] / f"{item}.png")
        (folders["ImageSets/Segmentation"] / f"{part}.txt").write_text("".join(f"{i}\n" for i in ids), encoding="utf-8")


def picture(options: ShapesConfig, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One picture: image (size, size, 3) uint8 RGB, mask (size, size) uint8 (0 background, 1 to 4 by hue)."""
    side = options.size
    mask = np.zeros((side, side), np.uint8)
    hsv = np.empty((side, side, 3), np.float32)
    hsv[:] = rng.random(), options.background_saturation, rng.uniform(*VALUE)
    for _ in range(int(rng.integers(options.min_objects, options.max_objects + 1))):
        label = int(rng.integers(1, len(CLASSES)))
        hue = (HUES[label - 1] + rng.normal(0, options.hue_spread)) % 1.0
        colour = hue, rng.uniform(*SATURATION), rng.uniform(*VALUE)
        inside = _place(mask, rng)
        if inside is not None:  # a crowded picture simply has fewer objects
            mask[inside] = label
            hsv[inside] = colour
    hsv[..., 0] *= 360  # OpenCV's float hue is in degrees
    rgb: np.ndarray = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    rgb *= _light(side, options.illumination, rng)[..., None]
    rgb += rng.normal(0, options.noise, rgb.shape).astype(np.float32)
    return (np.clip(rgb, 0, 1) * 255).round().astype(np.uint8), mask


def _place(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """(size, size) bool: a disc, square or triangle of random size and angle on free ground; None where none
    fits.
    """
    side = len(mask)
    kind = int(rng.integers(3))
    rows, columns = np.mgrid[0.5:side, 0.5:side].astype(np.float32)
    for _ in range(TRIES):
        radius = side * rng.uniform(*RADIUS)
        y, x = rng.uniform(0.5 * radius, side - 0.5 * radius, 2)
        angle = rng.uniform(0, 2 * np.pi)
        inside = _shape(kind, rows - y, columns - x, radius, angle)
        if not mask[inside].any():
            return inside
    return None


def _shape(kind: int, y: np.ndarray, x: np.ndarray, radius: float, angle: float) -> np.ndarray:
    if kind == 0:
        return x * x + y * y <= radius * radius
    corners = 4 if kind == 1 else 3
    # A regular polygon is where the coordinate along each side's normal is at most the inner radius.
    normals = angle + 2 * np.pi * np.arange(corners) / corners
    inner = radius * np.cos(np.pi / corners)
    return np.all([x * np.cos(n) + y * np.sin(n) <= inner for n in normals], axis=0)


def _light(side: int, strength: float, rng: np.random.Generator) -> np.ndarray:
    """(side, side) float32: a linear gradient in a random direction, 1 +- strength / 2 from edge to edge."""
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.linspace(-0.5, 0.5, side, dtype=np.float32)
    slope = (np.cos(angle) * ramp[None, :] + np.sin(angle) * ramp[:, None]) / (abs(np.cos(angle)) + abs(np.sin(angle)))
    return (1 + strength * slope).astype(np.float32)
