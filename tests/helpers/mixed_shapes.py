"""A validation list whose pictures have several shapes, and a network whose answer depends on what passes with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from gta.config import Config, DataConfig
from tests.helpers.configs import changed
from tests.helpers.training import make

# (height, width) of each picture, in the order of the list
SHAPES = [(40, 56), (56, 40), (40, 56), (33, 47), (40, 56), (56, 40), (40, 56)]
IDS = [f"mixed_{number}" for number in range(len(SHAPES))]


def mixed(folder: Path, **evaluation: object) -> Config:
    """A config over pictures of noise in `folder`, which are written where they are absent."""
    rng = np.random.default_rng(0)
    for name, shape in zip(IDS, SHAPES, strict=True):
        image, mask = rng.integers(0, 256, (*shape, 3), np.uint8), rng.integers(0, 5, shape, np.uint8)
        mask[:3] = 255
        for kind, array, suffix in (("images", image, "png"), ("masks", mask, "png")):
            path = folder / "mixed" / kind / f"{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                Image.fromarray(array).save(path)
    data = DataConfig(
        name="mixed", root=str(folder / "mixed"), classes=list("abcde"), crop_size=20, split="1/5",
        images="images", masks="masks", image_suffix=".png", mask_suffix=".png",
    )  # fmt: skip
    config = changed(make(folder, "supervised"), {"data": data})
    return changed(config, {f"evaluation.{name}": value for name, value in evaluation.items()})


class OfTheBatch(nn.Module):
    """(N, 3, h, w) -> (N, 5, h, w): of each image less the mean of those that pass with it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.conv(x - 0.5 * x.mean(0, keepdim=True))
        return made


def of_the_batch() -> OfTheBatch:
    torch.manual_seed(0)
    return OfTheBatch()
