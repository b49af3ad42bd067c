"""Every random draw by its purpose: what the one seed of a cell becomes, and what else the draw depends on.

No draw depends on a worker, a rank (but a step's dropout) or an earlier draw. Equal arguments give equal draws on every
machine; any difference gives an independent stream. `tests/gta/test_seeds.py` holds the first draws of each purpose:
they must never change.
"""

from __future__ import annotations

import random
import zlib

import numpy as np

# On top of the cell's seed, for its second network: no other cell of a table draws its first network from it. (Not
# 2**32: torch's generator on the CPU looks at the lower 32 bits alone.)
_NEXT_NETWORK = 1_000_000_007
_NEXT_VIEW = 2**32  # on top of the seed, for the CutMix of the second strong view


def weights(seed: int, network: int = 0) -> int:
    """Seed of torch's generator for the initial weights of a method's first, second ... network."""
    return seed + network * _NEXT_NETWORK


def step(seed: int, iteration: int, rank: int) -> int:
    """Seed of torch's generator for what is drawn within a step on one rank (dropout)."""
    return int(np.random.SeedSequence([seed, iteration, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def order(seed: int, stream: str, epoch: int) -> np.random.Generator:
    """For the order of the images of a stream (`labeled`, `unlabeled`) in one epoch."""
    return generator(seed, f"{stream} order", epoch)


def views(seed: int, stream: str, iteration: int, position: int) -> np.random.Generator:
    """For the views of the image at one position of a stream's batch."""
    return generator(seed, f"{stream} views", iteration, position)


def cutmix(seed: int, iteration: int, group: int, view: int = 0) -> random.Random:
    """For the CutMix of one group (its global index) of one iteration; each strong view has coins and boxes of its
    own.
    """
    return random.Random(f"cutmix {seed + view * _NEXT_VIEW} {iteration} {group}")


def shape_picture(seed: int, part: str, number: int) -> np.random.Generator:
    """For one picture of the generated data set; `part` is train or val."""
    return generator(seed, f"shapes {part}", number)


def split(seed: int) -> np.random.Generator:
    """For which images of a split are labeled."""
    return generator(seed, "split")


def generator(seed: int, purpose: str, *key: int) -> np.random.Generator:
    """The generator of one purpose and one place in the run (integers >= 0).

    (crc32 and not `hash`, which changes from process to process.)
    """
    return np.random.default_rng((seed % 2**64, zlib.crc32(purpose.encode()), *key))
