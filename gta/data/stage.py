"""Copies a cell's data to node-local disk, once a node: site.stage. All ranks and cells of the node read the one copy.

Below the folder of site.stage lies `<name>-<digest>/` for each data set, appearing whole by a rename; the digest is
over its place and the names, sizes and times of its files, so changed data get a copy of their own. A lock on the
node's disk keeps two processes from copying at once. Copies stay for later jobs; who cleans that disk may remove them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from gta.config import Config, DataConfig
from gta.data.extra import is_extra
from gta.data.listing import image_files, mask_files
from gta.data.spec import train_path, val_path
from gta.data.splits.split import Split
from gta.errors import UserError
from gta.files import lock, write_json
from gta.text import human_bytes

THREADS = 16  # small files over a network wait more than they move
TRUST_SECONDS = 60.0  # a copy that was compared with its source so lately is not compared again: the ranks of a job
KEEP_FREE = 64 * 2**20  # bytes; a full disk hurts others
MARK = ".staged.json"
_WAITING = "data: waiting for another process of this node that copies them to {to}"


@dataclass(frozen=True)
class SourceFile:
    """A file of the data set: its path below the root, its bytes, and when it was changed."""

    name: str
    size: int
    changed: int  # nanoseconds


def staged(config: Config, split: Split) -> Config:
    """The config with `data.root` on node-local disk, where site.stage asks for it; else as it is.

    The split's files are copied if need be, by one process of the node while the others wait. Raises UserError where
    the folder cannot be made or the disk is too small.
    """
    if not config.site.stage:
        return config
    names = needed(config.data, split)
    root = stage(Path(config.data.root), place(config.site.stage), names, config.data.name)
    return replace(config, data=replace(config.data, root=str(root)))


def place(text: str) -> Path:
    """The folder that site.stage names on this node. Raises UserError for a variable that this node does not have."""
    path = os.path.expanduser(os.path.expandvars(text))
    if "$" in path or not os.path.isabs(path):
        raise UserError(
            f"site.stage={text}: that is {path} on {socket.gethostname()}, which is no absolute folder: name one, or "
            "set the variable in site.setup (export SCRATCH=/local/scratch)."
        )
    return Path(path)


def needed(data: DataConfig, split: Split) -> list[str]:
    """Paths below `data.root` that a cell reads: images of all its lists, the masks there are, the train and val lists.

    What data.unlabeled_root found is read from where it is. Splits of one data set need the same files where their
    lists are together the training set: they share a copy.
    """
    images, masks = image_files(data), mask_files(data)
    ids = sorted(item for item in {*split.labeled, *split.unlabeled, *split.val} if not is_extra(item))
    names = [PurePosixPath(data.images, images[item]).as_posix() for item in ids]
    names += [PurePosixPath(data.masks, masks[item]).as_posix() for item in ids if item in masks]
    for path in (train_path(data), val_path(data)):  # which may say where a file is
        if path.is_relative_to(data.root) and path.is_file():
            names.append(path.relative_to(data.root).as_posix())
    return names


def stage(root: Path, to: Path, names: Sequence[str], title: str = "data") -> Path:
    """The folder below `to` with copies of `names` (paths below `root`); copied here where it is not there.

    Any number of processes may call it at once. Raises UserError as `staged` does.
    """
    wanted = hashlib.sha256("\n".join([str(root.absolute()), *names]).encode()).hexdigest()[:16]
    try:
        to.mkdir(parents=True, exist_ok=True)
        with lock(to / f".{title}-{wanted}.lock", lambda: print(_WAITING.format(to=to), flush=True)):
            index = to / f".{title}-{wanted}.json"
            if (folder := _trusted(to, index)) is not None:
                return folder
            began = time.monotonic()
            files = _sizes(root, names)
            folder = to / f"{title}-{_digest(wanted, files)}"
            total = sum(source.size for source in files)
            if not (folder / MARK).exists():
                _copy(root, folder, files, total)
                seconds = time.monotonic() - began
                print(
                    f"data: {len(files)} files ({human_bytes(total)}) copied to {folder} in {seconds:.1f} s",
                    flush=True,
                )
            write_json(index, {"folder": folder.name, "checked": time.time()})
            return folder
    except OSError as error:
        raise UserError(
            f"site.stage: the data of {root} cannot be copied to {to} on {socket.gethostname()} ({error}): name a "
            "folder on the nodes' own disks that you may write to, or leave it out (site.stage=null)."
        ) from None


def _trusted(to: Path, index: Path) -> Path | None:
    """The copy, where it was compared with its source lately."""
    try:
        known = json.loads(index.read_text())
        age = time.time() - known["checked"]
        folder = to / known["folder"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if 0 <= age < TRUST_SECONDS and (folder / MARK).exists() else None


def _sizes(root: Path, names: Sequence[str]) -> list[SourceFile]:
    with ThreadPoolExecutor(THREADS) as pool:
        states = list(pool.map(lambda name: os.stat(root / name), names))
    return [SourceFile(name, state.st_size, state.st_mtime_ns) for name, state in zip(names, states, strict=True)]


def _digest(wanted: str, files: Sequence[SourceFile]) -> str:
    lines = sorted(f"{source.name} {source.size} {source.changed}\n" for source in files)
    return hashlib.sha256("".join([wanted, *lines]).encode()).hexdigest()[:16]


def _copy(root: Path, folder: Path, files: Sequence[SourceFile], total: int) -> None:
    """`folder` appears with all of the files and a mark, or not at all."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that died here: we hold the lock
    if folder.exists():  # someone removed a part of it; its mark goes first, so that nobody trusts it
        shutil.rmtree(folder)
    if (free := shutil.disk_usage(folder.parent).free) < total + KEEP_FREE:
        others = sorted(path.name for path in folder.parent.iterdir() if (path / MARK).exists())
        note = f" Copies that may be removed are there: {', '.join(others)}." if others else ""
        raise UserError(
            f"site.stage: {human_bytes(total)} of data do not fit into {folder.parent} on {socket.gethostname()}, "
            f"where {human_bytes(free)} are free: make room, name another folder, or leave it out "
            f"(site.stage=null).{note}"
        )
    try:
        for below in sorted({os.path.dirname(source.name) for source in files}):
            (temporary / below).mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(THREADS) as pool:
            copied = pool.map(lambda source: _copy_file(root, temporary, source), files)
            for size, source in zip(copied, files, strict=True):
                if size != source.size:
                    raise UserError(f"{root / source.name} changed while it was copied; start again.")
        write_json(temporary / MARK, {"root": str(root), "files": len(files), "bytes": total, "time": time.time()})
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _copy_file(root: Path, to: Path, source: SourceFile) -> int:
    """What a link points to is copied, not the link."""
    return os.stat(shutil.copyfile(root / source.name, to / source.name)).st_size
