"""A folder that is this user's alone, below one that others may share: site.stage on a node's disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gta.errors import UserError


def private_folder(given: Path) -> Path:
    """`given/gta-UID`, made with mode 0700 where it is absent (and `given` where that is).

    Raises UserError where `given` may be changed by everyone, so that others could put a folder of theirs in its place,
    and where what is there is a link, another user's, or was open to others' writing; OSError where it cannot be made.
    """
    given.mkdir(parents=True, exist_ok=True)
    mode = given.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise UserError(
            f"site.stage: everyone may rename and remove what is in {given} (mode {_octal(mode)}, without the sticky "
            f"bit): name another folder, or set the bit (chmod +t {given})."
        )
    mine = given / f"gta-{os.getuid()}"
    try:
        mine.mkdir(mode=0o700)
    except FileExistsError:
        _check(mine)
    if mine.lstat().st_mode & 0o077:  # by default rules of the file system, or by hand
        mine.chmod(0o700)
    return mine


def _check(mine: Path) -> None:
    state = mine.lstat()
    wrong = (
        "is no folder but a link" if stat.S_ISLNK(state.st_mode)
        else "is no folder" if not stat.S_ISDIR(state.st_mode)
        else f"belongs to the user {state.st_uid}, and you are {os.getuid()}" if state.st_uid != os.getuid()
        else f"may be written to by others (mode {_octal(state.st_mode)})" if state.st_mode & 0o022
        else ""
    )  # fmt: skip
    if wrong:
        raise UserError(
            f"site.stage: {mine} {wrong}, so what is in it may be anyone's: remove it, or name another folder."
        )


def check_no_link(path: Path) -> None:
    """Raise UserError where `path` is a link, which would lead elsewhere what is written to it."""
    if path.is_symlink():
        raise UserError(f"site.stage: {path} is a link: remove it.")


def _octal(mode: int) -> str:
    return f"{stat.S_IMODE(mode):04o}"
