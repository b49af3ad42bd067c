"""What the last evaluation leaves beside the numbers: confusion matrix, and a few pictures.

    artifacts/confusion.json       {"network", "iteration", "classes": [name], "matrix": [[pixels]]}, rows truth,
                                   columns prediction; ignored pixels and padding are in none
    artifacts/images/0_ID.png      image | truth | prediction | error, side by side: of the first validation images

All of them are of the headline network. In the error panel white is right, red is wrong, gray is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from gta.cellfolder import CellFolder
from gta.config import DataConfig
from gta.data.spec import IGNORE
from gta.files import replacing, write_json
from gta.train.predictions import palette

PANEL_WIDTH = 512  # pixels; a wider picture is scaled down to it
RIGHT, WRONG, IGNORED = (255, 255, 255), (204, 0, 0), (128, 128, 128)


@dataclass(frozen=True)
class Example:
    """One scored validation image: `image` (h, w, 3) uint8 RGB, `truth` and `prediction` (H, W) uint8 class indices.

    The image has the size at which the network saw it, the masks that of the annotation; 255 in `truth` is ignored.
    """

    index: int
    name: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


def write_artifacts(
    folder: CellFolder,
    network: str,
    iteration: int,
    matrix: Tensor,
    examples: Iterable[Example],
    config: DataConfig,
) -> None:
    """Write the artifacts of one evaluation of a cell, each file atomically, in place of older ones.

    matrix (C, C) int64, rows truth.
    """
    images = folder.artifacts_folder / "images"
    written = set()
    for example in examples:
        name = re.sub(r"[^\w.-]", "_", example.name)  # an id may hold a slash
        path = images / f"{example.index}_{name}.png"
        with replacing(path) as temporary:
            panels(example, config).save(temporary, format="PNG")
        written.add(path)
    for old in set(images.glob("*.png")) - written:
        old.unlink()
    about = {"network": network, "iteration": iteration, "classes": list(config.classes)}
    write_json(folder.artifacts_folder / "confusion.json", {**about, "matrix": matrix.tolist()})


def panels(example: Example, config: DataConfig) -> Image.Image:
    """image | truth | prediction | error, four panels of one size."""
    height, width = example.truth.shape
    factor = min(1.0, PANEL_WIDTH / width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    colours = palette(config)
    error = np.full((height, width, 3), WRONG, dtype=np.uint8)
    error[example.truth == example.prediction] = RIGHT
    error[example.truth == IGNORE] = IGNORED
    masks = [colours[example.truth], colours[example.prediction], error]
    picture = Image.new("RGB", (4 * size[0], size[1]))
    picture.paste(Image.fromarray(example.image).resize(size, Image.Resampling.BILINEAR), (0, 0))
    for place, mask in enumerate(masks, start=1):
        picture.paste(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST), (place * size[0], 0))
    return picture
