"""Random generators named by what they are for: no draw depends on a worker, a rank or an earlier draw."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, purpose: str, *key: int) -> np.random.Generator:
    """The generator of one purpose ("labeled augment", say) and one place in the run (iteration, position).

    `key` holds integers >= 0. Equal arguments give equal draws on every machine; any difference gives an
    independent stream. (crc32 and not `hash`, which changes from process to process.)
    """
    return np.random.default_rng((seed % 2**64, zlib.crc32(purpose.encode()), *key))
