"""Made-up data sets in the layouts of the real ones, for any ids: a few tiny pictures, linked to under every name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

KINDS = 3  # different pictures of a data set


def voc(root: Path, train: Iterable[str], val: Iterable[str], masks: str = "SegmentationClassAug") -> None:
    """JPEGImages, index masks (0 to 20 and 255), ImageSets/Segmentation/{trainaug,val}.txt."""
    lists = {"trainaug": sorted(train), "val": sorted(val)}
    for name in ("JPEGImages", masks, "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    images, labels = _originals(root, ".jpg", range(21))
    for name, ids in lists.items():
        (root / f"ImageSets/Segmentation/{name}.txt").write_text("".join(f"{item}\n" for item in ids))
        for number, item in enumerate(ids):
            os.link(images[number % KINDS], root / f"JPEGImages/{item}.jpg")
            os.link(labels[number % KINDS], root / f"{masks}/{item}.png")


def cityscapes(root: Path, train: Iterable[str], val: Iterable[str], train_ids: bool = False) -> None:
    """leftImg8bit and gtFine, a folder a city, with labelIds (0 to 33), or with labelTrainIds (0 to 18 and 255)."""
    images, labels = _originals(root, ".png", range(19) if train_ids else range(34))
    kind = "labelTrainIds" if train_ids else "labelIds"
    for part, ids in (("train", train), ("val", val)):
        for number, item in enumerate(ids):
            city = item.split("_")[0]
            for folder in ("leftImg8bit", "gtFine"):
                (root / folder / part / city).mkdir(parents=True, exist_ok=True)
            os.link(images[number % KINDS], root / f"leftImg8bit/{part}/{city}/{item}_leftImg8bit.png")
            os.link(labels[number % KINDS], root / f"gtFine/{part}/{city}/{item}_gtFine_{kind}.png")


def _originals(root: Path, suffix: str, labels: range) -> tuple[list[Path], list[Path]]:
    """Images of 40x30 pixels and masks that hold all of the labels, and 255."""
    folder = root / ".originals"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    made: tuple[list[Path], list[Path]] = [], []
    for number in range(KINDS):
        image = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        mask = np.repeat(np.resize([*labels, 255], 40 * 15).astype(np.uint8), 2).reshape(30, 40)
        for pictures, picture, ending in zip(made, (image, Image.fromarray(mask)), (suffix, ".png"), strict=True):
            path = folder / f"{'mask' if pictures is made[1] else 'image'}{number}{ending}"
            picture.save(path)
            pictures.append(path)
    return made
