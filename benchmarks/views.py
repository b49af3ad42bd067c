"""The data path: our weak and strong views against a plain Pillow pipeline, on one core.

usage: python benchmarks/views.py [crop=513] [width=500] [height=375] [views=40] [rounds=7] [json=FILE]

A view begins at the decoded picture and ends at the normalised tensor of a training step. The plain pipeline resizes,
pads, crops and mirrors a Pillow image, and for the strong view changes brightness, contrast, saturation and hue, grays
and blurs it, as public code does by Pillow and torchvision. Both draw scales of 0.5 to 2 and the probabilities of GTA's
data sets. Rounds go over all rows in turn; seconds are of the process (CPU time), medians and the spread are printed.
`decode` reads the picture from a JPEG file: by Pillow alone, and as the data set does, which also looks for damage.
"""

from __future__ import annotations

import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.options import parse
from gta.config import DataConfig
from gta.data.pictures import read_image
from gta.data.transforms import normalise, strong_view, weak_view

DEFAULTS: dict[str, Any] = {"crop": 513, "width": 500, "height": 375, "views": 40, "rounds": 7, "json": ""}
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
PLAIN, OURS = "Pillow", "ours"


def main(arguments: list[str]) -> None:
    options = parse(arguments, DEFAULTS, __doc__)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    print(
        f"Python {platform.python_version()}, {platform.machine()}, Pillow {Image.__version__}, OpenCV "
        f"{cv2.__version__}; one thread; pictures of {options['width']}x{options['height']}, crop {options['crop']}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(options, Path(folder))
    print("| work | Pillow, a second | ours, a second | smallest to largest | ours / Pillow |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, taken in seconds.items():
        plain, ours = (options["views"] / median(taken[who]) for who in (PLAIN, OURS))
        spread = f"{options['views'] / max(taken[OURS]):.0f} to {options['views'] / min(taken[OURS]):.0f}"
        print(f"| {name} | {plain:.0f} | {ours:.0f} | {spread} | {ours / plain:.2f} |")
    if options["json"]:
        Path(options["json"]).write_text(json.dumps({"options": options, "seconds": seconds}, indent=1))


def measure(options: dict[str, Any], folder: Path) -> dict[str, dict[str, list[float]]]:
    """CPU seconds of `views` views in each round: of each kind of work, by each of the two."""
    image, mask = picture(options["height"], options["width"])
    config = DataConfig(name="made", split="0", classes=["a", "b"], crop_size=options["crop"])
    file = folder / "picture.jpg"
    Image.fromarray(image).save(file, quality=90)
    shown, labels = Image.fromarray(image), Image.fromarray(mask)
    works: dict[str, dict[str, Callable[[int], object]]] = {
        "weak": {
            PLAIN: lambda seed: plain_views(shown, labels, config.crop_size, random.Random(seed), strong=False),
            OURS: lambda seed: our_views(image, mask, config, np.random.default_rng(seed), strong=False),
        },
        "weak and strong": {
            PLAIN: lambda seed: plain_views(shown, labels, config.crop_size, random.Random(seed), strong=True),
            OURS: lambda seed: our_views(image, mask, config, np.random.default_rng(seed), strong=True),
        },
        "decode": {
            PLAIN: lambda _: np.asarray(Image.open(file).convert("RGB")),
            OURS: lambda _: read_image(file, config),
        },
    }
    seconds: dict[str, dict[str, list[float]]] = {name: {PLAIN: [], OURS: []} for name in works}
    for number in range(options["rounds"] + 1):  # the first one warms up
        for name, both in works.items():
            for who, work in both.items():
                began = time.process_time()
                for view in range(options["views"]):
                    work(number * options["views"] + view)
                if number:
                    seconds[name][who].append(time.process_time() - began)
    return seconds


def picture(height: int, width: int, noise: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Smooth colours with noise, as photographs compress, and a mask of two classes."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (height // 25, width // 25, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    image = np.clip(image + generator.integers(-noise, noise + 1, image.shape), 0, 255).astype(np.uint8)
    return image, (image[..., 0] > 127).astype(np.uint8)


def our_views(
    image: np.ndarray, mask: np.ndarray | None, config: DataConfig, rng: np.random.Generator, strong: bool
) -> list[Tensor]:
    weak = weak_view(image, mask, config, rng)
    views = [weak.image, strong_view(weak, config, rng)] if strong else [weak.image]
    return [normalise(view[None], config) for view in views]


def plain_views(image: Image.Image, mask: Image.Image, side: int, rng: random.Random, strong: bool) -> list[Tensor]:
    scale = rng.uniform(0.5, 1.0) if rng.random() < 0.5 else rng.uniform(1.0, 2.0)
    size = (round(image.width * scale), round(image.height * scale))
    image, mask = image.resize(size, Image.Resampling.BILINEAR), mask.resize(size, Image.Resampling.NEAREST)
    missing = (max(0, side - size[0]), max(0, side - size[1]))
    image = ImageOps.expand(image, (0, 0, *missing), fill=(124, 116, 104))
    mask = ImageOps.expand(mask, (0, 0, *missing), fill=255)
    left, top = rng.randint(0, image.width - side), rng.randint(0, image.height - side)
    image, mask = (one.crop((left, top, left + side, top + side)) for one in (image, mask))
    if rng.random() < 0.5:
        image, mask = ImageOps.mirror(image), ImageOps.mirror(mask)
    torch.from_numpy(np.array(mask)).long()
    return [plain_tensor(view) for view in ([image, plain_strong(image, rng)] if strong else [image])]


def plain_strong(image: Image.Image, rng: random.Random) -> Image.Image:
    if rng.random() < 0.8:
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = change(image).enhance(rng.uniform(0.5, 1.5))
        hue, saturation, value = image.convert("HSV").split()
        turned = np.asarray(hue).astype(np.int16) + round(rng.uniform(-0.25, 0.25) * 255)
        image = Image.merge("HSV", (Image.fromarray((turned % 256).astype(np.uint8)), saturation, value)).convert("RGB")
    if rng.random() < 0.2:
        image = ImageOps.grayscale(image).convert("RGB")
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, 2.0))) if rng.random() < 0.5 else image


def plain_tensor(image: Image.Image) -> Tensor:
    values = (np.asarray(image, np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]


if __name__ == "__main__":
    main(sys.argv[1:])
