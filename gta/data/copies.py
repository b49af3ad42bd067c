"""Copies of files in a folder that appears whole, and whether they still are what was copied."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gta import progress
from gta.data.private import check_no_link
from gta.data.regular import THREADS, regular, state_of
from gta.errors import UserError
from gta.files import replacing, write_json

BLOCK = 2**20  # bytes
MARK = ".staged.json"  # in a copy: name -> (size, sha256 or nothing) of each of its files


@dataclass(frozen=True)
class SourceFile:
    """A file of the data set: its path below the root, its bytes, and when it was changed."""

    name: str
    size: int
    changed: int  # nanoseconds


Known = dict[str, tuple[int, str]]  # name -> its size, and its sha256, or nothing where that was not asked for


def sources(root: Path, names: Sequence[str]) -> list[SourceFile]:
    """Raises OSError for a file that is absent, UserError for what is none."""

    def look(name: str) -> SourceFile:
        state = state_of(root / name)
        return SourceFile(name, state.st_size, state.st_mtime_ns)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(progress.steps(pool.map(look, names), "looking at the files to copy", len(names)))


def copied(folder: Path) -> Known | None:
    """What the copy says it consists of; None where nothing can be read there."""
    try:
        files = json.loads((folder / MARK).read_text(encoding="utf-8"))["files"]
        return {str(name): (int(size), str(digest)) for name, (size, digest) in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def wrong(folder: Path, known: Mapping[str, tuple[int, str]], digests: bool) -> list[str]:
    """Names of the files that are not there any more as they were copied; with `digests` by their contents, too.

    Raises UserError where a folder in the copy is a link.
    """
    for below in _folders(known):
        check_no_link(folder / below)

    def is_wrong(name: str) -> bool:
        progress.tick()
        size, digest = known[name]
        try:
            state = os.lstat(folder / name)
        except (FileNotFoundError, NotADirectoryError):
            return True
        if not stat.S_ISREG(state.st_mode) or state.st_size != size:
            return True
        return digests and (not digest or digest != _digest(folder / name))

    with ThreadPoolExecutor(THREADS) as pool:
        found = progress.steps(pool.map(is_wrong, known), "comparing the copied files", len(known))
        return [name for name, wrong in zip(known, found, strict=True) if wrong]


def make(root: Path, folder: Path, files: Sequence[SourceFile], digests: bool) -> None:
    """`folder` appears with all of the files and a mark, or not at all. Its caller alone may make it."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    check_no_link(temporary)
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that died here
    try:
        temporary.mkdir()
        known = _copy(root, temporary, files, digests)
        write_mark(temporary, root, known)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def mend(root: Path, folder: Path, files: Sequence[SourceFile], known: Known, digests: bool) -> None:
    """Copy these files again, each appearing whole in its place: others may be reading the copy."""
    write_mark(folder, root, known | _copy(root, folder, files, digests))


def write_mark(folder: Path, root: Path, known: Known) -> None:
    size = sum(size for size, _ in known.values())
    write_json(folder / MARK, {"root": str(root), "bytes": size, "time": time.time(), "files": known})


def _copy(root: Path, folder: Path, files: Sequence[SourceFile], digests: bool) -> Known:
    for below in _folders(source.name for source in files):
        (folder / below).mkdir(parents=True, exist_ok=True)

    def copy(source: SourceFile) -> tuple[int, str]:
        size, digest = 0, hashlib.sha256()
        whole = replacing(folder / source.name, flush=False, parents=False)
        with regular(root / source.name) as read, whole as temporary:
            with open(temporary, "xb") as write:
                while block := read.read(BLOCK):
                    size += write.write(block)
                    progress.tick()
                    if digests:
                        digest.update(block)
            if size != source.size:
                raise UserError(f"{root / source.name} changed while it was copied; start again.")
        return size, digest.hexdigest() if digests else ""

    with ThreadPoolExecutor(THREADS) as pool:
        made = progress.steps(pool.map(copy, files), "copying the data", len(files))
        return dict(zip((source.name for source in files), made, strict=True))


def _folders(names: Iterable[str]) -> list[str]:
    """The folders that hold these, outer ones first."""
    found: set[str] = set()
    for name in names:
        while (name := os.path.dirname(name)) and name not in found:
            found.add(name)
    return sorted(found)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
