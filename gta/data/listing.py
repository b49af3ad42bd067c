"""Where the files of a data set are: each folder is listed once, since a stat a file is slow on network storage."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from gta.config import DataConfig
from gta.errors import UserError

DEPTH = 6  # of sub-folders; also the end of a link that leads back up


def image_files(config: DataConfig) -> Mapping[str, str]:
    """Id -> path below `root/images` of every image. Raises UserError for an absent folder, or an id that is there
    twice.
    """
    return _files(Path(config.root) / config.images, config.image_suffix, config.nested)


def mask_files(config: DataConfig) -> Mapping[str, str]:
    """Id -> path below `root/masks` of every mask; as `image_files`."""
    return _files(Path(config.root) / config.masks, config.mask_suffix, config.nested)


def image_path(config: DataConfig, item: str) -> Path:
    """Where the image of an id belongs: `**` stands for the sub-folder that it may be in."""
    return _place(Path(config.root) / config.images, item + config.image_suffix, config.nested)


def mask_path(config: DataConfig, item: str) -> Path:
    """Where the mask of an id belongs; as `image_path`."""
    return _place(Path(config.root) / config.masks, item + config.mask_suffix, config.nested)


def _place(folder: Path, name: str, nested: bool) -> Path:
    return folder / "**" / name if nested else folder / name


def _files(folder: Path, suffix: str, nested: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    _collect(folder, "", suffix, DEPTH if nested else 0, found)
    return found


def _collect(top: Path, below: str, suffix: str, depth: int, found: dict[str, str]) -> None:
    names, folders = _listed(top / below)
    for name in names:
        if name.endswith(suffix):
            item, path = name.removesuffix(suffix), below + name
            if item in found:
                raise UserError(f"{top / found[item]} and {top / path} have one name: an id must mean one file.")
            found[item] = path
    for name in folders if depth else ():
        _collect(top, f"{below}{name}/", suffix, depth - 1, found)


def _listed(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(files, sub-folders); listed again only when the folder has changed (a grid asks once a cell)."""
    try:
        return _listing(str(folder), folder.stat().st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"The folder {folder} is not there.") from None


@lru_cache(maxsize=512)
def _listing(folder: str, changed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    with os.scandir(folder) as entries:
        pairs = [(entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith(".")]
    return (
        tuple(name for name, is_folder in pairs if not is_folder),
        tuple(sorted(name for name, is_folder in pairs if is_folder)),
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Without a stat for a linked file: a link is followed only where its name has no suffix."""
    return entry.is_dir(follow_symlinks=entry.is_symlink() and "." not in entry.name)
