"""A file that can be read to its end: no FIFO or device, which would be waited for without one."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from gta.errors import UserError

THREADS = 16  # that look at files, or read small ones: over a network they wait more than they work
KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))


def regular(path: Path) -> BinaryIO:
    """The file at `path`, to be read. Raises OSError, and UserError for what is no regular file: a FIFO or a device
    would be waited for without end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            state_of(path)
        raise
    try:
        _check_regular(path, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def state_of(path: str | Path) -> os.stat_result:
    """The size, times and so on of the file at `path`. Raises OSError, and UserError for what is no regular file."""
    state = os.stat(path)
    _check_regular(path, state.st_mode)
    return state


def _check_regular(path: str | Path, mode: int) -> None:
    """Raise UserError where the mode of what is at `path` is that of no regular file."""
    if not stat.S_ISREG(mode):
        kind = next((words for is_kind, words in KINDS if is_kind(mode)), "a socket")
        raise UserError(f"{path} is {kind}, not a file: put the file there.")
