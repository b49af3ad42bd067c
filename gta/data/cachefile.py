"""A decoded picture or mask as a file that is mapped into memory: a page of what it is, then its pixels as they are."""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HEAD = 4096  # bytes before the pixels: a page of memory
FORMAT = 1
USED_SECONDS = 60.0  # so exactly is known when a file was used last: else each reading would write to the disk


class Damaged(Exception):
    """A file that is not what was written under its name."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was when its content was compared with its digest."""

    inode: int
    changed: int  # nanoseconds


def bytes_of(pixels: np.ndarray) -> int:
    """Bytes of the file of an array."""
    return HEAD + pixels.nbytes


def write(path: Path, key: str, pixels: np.ndarray) -> None:
    """Fill the file at `path`, which is there and as large as `bytes_of` says, with (H, W[, 3]) uint8. Raises
    OSError.
    """
    assert pixels.dtype == np.uint8
    content = np.ascontiguousarray(pixels).data
    said = {"format": FORMAT, "key": key, "shape": pixels.shape, "digest": _digest(key, pixels.shape, content)}
    with open(path, "r+b") as file:
        file.write(json.dumps(said).encode().ljust(HEAD))
        file.write(content)


def read(path: Path, key: str, seen: Seen | None) -> tuple[np.ndarray, Seen]:
    """(H, W[, 3]) uint8, mapped and read only: what was written under this key; and the file as it was.

    Its content is compared with its digest, but for a file that was `seen` before. It stays readable when the file is
    removed, and its disk space is given back when the array goes. Raises OSError, and Damaged for what is no whole file
    of this user with this key and digest.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_uid != os.getuid():
            raise Damaged(f"{path} is no file of this user")
        if state.st_size <= HEAD:
            raise Damaged(f"{path} is cut")
        mapped = mmap.mmap(descriptor, state.st_size, access=mmap.ACCESS_READ)
        _note_use(descriptor, state)
    finally:
        os.close(descriptor)
    shape, digest = _head(path, key, mapped[:HEAD])
    pixels = np.frombuffer(mapped, np.uint8, offset=HEAD)
    if pixels.size != np.prod(shape):
        raise Damaged(f"{path} is cut")
    now = Seen(state.st_ino, state.st_mtime_ns)
    if now != seen and _digest(key, shape, pixels.data) != digest:
        raise Damaged(f"{path} has other pixels than were written")
    return pixels.reshape(shape), now


def _head(path: Path, key: str, page: bytes) -> tuple[tuple[int, ...], str]:
    try:
        said = json.loads(page)
        found = said["format"], said["key"]
        shape, digest = tuple(int(side) for side in said["shape"]), str(said["digest"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise Damaged(f"{path} has no head") from error
    if found != (FORMAT, key) or min(shape, default=0) < 1:
        raise Damaged(f"{path} is another picture's")
    return shape, digest


def _note_use(descriptor: int, state: os.stat_result) -> None:
    """Set the time of the last use, which few disks keep by themselves; that of the content stays."""
    if abs(time.time() - state.st_atime) > USED_SECONDS:
        with contextlib.suppress(OSError):
            os.utime(descriptor, ns=(time.time_ns(), state.st_mtime_ns))


def _digest(key: str, shape: tuple[int, ...], content: memoryview) -> str:
    digest = hashlib.blake2b(f"{key} {list(shape)}\n".encode(), digest_size=16)
    digest.update(content)
    return digest.hexdigest()
