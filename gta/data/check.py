"""Walks a data set: every picture of its lists is decoded, and what is missing or broken is said, all of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from gta import progress
from gta.config import MISSING, DataConfig
from gta.data.advice import Advice, Written, advice
from gta.data.conventions import said as kind_of_masks
from gta.data.dataset import SegmentationDataset
from gta.data.extra import is_extra
from gta.data.labels import StrayColour, StrayLabels, of_classes
from gta.data.listing import image_files, image_path, list_ids, mask_files, mask_path
from gta.data.masks import ColourMask
from gta.data.pictures import UndeclaredRange
from gta.data.present import absent
from gta.data.spec import LABELED, UNLABELED, all_labeled, check_layout, own_ratio, split_folder, train_path, val_path
from gta.data.splits.draw import edited
from gta.data.splits.known import incomplete, set_by_number
from gta.data.splits.split import extra_ids
from gta.errors import UserError

AHEAD = 256  # pictures handed to the threads before their turn


@dataclass
class Counted:
    """The masks of a list that could be read: how many, and pixels of each class (C + 1,) and label (256,)."""

    classes: np.ndarray
    written: np.ndarray
    masks: int = 0


@dataclass
class _Look:
    """What came of one image and its mask."""

    size: tuple[int, int] | None = None
    classes: np.ndarray | None = None
    written: np.ndarray | None = None
    turned: bool = False
    error: UserError | None = None


@dataclass
class DataReport:
    """What a walk found. `lists`: name -> ids; `pixels` (C + 1,) and `shown` (C + 1,): pixels of each class, and images
    that show it, over all masks; the last entry is what is ignored. `problems`: a sentence each. `advice`: what the
    files probably are, and how they would be read so. `kind`: of which kind masks are, where a data set has several.
    `turned`: images with an EXIF orientation, which is applied. `left_out`: pictures of data.unlabeled_root that are
    images of the lists, or copies of validation images.
    """

    lists: dict[str, list[str]]
    pixels: np.ndarray
    shown: np.ndarray
    images: int = 0
    masks: int = 0
    without_mask: int = 0
    turned: int = 0
    left_out: int = 0
    by_list: dict[str, Counted] = field(default_factory=dict)
    advice: list[Advice] = field(default_factory=list)
    kind: str = ""
    sizes: set[tuple[int, int]] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def check_dataset(config: DataConfig) -> DataReport:
    """Decode every image of train and val and every mask there is; sizes, labels and lists are checked too.

    Masks are asked of labeled and validation images (of all training images where there is no split); others may be
    without. Raises UserError where the layout is so wrong that there is nothing to walk.
    """
    check_layout(replace(config, split=MISSING))  # split lists may be absent: one problem among others
    problems: list[str] = []
    lists = read_lists(config, problems)
    classes = len(config.classes)
    report = DataReport(lists, np.zeros(classes + 1, np.int64), np.zeros(classes + 1, np.int64), problems=problems)
    images, masks = image_files(config), mask_files(config)
    if config.unlabeled_root:
        listed = {item for ids in lists.values() for item in ids}
        lists["unlabeled_root"] = extra_ids(config, images, listed, lists.get("val", []))
        report.left_out = sum(map(is_extra, images.values())) - len(lists["unlabeled_root"])
    ids = sorted({item for name in lists for item in lists[name]})
    must = {item for name in ("labeled", "val") for item in lists.get(name, ())}
    must |= set() if "labeled" in lists else set(lists.get("train", ()))
    there = []
    for item in ids:
        if item not in images:
            problems.append(images.absent("image", item, image_path(config, item)))
        else:
            there.append(item)
            if item not in masks:
                report.without_mask += 1
                if item in must:
                    problems.append(masks.absent("mask", item, mask_path(config, item)))
    for name in ("labeled", "val") if "labeled" in lists else ("train", "val"):
        if name in lists:
            report.by_list[name] = Counted(np.zeros(classes + 1, np.int64), np.zeros(256, np.int64))
    seen = Written()
    walk = _walk(config, there, [item in masks for item in there], report, seen)
    for _ in progress.steps(walk, "decoding", len(there)):
        pass
    for name, counted in report.by_list.items():
        if counted.masks:
            problems.extend(absent(config, name, counted.masks, counted.classes, counted.written)[:1])
    report.advice = advice(config, seen)
    report.kind = kind_of_masks(config, np.flatnonzero(seen.labels).tolist())
    return report


def read_lists(config: DataConfig, problems: list[str]) -> dict[str, list[str]]:
    """The lists that are there, by name (train, labeled, unlabeled, val); what is wrong with them joins `problems`."""
    paths = {"train": train_path(config), "val": val_path(config)}
    if all_labeled(config):
        paths |= {"labeled": train_path(config)}
        del paths["train"]
    elif config.split != MISSING and (own_ratio(config) is None or split_folder(config).is_dir()):
        paths |= {"labeled": split_folder(config) / LABELED, "unlabeled": split_folder(config) / UNLABELED}
    lists: dict[str, list[str]] = {}
    for name, path in paths.items():
        if name == "train" and not path.is_file():
            continue  # only needed to draw lists
        try:
            lists[name] = list_ids(config, path)
        except UserError as error:
            problems.append(str(error))
    for one, other in (("labeled", "unlabeled"), ("labeled", "val"), ("unlabeled", "val"), ("train", "val")):
        if shared := set(lists.get(one, ())) & set(lists.get(other, ())):
            problems.append(f"{len(shared)} images are in both {paths[one]} and {paths[other]}, {min(shared)} for one.")
    if "labeled" in lists and "unlabeled" in lists:
        problems.extend(filter(None, [edited(config)]))
        of = set_by_number(config, lists["labeled"])
        if wrong := incomplete(lists["labeled"], lists["unlabeled"], of):
            problems.append(f"{split_folder(config)}: {wrong}.")
        if not wrong and "train" in lists and {*lists["labeled"], *lists["unlabeled"]} != {*lists["train"]}:
            problems.append(f"{split_folder(config)}: labeled and unlabeled are not together {paths['train']}.")
    return lists


def _walk(config: DataConfig, ids: list[str], masked: list[bool], report: DataReport, seen: Written) -> Iterator[None]:
    dataset = SegmentationDataset(config, ids)
    members = {name: set(report.lists[name]) for name in report.by_list}

    def look(index: int) -> _Look:
        try:
            image, orientation = dataset.upright(index)
            size, turned = (image.shape[0], image.shape[1]), orientation != 1
            if not masked[index]:
                return _Look(size, turned=turned)
            mask, written = dataset.mask_as_written(index)
            dataset.check_sizes(index, image, mask)
            return _Look(size, of_classes(mask, len(config.classes)), written, turned)
        except UserError as error:
            return _Look(error=error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # decoding runs outside of the interpreter's lock
        indices = iter(range(len(ids)))
        waiting = [(index, pool.submit(look, index)) for index in islice(indices, AHEAD)]
        while waiting:
            index, future = waiting.pop(0)
            found = future.result()
            waiting += [(next_index, pool.submit(look, next_index)) for next_index in islice(indices, 1)]
            if found.error:
                report.problems.append(str(found.error))
                _note(found.error, seen)
            else:
                assert found.size is not None
                report.images += 1
                report.turned += found.turned
                report.sizes.add(found.size)
            if found.classes is not None and found.written is not None:
                report.masks += 1
                report.pixels += found.classes
                report.shown += found.classes > 0
                seen.labels += found.written
                for name in (name for name, wanted in members.items() if ids[index] in wanted):
                    report.by_list[name].masks += 1
                    report.by_list[name].classes += found.classes
                    report.by_list[name].written += found.written
            yield


def _note(error: UserError, seen: Written) -> None:
    """Keeps what the file that could not be read does hold."""
    if isinstance(error, UndeclaredRange):
        seen.ranges.append((error.low, error.high))
    elif isinstance(error, StrayLabels):
        seen.labels += error.written
    elif isinstance(error, ColourMask | StrayColour):
        seen.colours |= {tuple(colour) for colour in error.colours.tolist()}
