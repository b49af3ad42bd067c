"""Every random draw by its purpose: what the one seed of a cell becomes, and what else the draw depends on.

No draw of this program depends on a worker, a rank or an earlier draw. Equal arguments give equal draws on every
machine; any difference gives an independent stream. `tests/gta/test_seeds.py` holds the first draws of each purpose:
they must never change.
"""

from __future__ import annotations

import random
import zlib

import numpy as np
from numpy.random import Generator

# On top of the cell's seed, for its second network: no other cell of a table draws its first network from it. (Not
# 2**32: torch's generator on the CPU looks at the lower 32 bits alone.)
_NEXT_NETWORK = 1_000_000_007
_NEXT_ORDER = 2**40  # on top of the seed, for the batches of a cell that goes on with another order of them
_NEXT_VIEW = 2**32  # on top of the seed, for the CutMix of the second strong view


def weights(seed: int, network: int = 0) -> int:
    """Seed of torch's generator for the initial weights of a method's first, second ... network."""
    return seed + network * _NEXT_NETWORK


def step(seed: int, iteration: int, rank: int) -> int:
    """Seed of torch's generator within a step on one rank: for a method of one's own that draws from it. Nothing here
    does, since that depends on the number of ranks.
    """
    return int(np.random.SeedSequence([seed, iteration, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def batches(seed: int, order: int) -> int:
    """The seed of `order` and `views`: that of the cell, or (order 1, 2 ...) another, for a cell that diverged and goes
    on with other batches because a person asked for that.
    """
    return seed + order * _NEXT_ORDER


def order(seed: int, stream: str, epoch: int) -> Generator:
    """For the order of the images of a stream (`labeled`, `unlabeled`) in one epoch."""
    return generator(seed, f"{stream} order", epoch)


def views(seed: int, stream: str, iteration: int, position: int) -> Generator:
    """For the views of the image at one position of a stream's batch."""
    return generator(seed, f"{stream} views", iteration, position)


def cutmix(seed: int, iteration: int, group: int, view: int = 0) -> random.Random:
    """For the CutMix of one group (its global index) of one iteration; each strong view has coins and boxes of its
    own.
    """
    return random.Random(f"cutmix {seed + view * _NEXT_VIEW} {iteration} {group}")


def label_injection(seed: int, iteration: int, group: int) -> Generator:
    """For AugSeg's mixing of one group (its global index) of one iteration: partners, boxes and coins."""
    return generator(seed, "label injection", iteration, group)


def dropout(seed: int, network: str, iteration: int, number: int) -> Generator:
    """For the dropout of one pass in training mode, the `number`-th (from 0) in a step, of the network of that name."""
    return generator(seed, f"dropout {network}", iteration, number)


def contrast(seed: int, iteration: int, group: int, label: int) -> Generator:
    """For the anchors and negatives of one class in the contrast of one group (its global index) of one iteration."""
    return generator(seed, "contrast", iteration, group, label)


def shape_picture(seed: int, part: str, number: int) -> Generator:
    """For one picture of the generated data set; `part` is train or val."""
    return generator(seed, f"shapes {part}", number)


def split(seed: int) -> Generator:
    """For which images of a split are labeled."""
    return generator(seed, "split")


def generator(seed: int, purpose: str, *key: int) -> Generator:
    """The generator of one purpose and one place in the run (integers >= 0).

    (crc32 and not `hash`, which changes from process to process.)
    """
    return np.random.default_rng((seed % 2**64, zlib.crc32(purpose.encode()), *key))
