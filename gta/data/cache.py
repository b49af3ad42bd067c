"""Decoded pictures and masks on a node's disk or in its memory: site.cache. All ranks and cells of the node share them.

Below the folder of site.cache lies one of the user's own (`gta.data.private`), in it `decoded/` with a file for each
picture (`gta.data.cachefile`). A file's name is a digest over the source (its path, size and times) and over how it is
decoded, so a source that was replaced is decoded anew. Files appear whole, by a rename; any number of processes may
fill the cache at once, and each may be killed: what is damaged or half written is made again. Room is taken under a
lock before a file is written, so that all together stay below site.cache_gb.

Whoever cannot keep a picture, for whatever reason, decodes it each time: arrays are equal bit for bit either way.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, features

from gta.config import SiteConfig
from gta.data import cachefile
from gta.data.cachefile import Damaged, Seen
from gta.data.private import check_no_link, place, private_folder, private_folder_seen
from gta.data.regular import state_of
from gta.errors import UserError
from gta.locks import lock_within
from gta.maths import PARTS
from gta.text import human_bytes

SETTING = "site.cache"
FOLDER = "decoded"
KEEP_FREE = 2**30  # bytes of the disk; a full one hurts others
UNUSED_SECONDS = 3600.0  # after which a picture may make room for another: see `DecodedPictures`
LEFT_SECONDS = 600.0  # after which a file that is being written is a dead process'
LOCK_SECONDS = 1.0  # then the picture is not kept this time: a holder that was stopped would stop all training
PAUSE_SECONDS = 60.0  # without trying to keep more, where there was no room
_NAME = re.compile(r"[0-9a-f]{32}")
_BLOCK = 4096
_SPARE = 50  # a part in so many is made free at once, so that not every picture has to look for room
_NO_FALLOCATE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def decoded_pictures(site: SiteConfig) -> DecodedPictures | None:
    """The cache that the site asks for, one a process; None where it asks for none, or where it cannot be made, which
    is said. Raises UserError for a folder that this node does not have, or that is not safe from others.
    """
    return _opened(place(site.cache, SETTING), int(site.cache_gb * 1e9)) if site.cache else None


@lru_cache(maxsize=8)
def _opened(given: Path, most: int) -> DecodedPictures | None:
    try:
        folder = private_folder(given, SETTING) / FOLDER
        check_no_link(folder, SETTING)
        _make_own(folder)
    except OSError as error:
        print(f"data: {SETTING}: {given} cannot be used ({error.strerror}): pictures are decoded each time", flush=True)
        return None
    print(f"data: decoded pictures are kept in {folder}, {human_bytes(most)} at most", flush=True)
    return DecodedPictures(folder, most)


def cache_folder(site: SiteConfig) -> Path | None:
    """The folder of the site's cache on this machine, where it is there: nothing is made. Raises UserError as
    `decoded_pictures`.
    """
    mine = private_folder_seen(place(site.cache, SETTING), SETTING) if site.cache else None
    if mine is None or not os.path.lexists(mine / FOLDER):
        return None
    check_no_link(mine / FOLDER, SETTING)
    return mine / FOLDER


@dataclass(frozen=True)
class Kept:
    """A file of the cache."""

    path: Path
    size: int  # bytes that it takes on the disk
    used: float  # seconds since the epoch
    whole: bool  # else it is being written, or a process died over it


def kept(folder: Path) -> Iterator[Kept]:
    """The files of a cache, in no order. Raises OSError where there is none."""
    with os.scandir(folder) as items:
        for item in items:
            whole = _NAME.fullmatch(item.name) is not None
            if whole or item.name.endswith(".tmp"):
                try:
                    state = item.stat(follow_symlinks=False)
                except FileNotFoundError:  # another process removed it
                    continue
                used = max(state.st_atime, state.st_mtime)
                yield Kept(Path(item.path), -(-state.st_size // _BLOCK) * _BLOCK, used, whole)


class DecodedPictures:
    """Pictures by their sources, in the files of `folder`, `most` bytes of them.

    Where there is no room, those that nobody used for an hour go, the longest unused first. Others do not: a data set
    larger than the cache is read in another random order each epoch, in which the picture that goes is as likely wanted
    next as the one that comes, so that a part that stays saves more than one that is replaced all the time.
    """

    def __init__(self, folder: Path, most: int):
        self.folder, self.most = folder, most
        self._seen: dict[str, Seen] = {}
        self._counted = False  # whether this process looked what there is
        self._pause_until = 0.0
        self._said = _shared_byte()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_said": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _said=_shared_byte())

    def get(self, source: Path, how: str, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """What `decode` gives for the file `source`: (H, W[, 3]) uint8, read only. `how`: all else that it depends on.

        Raises what `decode` raises.
        """
        if (before := _identity(source)) is None:
            return decode()
        key = _key(source, before, how)
        if (found := self._read(key)) is not None:
            return found
        pixels = decode()
        if _identity(source) == before:  # else it may be of either
            self._keep(key, pixels)
        return pixels

    def _read(self, key: str) -> np.ndarray | None:
        try:
            pixels, self._seen[key] = cachefile.read(self.folder / key, key, self._seen.get(key))
        except Damaged:
            with contextlib.suppress(OSError):
                (self.folder / key).unlink()
            return None
        except OSError:
            return None
        return pixels

    def _keep(self, key: str, pixels: np.ndarray) -> None:
        temporary = self.folder / f".{key}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp"
        try:
            if time.monotonic() >= self._pause_until and self._take_room(temporary, cachefile.bytes_of(pixels)):
                cachefile.write(temporary, key, pixels)
                os.replace(temporary, self.folder / key)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            self._pause(f"{self.folder} cannot be written to ({error.strerror})")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _take_room(self, temporary: Path, size: int) -> bool:
        """Make a file of that size, where there is room for it; whether there is."""
        _make_own(self.folder)  # a cleaner may have taken it
        with lock_within(self.folder / ".lock", LOCK_SECONDS, poll=0.01) as mine:
            if not mine:
                return False
            used = self._read_used() if self._counted else None
            if used is None or used + size > self.most:
                used = self._make_room(size)
            self._counted = True
            if used + size > self.most:
                self._write_used(used)
                return self._pause(f"{self.folder} is full ({human_bytes(self.most)}, {SETTING}_gb)")
            if (free := shutil.disk_usage(self.folder).free) < size + KEEP_FREE:
                return self._pause(f"only {human_bytes(free)} are free on the disk of {self.folder}")
            _allocate(temporary, size)
            self._write_used(used + -(-size // _BLOCK) * _BLOCK)
        return True

    def _make_room(self, size: int) -> int:
        """Bytes that are used, after what may go for a file of that size is gone."""
        found, now = sorted(kept(self.folder), key=lambda one: one.used), time.time()
        used = sum(one.size for one in found)
        wanted = self.most - size - self.most // _SPARE
        for one in found:
            unused = now - one.used
            may_go = unused > UNUSED_SECONDS or used > self.most if one.whole else unused > LEFT_SECONDS
            if may_go and (used > wanted or not one.whole):
                one.path.unlink(missing_ok=True)
                used -= one.size
        return used

    def _read_used(self) -> int | None:
        """What all processes together took; None where nobody wrote it down whole."""
        try:
            text = (self.folder / ".used").read_text()
        except OSError:
            return None
        return int(text) if re.fullmatch(r"\d{20}\n", text) else None

    def _write_used(self, used: int) -> None:
        descriptor = os.open(self.folder / ".used", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(descriptor, b"%020d\n" % used, 0)
        finally:
            os.close(descriptor)

    def _pause(self, why: str) -> bool:
        """Keep nothing for a while, and say so once for this process and its workers. False."""
        self._pause_until = time.monotonic() + PAUSE_SECONDS
        if not self._said[0]:
            self._said[0] = 1
            print(f"data: {SETTING}: {why}: pictures that are not in it are decoded each time", flush=True)
        return False


def _make_own(folder: Path) -> None:
    """Make the folder where it is absent. Raises OSError where it cannot be made, and for what others may write to."""
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "not this user's alone", str(folder))


def _identity(source: Path) -> tuple[int, int, int] | None:
    """What another file in its place would have otherwise; None for none that can be read."""
    try:
        state = state_of(source)
    except (OSError, UserError):
        return None
    # the time of the last change cannot be set, as that of the content is by cp -p, rsync and tar
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _key(source: Path, identity: tuple[int, int, int], how: str) -> str:
    text = "\n".join([_decoders(), os.path.abspath(source), *map(str, identity), how])
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()


@lru_cache(maxsize=1)
def _decoders() -> str:
    """Programs that may give other pixels of the same file, and the version of our reading."""
    jpeg = [features.version(name) for name in ("jpg", "libjpeg_turbo")]
    return f"{cachefile.FORMAT} {PARTS['data']} {Image.__version__} {jpeg} {cv2.__version__}"


def _allocate(path: Path, size: int) -> None:
    """Make a file of that size, for which the disk has room. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _NO_FALLOCATE:
            raise
        os.truncate(descriptor, size)
    finally:
        os.close(descriptor)


def _shared_byte() -> mmap.mmap:
    """0, in memory that processes which are forked from this one share with it."""
    return mmap.mmap(-1, 1)
