"""What the C library does with freed memory of the host: given back to the system, or kept for who asks next."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# parameters of mallopt, from malloc.h of the GNU C library
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT = 2**27  # bytes of a block
# What is left over of an aligned block may lie between it and the next one: the library then holds up to eight of one
# size before it uses the first again. So no larger blocks are kept, and this much may lie free at the end.
FREE = 2**29
# Where the library's own threshold of a block ends up, which follows what is freed until somebody sets it.
USUAL = 2**25
_entered: list[None] = []  # one while this process is inside `kept`


@contextmanager
def kept(device: torch.device) -> Iterator[None]:
    """While entered, freed blocks of up to 128 MiB stay with this process; at the end they are given back. For work on
    a CPU: on another device, and with another library than GNU's, nothing happens.

    Scores of a batch are larger than what the library keeps by itself: each pass would get its memory anew, page by
    page, which takes longer than to compute them. One inside another changes nothing.
    """
    library = ctypes.CDLL(None)
    if _entered or device.type != "cpu" or not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        yield
        return
    _entered.append(None)
    library.mallopt(MMAP_THRESHOLD, KEPT)
    library.mallopt(TRIM_THRESHOLD, FREE)
    try:
        yield
    finally:
        _entered.clear()
        library.mallopt(MMAP_THRESHOLD, USUAL)
        library.mallopt(TRIM_THRESHOLD, 2 * USUAL)
        library.malloc_trim(ctypes.c_size_t(0))
