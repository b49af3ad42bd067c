"""Copies a cell's data to node-local disk, once a node: site.stage. All ranks and cells of the node read the one copy.

Below the folder of site.stage lies one of the user's own (`gta.data.private`), and in it `<name>-<digest>/` for each
data set, appearing whole by a rename; the digest is over its place and the names, sizes and times of its files, so
changed data get a copy of their own. A lock on the node's disk keeps two processes from copying at once. Copies stay
for later jobs; who cleans that disk may remove them, and what is missing of one is copied again at the next start.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from gta.config import Config, DataConfig
from gta.data.copies import MARK, Known, SourceFile, copied, make, mend, sources, write_mark, wrong
from gta.data.extra import is_extra
from gta.data.listing import image_files, mask_files
from gta.data.private import check_no_link, place, private_folder
from gta.data.spec import train_path, val_path
from gta.data.splits.split import Split
from gta.errors import UserError
from gta.files import write_json
from gta.locks import Holder, lock
from gta.text import human_bytes, some

TRUST_SECONDS = 60.0  # a copy that was compared with its source so lately is not compared again: the ranks of a job
KEEP_FREE = 64 * 2**20  # bytes; a full disk hurts others
NAMED = 3  # files in a sentence
_WAITING = "data: waiting for another process of this node that copies them to {to}"


def staged(config: Config, split: Split) -> Config:
    """The config with `data.root` on node-local disk, where site.stage asks for it; else as it is.

    The split's files are copied if need be, by one process of the node while the others wait. Raises UserError where
    the folder cannot be made or the disk is too small.
    """
    if not config.site.stage:
        return config
    names = needed(config.data, split)
    to, digests = place(config.site.stage), config.site.stage_digests
    root = stage(Path(config.data.root), to, names, config.data.name, digests)
    return replace(config, data=replace(config.data, root=str(root)))


def needed(data: DataConfig, split: Split) -> list[str]:
    """Paths below `data.root` that a cell reads: images of all its lists, the masks there are, the train and val lists.

    What data.unlabeled_root found is read from where it is. Splits of one data set need the same files where their
    lists are together the training set: they share a copy.
    """
    images, masks = image_files(data), mask_files(data)
    ids = sorted(item for item in {*split.labeled, *split.unlabeled, *split.val} if not is_extra(images[item]))
    names = [PurePosixPath(data.images, images[item]).as_posix() for item in ids]
    names += [PurePosixPath(data.masks, masks[item]).as_posix() for item in ids if item in masks]
    for path in (train_path(data), val_path(data)):  # which may say where a file is
        if path.is_relative_to(data.root) and path.is_file():
            names.append(path.relative_to(data.root).as_posix())
    return names


def stage(root: Path, to: Path, names: Sequence[str], title: str = "data", digests: bool = False) -> Path:
    """The folder below `to` with copies of `names` (paths below `root`); copied here where it is not there.

    Each call compares the sizes of the copies with what was copied; with `digests` their contents, too, where no other
    call did so within TRUST_SECONDS. Any number of processes may call it at once. Raises UserError as `staged` does.
    """
    _check_inside(names)
    wanted = hashlib.sha256("\n".join([str(root.absolute()), *names]).encode()).hexdigest()[:16]
    try:
        mine = private_folder(to)
        guard, index = mine / f".{title}-{wanted}.lock", mine / f".{title}-{wanted}.json"
        check_no_link(guard)

        def say(holder: Holder | None) -> None:
            who = f": {holder}" if holder else ""
            print(f"{_WAITING.format(to=mine)}{who}", flush=True)

        with lock(guard, say=say, patience=0):
            if (folder := _trusted(mine, index, digests)) is not None:
                return folder
            files = sources(root, names)
            folder = mine / f"{title}-{_digest(wanted, files)}"
            check_no_link(folder)
            _bring(root, folder, files, digests)
            write_json(index, {"folder": folder.name, "checked": time.time(), "digests": digests})
            return folder
    except OSError as error:
        raise UserError(
            f"site.stage: the data of {root} cannot be copied to {to} on {socket.gethostname()} ({error}): name a "
            "folder on the nodes' own disks that you may write to, or leave it out (site.stage=null)."
        ) from None


def _check_inside(names: Sequence[str]) -> None:
    """Raise UserError for a path that leads out of the folder that it is below."""
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise UserError(
                f"site.stage copies what is below data.root, and {name} is not: give data.images, data.masks and the "
                "lists below it, or leave it out (site.stage=null)."
            )


def _trusted(mine: Path, index: Path, digests: bool) -> Path | None:
    """The copy, where it was compared with its source lately (with `digests`: by contents), and all is there still."""
    try:
        record = json.loads(index.read_text(encoding="utf-8"))
        age = time.time() - record["checked"]
        folder = mine / Path(record["folder"]).name
        as_asked = not digests or record.get("digests") is True
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not (as_asked and 0 <= age < TRUST_SECONDS) or folder.is_symlink() or (known := copied(folder)) is None:
        return None
    return None if wrong(folder, known, digests=False) else folder


def _bring(root: Path, folder: Path, files: Sequence[SourceFile], digests: bool) -> None:
    """Make the copy, or copy again what is not as it should be of one that is there."""
    began, there = time.monotonic(), folder.is_dir()
    known: Known = {source.name: (source.size, "") for source in files}
    mark = copied(folder) if there else None
    if there:
        known |= mark or {}  # without a mark the sizes of the source tell
        broken = set(wrong(folder, known, digests))
        files = [source for source in files if source.name in broken]
    if not files:
        if there and mark is None:  # a cleaner took it: the next ones need not ask the source
            write_mark(folder, root, known)
        return
    total = sum(source.size for source in files)
    _check_free(folder.parent, total)
    if there:
        mend(root, folder, files, known, digests)
        names = some(sorted(broken), NAMED)
        what = f"{len(files)} files of the copy were missing, cut, changed or never digested ({names}):"
    else:
        make(root, folder, files, digests)
        what = f"{len(files)} files"
    print(f"data: {what} ({human_bytes(total)}) copied to {folder} in {time.monotonic() - began:.1f} s", flush=True)


def _check_free(place: Path, total: int) -> None:
    if (free := shutil.disk_usage(place).free) < total + KEEP_FREE:
        others = sorted(path.name for path in place.iterdir() if (path / MARK).exists())
        note = f" Copies that may be removed are there: {', '.join(others)}." if others else ""
        raise UserError(
            f"site.stage: {human_bytes(total)} of data do not fit into {place} on {socket.gethostname()}, "
            f"where {human_bytes(free)} are free: make room, name another folder, or leave it out "
            f"(site.stage=null).{note}"
        )


def _digest(wanted: str, files: Sequence[SourceFile]) -> str:
    lines = sorted(f"{source.name} {source.size} {source.changed}\n" for source in files)
    return hashlib.sha256("".join([wanted, *lines]).encode()).hexdigest()[:16]
