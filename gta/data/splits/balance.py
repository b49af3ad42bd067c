"""The order in which training images are chosen to be labeled, so that few labels still show every class."""

from __future__ import annotations

import numpy as np

from gta import progress, seeds
from gta.config import DataConfig
from gta.data.dataset import SegmentationDataset

SHOWN = 0.001  # an image shows a class from this share of its pixels on: a speck teaches nothing


def shown_classes(config: DataConfig, ids: list[str]) -> np.ndarray:
    """(N, C) bool: which image shows which class; a class that is a speck everywhere counts all the same."""
    dataset = SegmentationDataset(config, ids)
    classes = len(config.classes)
    shares = np.zeros((len(ids), classes))
    for i in progress.steps(range(len(ids)), "counting classes in masks", len(ids)):
        mask = dataset.mask(i)
        shares[i] = np.bincount(mask.ravel(), minlength=256)[:classes] / mask.size
    shown = shares >= SHOWN
    specks = ~shown.any(axis=0)
    shown[:, specks] = shares[:, specks] > 0
    return shown


def balanced_order(shown: np.ndarray, seed: int) -> list[int]:
    """An order of all images (indices into `shown`, (N, C) bool) whose every prefix is balanced over classes.

    Greedy: the next image is one that shows the class which the fewest chosen images show (of equally rare
    ones the class with the fewest images altogether, since it has the least choice). Among those images one
    is drawn at random by `seed`: taking the "best" one instead would always take crowded pictures, and nearly
    the same ones for every seed. A class whose images are all chosen is out of the running; images that show
    no class come last.
    """
    images, classes = shown.shape
    shuffled = seeds.split(seed).permutation(images)
    left = np.ones(images, dtype=bool)
    chosen = np.zeros(classes, dtype=np.int64)
    total = shown.sum(axis=0)
    remaining = total.copy()
    order: list[int] = []
    while remaining.any():
        running = np.flatnonzero(remaining)
        rarest = running[np.lexsort((running, total[running], chosen[running]))[0]]
        candidates = shuffled[left[shuffled] & shown[shuffled, rarest]]
        image = int(candidates[0])  # the first in a random order is a random one
        order.append(image)
        left[image] = False
        chosen += shown[image]
        remaining -= shown[image]
    return order + [int(i) for i in shuffled if left[i]]
