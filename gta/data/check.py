"""Walks a data set: every picture of its lists is decoded, and what is missing or broken is said, all of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from gta.config import MISSING, DataConfig
from gta.data.dataset import SegmentationDataset
from gta.data.listing import image_files, image_path, mask_files, mask_path
from gta.data.spec import IGNORE, LABELED, UNLABELED, check_layout, own_ratio, split_folder, train_path, val_path
from gta.data.splits.known import incomplete, known_name
from gta.data.splits.lists import digest, read_ids
from gta.errors import UserError

AHEAD = 256  # pictures handed to the threads before their turn


@dataclass
class DataReport:
    """What a walk found. `lists`: name -> ids; `pixels` (C + 1,) and `shown` (C + 1,): pixels of each class, and images
    that show it, over all masks; the last entry is what is ignored. `problems`: a sentence each.
    """

    lists: dict[str, list[str]]
    pixels: np.ndarray
    shown: np.ndarray
    images: int = 0
    masks: int = 0
    without_mask: int = 0
    sizes: set[tuple[int, int]] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def check_dataset(config: DataConfig, progress: Callable[[Iterator[None], int], None]) -> DataReport:
    """Decode every image of train and val and every mask there is; sizes, labels and lists are checked too.

    Masks are asked of labeled and validation images (of all training images where there is no split); others may be
    without. `progress` is given an iterator that steps once an image, and their number. Raises UserError where the
    layout is so wrong that there is nothing to walk.
    """
    check_layout(replace(config, split=MISSING))  # split lists may be absent: one problem among others
    problems: list[str] = []
    lists = read_lists(config, problems)
    classes = len(config.classes)
    report = DataReport(lists, np.zeros(classes + 1, np.int64), np.zeros(classes + 1, np.int64), problems=problems)
    images, masks = image_files(config), mask_files(config)
    ids = sorted({item for name in lists for item in lists[name]})
    must = {item for name in ("labeled", "val") for item in lists.get(name, ())}
    must |= set() if "labeled" in lists else set(lists.get("train", ()))
    there = []
    for item in ids:
        if item not in images:
            problems.append(f"the image {image_path(config, item)} is not there.")
        else:
            there.append(item)
            if item not in masks:
                report.without_mask += 1
                if item in must:
                    problems.append(f"the mask {mask_path(config, item)} is not there.")
    progress(_walk(config, there, [item in masks for item in there], report), len(there))
    return report


def read_lists(config: DataConfig, problems: list[str]) -> dict[str, list[str]]:
    """The lists that are there, by name (train, labeled, unlabeled, val); what is wrong with them joins `problems`."""
    paths = {"train": train_path(config), "val": val_path(config)}
    if config.split != MISSING and (own_ratio(config) is None or split_folder(config).is_dir()):
        paths |= {"labeled": split_folder(config) / LABELED, "unlabeled": split_folder(config) / UNLABELED}
    lists: dict[str, list[str]] = {}
    for name, path in paths.items():
        if name == "train" and not path.is_file():
            continue  # only needed to draw lists
        try:
            lists[name] = read_ids(path, config.image_suffix)
        except UserError as error:
            problems.append(str(error))
    for one, other in (("labeled", "unlabeled"), ("labeled", "val"), ("unlabeled", "val"), ("train", "val")):
        if shared := set(lists.get(one, ())) & set(lists.get(other, ())):
            problems.append(f"{len(shared)} images are in both {paths[one]} and {paths[other]}, {min(shared)} for one.")
    if "labeled" in lists and "unlabeled" in lists:
        wrong = incomplete(lists["labeled"], lists["unlabeled"])
        if wrong and known_name(digest(lists["labeled"])):
            problems.append(f"{split_folder(config)}: {wrong}.")
        if not wrong and "train" in lists and {*lists["labeled"], *lists["unlabeled"]} != {*lists["train"]}:
            problems.append(f"{split_folder(config)}: labeled and unlabeled are not together {paths['train']}.")
    return lists


def _walk(config: DataConfig, ids: list[str], masked: list[bool], report: DataReport) -> Iterator[None]:
    dataset = SegmentationDataset(config, ids)
    classes = len(config.classes)

    def look(index: int) -> tuple[tuple[int, int] | None, np.ndarray | None, str]:
        try:
            if not masked[index]:
                return dataset.image(index).shape[:2], None, ""
            image, mask = dataset.labeled(index)
            count = np.bincount(mask.ravel(), minlength=256)
            return image.shape[:2], np.append(count[:classes], count[IGNORE]), ""
        except UserError as error:
            return None, None, str(error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # decoding runs outside of the interpreter's lock
        indices = iter(range(len(ids)))
        waiting = [pool.submit(look, index) for index in islice(indices, AHEAD)]
        while waiting:
            size, count, problem = waiting.pop(0).result()
            waiting += [pool.submit(look, index) for index in islice(indices, 1)]
            if problem:
                report.problems.append(problem)
            else:
                assert size is not None
                report.images += 1
                report.sizes.add(size)
            if count is not None:
                report.masks += 1
                report.pixels += count
                report.shown += count > 0
            yield
