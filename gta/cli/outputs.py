"""What a command cannot write to: a closed pipe, a full disk, a path where something else is."""

from __future__ import annotations

import errno
import os
import select
import sys
from pathlib import Path
from typing import TextIO

from gta.errors import chain
from gta.files import full_disk

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def stand_in() -> None:
    """Open to nowhere what this process was started without (`>&-`): Python has no stream there, and the next file that
    is opened would be what other programs print into.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)
            os.set_inheritable(number, True)  # dup2 leaves a file alone that has its number already
            if nowhere != number:
                os.close(nowhere)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def closed(error: BaseException) -> bool:
    """Whether an error says that nobody reads what is printed any more (`... | head -1`), and is of no other pipe or
    socket. (rich leaves by SystemExit then, and has put nowhere in the pipe's place.)
    """
    pipe = any(isinstance(one, BrokenPipeError) for one in chain(error))
    return pipe and (isinstance(error, SystemExit) or any(map(_unread, (sys.stdout, sys.stderr))))


def to_nowhere() -> None:
    """Send to nowhere what closed pipes and full devices should still get, or Python would complain when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if _unread(stream) or not _takes_it(stream):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _takes_it(stream: TextIO) -> bool:
    try:
        stream.flush()
        return True
    except OSError:
        return False


def _unread(stream: TextIO) -> bool:
    """Whether a stream is a pipe that nobody reads."""
    try:
        asked = select.poll()
        asked.register(stream.fileno(), 0)
        return any(events & select.POLLERR for _, events in asked.poll(0))
    except (OSError, ValueError):  # no file at all, as in a test
        return False


def said(error: OSError) -> str:
    """One sentence: what could not be written or read, why, and what to do. Raises the error that has no reason."""
    if error.strerror is None:
        raise error
    if error.filename is None or isinstance(error.filename, int):
        return f"{error.strerror}{_room(error)}"
    path = Path(os.fsdecode(error.filename))
    if full_disk(error):
        return f"{error.strerror}: {path}{_room(error)}"
    if isinstance(error, (NotADirectoryError, FileExistsError)) and (file := _file_in_the_way(path)):
        return f"{file} is a file, and a folder is needed there: name another place, or move the file away."
    if isinstance(error, IsADirectoryError):
        return f"{path} is a folder, and a file is needed there: name another place, or move the folder away."
    if error.errno in _READ_ONLY:
        return f"{path}: {error.strerror}; name another place, or ask its owner for the permission."
    return f"{error.strerror}: {path}"


def _room(error: OSError) -> str:
    return "; make room, then run the same command again" if full_disk(error) else ""


def _file_in_the_way(path: Path) -> Path | None:
    """The file that a path goes through, or is."""
    return next((one for one in (path, *path.parents) if one.is_file()), None)
