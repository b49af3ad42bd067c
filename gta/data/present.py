"""Whether the masks that a cell trains and is scored on show its classes at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TypeVar

import numpy as np

from gta import progress
from gta.config import CROP, CROP_BACKGROUND, Config, DataConfig, EvaluationConfig
from gta.data.advice import of_labels
from gta.data.conventions import TOLD_BY, asked_for
from gta.data.dataset import SegmentationDataset
from gta.data.lists import digest
from gta.data.spec import IGNORE
from gta.data.splits.split import Split
from gta.errors import UserError

AT_ONCE = 32  # masks that are read before it is asked whether they were enough

T = TypeVar("T")
_passed: set[tuple[str, ...]] = set()  # what this process looked at already: cells share their lists


class ClassAbsent(UserError):
    """The masks of a list lack a class, or have nothing to score."""


def check_scored(config: Config, split: Split) -> None:
    """`check_present` of what a cell trains and is scored on."""
    check_present(config.data, split, config.schedule.eval_images, scored_crop(config.evaluation))


def scored_crop(evaluation: EvaluationConfig) -> int:
    """Side of the center crop that is scored; 0: all of an image is."""
    return evaluation.crop if evaluation.protocol in (CROP, CROP_BACKGROUND) else 0


def check_present(config: DataConfig, split: Split, scored: int = 0, crop: int = 0) -> None:
    """Raise ClassAbsent where no labeled or no validation mask shows a pixel of some class, or where the `scored` first
    validation masks (0: all) show no labeled pixel at all in their center crops of side `crop` (0: in all of them), so
    that there is nothing to score; UserError where the first image of a list, or a mask, cannot be read.

    Masks are read, in a random order, until every class was seen: some dozens of them as a rule, the whole list only
    where a class is rare or absent. `data.allow_absent_classes` asks for one labeled pixel a list. Of a data set whose
    masks are of several kinds, `TOLD_BY` masks a list are read, since most labels of one kind are valid in the other.
    """
    key = str(asdict(config))
    for name, ids in (("labeled", split.labeled), ("unlabeled", split.unlabeled), ("validation", split.val)):
        if (looked := (key, name, digest(ids))) not in _passed:
            dataset = SegmentationDataset(config, ids if name != "unlabeled" else ids[:1])
            dataset.image(0)
            if name != "unlabeled":
                _check(name, dataset)
            _passed.add(looked)
    if scored or crop:
        check_any_labeled(config, split.val[: scored or None], crop)


def check_any_labeled(config: DataConfig, ids: list[str], crop: int = 0) -> None:
    """Raise ClassAbsent where the masks of these images, of which a network is to be scored, show no class at all in
    their center crops of side `crop` (0: in all of them); UserError where one cannot be read.
    """
    if not _any_labeled(SegmentationDataset(config, ids), crop):
        where = f" in their center crops of {crop} pixels (evaluation.crop)" if crop else ""
        raise ClassAbsent(
            f"The {len(ids)} validation masks that are scored hold no labeled pixel{where}: score more of them "
            "(schedule.eval_images), or masks that have labels."
        )


def _any_labeled(dataset: SegmentationDataset, crop: int) -> bool:
    """Whether a mask of these shows a class in its center crop of that side (0: anywhere)."""

    def labeled(index: int) -> bool:
        mask = dataset.mask(index)
        if crop:
            top, left = (max(0, side - crop) // 2 for side in mask.shape)
            mask = mask[top : top + crop, left : left + crop]
        return bool((mask != IGNORE).any())

    return any(_in_threads(labeled, range(len(dataset))))


def _check(name: str, dataset: SegmentationDataset) -> None:
    config = dataset.config
    classes = np.zeros(len(config.classes) + 1, np.int64)
    written = np.zeros(256, np.int64)
    order = np.random.default_rng(0).permutation(len(dataset))
    least = min(TOLD_BY, len(dataset)) if asked_for(config) else 1
    for looked, (labels, count) in enumerate(_in_threads(dataset.counted, order.tolist()), start=1):
        classes += count
        written += labels
        if looked < least:
            continue
        if classes[:-1].any() if config.allow_absent_classes else classes[:-1].all():
            return
    raise ClassAbsent("\n  ".join(absent(config, name, len(dataset), classes, written)))


def _in_threads(look: Callable[[int], T], places: Sequence[int]) -> Iterator[T]:
    threads = min(8, os.cpu_count() or 1)  # decoding runs outside of the interpreter's lock
    with ThreadPoolExecutor(threads) as pool, progress.work("looking for classes in masks", len(places)) as work:
        for start in range(0, len(places), AT_ONCE):
            progress.tick()
            for found in pool.map(look, places[start : start + AT_ONCE]):
                work.advance()
                yield found


def absent(config: DataConfig, name: str, masks: int, classes: np.ndarray, written: np.ndarray) -> list[str]:
    """What is wrong with `masks` masks of the list `name` that hold `classes` (C + 1,) pixels of each class, in
    sentences, and what to do; nothing where they show every class.
    """
    missing = [f"{place} ({config.classes[place]})" for place in np.flatnonzero(classes[:-1] == 0)]
    nothing = len(missing) == len(config.classes)
    if not missing or (config.allow_absent_classes and not nothing):
        return []
    which = "class " + missing[0] if len(missing) == 1 else f"{len(missing)} classes: {', '.join(missing)}"
    said = [f"The {masks} {name} masks show no pixel of {'any class' if nothing else which}."]
    found = of_labels(config, written)
    if found:
        said.append(str(found))
    elif not nothing:
        said.append("Where that is meant, data.allow_absent_classes=true trains all the same.")
    return said
