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


def ade20k(root: Path, train: Iterable[str], val: Iterable[str], raw: bool = True) -> None:
    """images and annotations, training and validation in each; masks of 0 to 150, or preprocessed (0 to 149, 255)."""
    images, labels = _originals(root, ".jpg", range(151 if raw else 150), ignored=() if raw else (255,))
    for part, ids in (("training", train), ("validation", val)):
        for folder in ("images", "annotations"):
            (root / folder / part).mkdir(parents=True)
        for number, item in enumerate(ids):
            os.link(images[number % KINDS], root / f"images/{part}/{item}.jpg")
            os.link(labels[number % KINDS], root / f"annotations/{part}/{item}.png")


def coco(root: Path, train: Iterable[str], val: Iterable[str], labels: Iterable[int] = range(81)) -> None:
    """train2017, val2017, and masks of both in one folder: 0 to 80 and 255, or other labels."""
    images, masks = _originals(root, ".jpg", labels)
    (root / "masks").mkdir()
    for part, ids in (("train2017", train), ("val2017", val)):
        (root / part).mkdir()
        for number, item in enumerate(ids):
            os.link(images[number % KINDS], root / f"{part}/{item}.jpg")
            os.link(masks[number % KINDS], root / f"masks/{item}.png")


def _originals(
    root: Path, suffix: str, labels: Iterable[int], ignored: Iterable[int] = (255,)
) -> tuple[list[Path], list[Path]]:
    """Images of 40x30 pixels and masks that hold all of the labels."""
    folder = root / ".originals"
    folder.mkdir(parents=True)
    rng, held = np.random.default_rng(0), [*labels, *ignored]
    made: tuple[list[Path], list[Path]] = [], []
    for number in range(KINDS):
        image = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        mask = np.repeat(np.resize(held, 40 * 15).astype(np.uint8), 2).reshape(30, 40)
        for pictures, picture, ending in zip(made, (image, Image.fromarray(mask)), (suffix, ".png"), strict=True):
            path = folder / f"{'mask' if pictures is made[1] else 'image'}{number}{ending}"
            picture.save(path)
            pictures.append(path)
    return made
