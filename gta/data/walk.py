"""What is below a folder: each folder is listed once, since a stat a file is slow on network storage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from gta.data.spec import SUFFIXES
from gta.errors import UserError


def below(folder: Path) -> list[str]:
    """Every file below a folder, in its sub-folders too, however deep; a link that leads back up is not followed.

    Raises UserError for an absent folder, and for one that cannot be read.
    """
    return [place + name for place in _places(folder) for name in _listed(folder / place)[0]]


def changes(folder: Path, deep: bool) -> tuple[tuple[str, int], ...]:
    """(place below it, when it last changed in ns) of a folder and, where `deep`, of all folders below it: what `below`
    or `files_in` finds is another only where this is. Raises what these raise.
    """
    places = _places(folder) if deep else [""]
    try:
        return tuple((place, (folder / place).stat().st_mtime_ns) for place in places)
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be read ({error}).") from None


def files_in(folder: Path) -> list[str]:
    """Every file right in a folder. Raises UserError for an absent folder."""
    return list(_listed(folder)[0])


def _places(top: Path, below: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
    """The folder itself ("") and all below it ("a/", "a/b/"). `above`: those that it was reached through, and itself,
    without links.
    """
    above = above or (os.path.realpath(top),)
    yield below
    for name, is_link in _listed(top / below)[1]:
        real = os.path.realpath(top / below / name) if is_link else f"{above[-1]}/{name}"
        if real not in above:
            yield from _places(top, f"{below}{name}/", (*above, real))


def _listed(folder: Path) -> tuple[tuple[str, ...], tuple[tuple[str, bool], ...]]:
    """(files, (sub-folder, whether it is a link)); listed again only when the folder has changed (a grid asks once a
    cell).
    """
    try:
        return _listing(str(folder), folder.stat().st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"The folder {folder} is not there.") from None
    except OSError as error:  # which names what is in it and cannot be looked at
        raise UserError(f"The folder {folder} cannot be read ({error}).") from None


@lru_cache(maxsize=512)
def _listing(folder: str, changed: int) -> tuple[tuple[str, ...], tuple[tuple[str, bool], ...]]:
    with os.scandir(folder) as entries:
        pairs = [(entry.name, _is_folder(entry), entry.is_symlink()) for entry in entries if entry.name[0] != "."]
    return (
        tuple(sorted(name for name, is_folder, _ in pairs if not is_folder)),
        tuple(sorted((name, is_link) for name, is_folder, is_link in pairs if is_folder)),
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Without a stat for a linked picture: a link is followed only where its name does not end as a picture's."""
    return entry.is_dir(follow_symlinks=entry.is_symlink() and not entry.name.lower().endswith(SUFFIXES))
