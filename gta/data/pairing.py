"""Which pictures of a folder are images, and which are their masks: by names, places and contents."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from gta.data.masks import ColourMask, read_labels
from gta.errors import UserError

FEW = 5  # files looked at to tell masks from images
LABELS = 100  # more different labels or colours in a mask make it a picture
FOLDERS = 64  # of more folders each is paired with itself and those of names like its own alone
NEAR = 4  # such folders, of either side


@dataclass
class Pairs:
    """Image -> its mask, paths below the folder, whose names are one id + `suffix` and + `ending`; `bare`: images
    without a mask.
    """

    suffix: str
    ending: str
    masks: dict[str, str]
    bare: list[str] = field(default_factory=list)


def paired(folder: Path, names: Sequence[str]) -> Pairs:
    """The pairs among these files below `folder`. Raises UserError where there are none, and says why."""
    looks = _Looks(folder)
    by_top = _of_groups(names, [top(name) for name in names], looks)
    found = max(by_top, key=lambda one: len(one.masks), default=None)
    folders = [PurePosixPath(name).parent.as_posix() for name in names]
    nearer = _joined(_of_groups(names, folders, looks))
    if nearer and (not found or len(nearer.masks) > len(found.masks)):
        found = nearer
    if not found:
        raise UserError(
            f"{folder}: no images and masks can be told by their names and contents: masks are index or colour "
            "pictures whose names begin as their images' do. docs/guides/own-data-set.md says how to write the YAML."
            f"{looks.reason}"
        )
    return found


class _Looks:
    """Whether files look like masks, and of the first that cannot be one, why."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.known: dict[str, tuple[bool | None, str]] = {}
        self.reason = ""

    def masks(self, names: Iterable[str]) -> bool:
        """Whether those of the files that can be read look like masks; one that is broken speaks for nothing."""
        found = [self.mask(name) for name in names]
        if True not in (is_mask for is_mask, _ in found):
            self.reason = self.reason or next((f"\n  {why}" for _, why in found if why), "")
        return all(is_mask is not False for is_mask, _ in found) and any(is_mask for is_mask, _ in found)

    def mask(self, name: str) -> tuple[bool | None, str]:
        """Whether the file does, None where it cannot be read as one; and why."""
        if name not in self.known:
            self.known[name] = self._look(name)
        return self.known[name]

    def _look(self, name: str) -> tuple[bool | None, str]:
        try:
            return len(np.unique(read_labels(self.folder / name))) <= LABELS, ""
        except ColourMask as error:
            return len(error.colours) <= LABELS, ""
        except UserError as error:
            return None, "" if name.lower().endswith((".jpg", ".jpeg")) else str(error)


def top(name: str) -> str:
    """The first folder of a path; `.` where there is none."""
    parts = PurePosixPath(name).parts
    return parts[0] if len(parts) > 1 else "."


def _of_groups(names: Sequence[str], places: Sequence[str], looks: _Looks) -> list[Pairs]:
    """Pairs of the files grouped by place and suffix: each group of images with that of the masks in which most of its
    images have one, of equals the one whose place is named more alike. No file is an image here and a mask there.
    """
    groups: dict[str, dict[str, list[str]]] = {}
    for name, place in zip(names, places, strict=True):
        groups.setdefault(place, {}).setdefault(PurePosixPath(name).suffix, []).append(name)
    near = _near([*groups])
    found = []
    every = [(place, suffix, images) for place, group in groups.items() for suffix, images in group.items()]
    for place, suffix, images in every:
        tried = []
        others = [(other, masks) for other in near[place] for masks in groups[other].values()]
        for other, masks in others:
            if (pairs := _matched(images, suffix, masks)).masks:
                alike = difflib.SequenceMatcher(None, place, other).ratio()
                tried.append((len(pairs.masks), alike, pairs))
        ranked = (pairs for *_, pairs in sorted(tried, key=lambda one: one[:2], reverse=True))
        if best := next((pairs for pairs in ranked if looks.masks([*pairs.masks.values()][:FEW])), None):
            found.append(best)
    # pictures are images rather than what looks like masks itself
    found.sort(key=lambda one: (any(looks.mask(name)[0] for name in [*one.masks][:FEW]), -len(one.masks)))
    taken: set[str] = set()
    kept = []
    for one in found:
        files = {*one.masks, *one.masks.values()}
        if not taken & files:
            taken |= files
            kept.append(one)
    return kept


def _near(places: Sequence[str]) -> Mapping[str, Iterable[str]]:
    """Place -> where the masks of its images may be: anywhere, and of many places where the words of the name, from the
    first on or from the last on, are like its own (7, 7_labels; images/7, masks/7).
    """
    if len(places) <= FOLDERS:
        return dict.fromkeys(places, places)
    words = {place: re.findall(r"[^\W_]+", place) for place in places}
    near: dict[str, dict[str, None]] = {place: {place: None} for place in places}
    for step in (1, -1):
        order = sorted(places, key=lambda place: words[place][::step])
        for at, place in enumerate(order):
            near[place] |= dict.fromkeys(order[max(0, at - NEAR) : at + NEAR + 1])
    return near


def _joined(groups: Sequence[Pairs]) -> Pairs | None:
    """Those whose names have one form, of which there are most; None where there are none."""
    kinds = Counter[tuple[str, str]]()
    for one in groups:
        kinds[one.suffix, one.ending] += len(one.masks)
    if not kinds:
        return None
    form, _ = kinds.most_common(1)[0]
    same = [one for one in groups if (one.suffix, one.ending) == form]
    masks = {image: mask for one in same for image, mask in one.masks.items()}
    used = {*masks, *masks.values()}
    return Pairs(*form, masks, [name for one in same for name in one.bare if name not in used])


def _matched(images: Sequence[str], suffix: str, masks: Sequence[str]) -> Pairs:
    """The images whose names begin a mask's, and what follows there; of several files of one name the first."""
    stems = {PurePosixPath(name).name.removesuffix(suffix): name for name in sorted(images, reverse=True)}
    files = {PurePosixPath(name).name: name for name in sorted(masks, reverse=True)}
    own = suffix if images == masks else None  # an image is not its own mask
    endings = {name[len(stem) :] for stem in sorted(stems)[:FEW] for name in files if name.startswith(stem)} - {own}
    having = {ending: [stem for stem in stems if stem + ending in files] for ending in endings}
    ending = max(having, key=lambda one: (len(having[one]), -len(one), one), default="")
    found = {stems[stem]: files[stem + ending] for stem in sorted(having.get(ending, []))}
    used = {*found, *found.values()}
    return Pairs(suffix, ending, found, [name for name in images if name not in used])
