"""Which validation images are read and scored together: a matter of the list and the protocol, never of ranks.

With `evaluation.batch` of 1 each image by itself, in the list's order. Else images of one shape, in the list's order,
`evaluation.batch` of them, or fewer where they are large; the batches of most pixels come first, so that what does not
fit in memory shows at once. Whole batches are dealt to the ranks: what passes through a network together, and so every
number, is the same on any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from gta.config import Config
from gta.data.dataset import SegmentationDataset
from gta.data.opened import opened
from gta.scoring import stacked

Batches = tuple[tuple[int, ...], ...]


def batches_of(config: Config, ids: Sequence[str]) -> Batches:
    """Indices into `ids`, a tuple a batch; each index once. Raises UserError for a mask that cannot be read."""
    if config.evaluation.batch == 1:
        return tuple((index,) for index in range(len(ids)))
    shapes: dict[tuple[int, int], list[int]] = {}
    for index, shape in enumerate(_sizes(SegmentationDataset(config.data, list(ids)).mask_paths())):
        shapes.setdefault(shape, []).append(index)
    found: list[tuple[int, tuple[int, ...]]] = []
    for (height, width), indices in shapes.items():
        most = stacked(config, height, width)
        parts = [tuple(indices[first : first + most]) for first in range(0, len(indices), most)]
        found += [(len(part) * height * width, part) for part in parts]
    found.sort(key=lambda one: -one[0])  # stable: of as many pixels, in the order of shapes and of the list
    return tuple(part for _, part in found)


def dealt(batches: Batches, rank: int, world_size: int) -> Batches:
    """The batches of one rank."""
    return batches[rank::world_size]


@lru_cache(maxsize=4)  # a training scores the same list many times
def _sizes(masks: tuple[Path, ...]) -> tuple[tuple[int, int], ...]:
    """(height, width) of each, from the heads of the files. Images have those of their masks, or are refused; an
    image's own may be turned by its EXIF orientation, for which some have to be decoded.
    """
    found = []
    for path in masks:
        with opened(path) as source:
            found.append((source.picture.height, source.picture.width))
    return tuple(found)
