"""Files and folders that are whole or absent: written beside their place, then renamed into it."""

from __future__ import annotations

import ctypes
import errno
import glob
import json
import math
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gta.errors import chain

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(
    path: str | Path, flush: bool = True, parents: bool = True, check: Callable[[], None] | None = None
) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, what is there takes `path`'s place.

    The data reach the disk before the rename, so that a crash leaves the old file or the new one, never half
    of either (without `flush`: for what may be lost). When the block raises, the temporary file is removed and
    `path` is as it was. The folder is made where it is missing (with `parents`). Raises FileNotFoundError when the
    block wrote nothing. `check` is called after the flush, which may take long, directly before the rename; it may
    raise as the block may.
    """
    path = Path(path)
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        if flush:
            to_disk(temporary)
        if check is not None:
            check()
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        _name(error, path)
        if check is not None and isinstance(error, OSError):
            check()  # whoever has the place now may have removed what was being written: that is the reason to give
        raise
    if flush:
        to_disk(path.parent)


def _name(error: BaseException, path: Path) -> None:
    """Give the full disk behind an error the file's name, which the kernel does not say."""
    full = full_disk(error)
    if full is not None and full.filename is None:
        full.filename = str(path)


def full_disk(error: BaseException | None) -> OSError | None:
    """The full disk (or quota, or limit on a file's size) behind an error; None where there is none."""
    return next((one for one in chain(error) if isinstance(one, OSError) and one.errno in _FULL), None)


def _beside(path: Path) -> Path:
    """A temporary path, unique: two processes that write the same file must not share one."""
    return path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")


Put = Callable[[Path, str], None]  # writes a text to a path


@contextmanager
def together(folder: str | Path) -> Iterator[Put]:
    """Yield what writes texts to paths on the file system of `folder`, for many files at once.

    As `write_text`, but they take their places at the end, when the data of all have reached the disk: by one flush of
    the file system instead of two for every file. When the block raises, no file is changed.
    """
    waiting: list[tuple[Path, Path]] = []

    def put(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        waiting.append((temporary, path))
        try:
            temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            _name(error, path)
            raise

    try:
        yield put
        flush_file_system(folder)
        for temporary, path in waiting:  # in their order: who comes last may vouch for those before
            os.replace(temporary, path)
    except BaseException:
        for temporary, _ in waiting:
            temporary.unlink(missing_ok=True)
        raise
    flush_file_system(folder)


def flush_file_system(folder: str | Path) -> None:
    """Make the kernel write what waits for the file system that `folder` is on (made where it is missing)."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if _syncfs(descriptor):
            os.sync()  # of all file systems
    finally:
        os.close(descriptor)


def _syncfs(descriptor: int) -> int:
    """Linux' syncfs(2); not 0 where it fails, or is not there."""
    try:
        return int(ctypes.CDLL(None).syncfs(descriptor))
    except (OSError, AttributeError):
        return -1


def make_folder(path: str | Path, fill: Callable[[Path], None]) -> bool:
    """Make the folder `path` whole: `fill` writes into one beside it, which is then renamed into its place.

    False where another process was first: the folder is there, and what is in it is the caller's to judge.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        temporary.chmod(0o755)
        fill(temporary)
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
            return False
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def remove_leftovers(path: str | Path, older: float = 0.0) -> None:
    """Remove the temporary files that writers of `path` left beside it when they were killed.

    For who alone may write `path`: another writer that is still at it will fail at its rename, and `path` stays whole.
    `older`: only what was written at least so many seconds ago, where others may.
    """
    path = Path(path)
    for item in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if re.fullmatch(r"\d+-[0-9a-f]{8}", item.name[len(path.name) + 2 : -len(".tmp")]) and age(item) >= older:
            item.unlink(missing_ok=True)


def age(path: Path) -> float:
    """Seconds since a file was written; endless where it is gone."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return math.inf


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) to `path`, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` to `path` as indented JSON, atomically. NaN and infinity are refused: ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def to_disk(path: Path) -> None:
    """Make the kernel write the file (or the folder's entries) to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some file systems have no fsync of a folder; the rename is atomic all the same
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)
