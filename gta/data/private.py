"""A folder that is this user's alone, below one that others may share: of site.stage and site.cache."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from gta.errors import UserError

STAGE = "site.stage"
COMPILED = "compiled"  # the folder in one's own that keeps what `compile` made


def place(text: str, setting: str = STAGE) -> Path:
    """The folder that a setting names on this node. Raises UserError for a variable that this node does not have."""
    path = os.path.expanduser(os.path.expandvars(text))
    if "$" in path or not os.path.isabs(path):
        raise UserError(
            f"{setting}={text}: that is {path} on {socket.gethostname()}, which is no absolute folder: name one, or "
            "set the variable in site.setup (export SCRATCH=/local/scratch)."
        )
    return Path(path)


def private_folder(given: Path, setting: str = STAGE) -> Path:
    """`given/gta-UID`, made with mode 0700 where it is absent (and `given` where that is), for that setting.

    Raises UserError where `given` may be changed by everyone, so that others could put a folder of theirs in its place,
    and where what is there is a link, another user's, or was open to others' writing; OSError where it cannot be made.
    """
    given.mkdir(parents=True, exist_ok=True)
    mine = given / f"gta-{os.getuid()}"
    _check_shared(given, setting)
    try:
        mine.mkdir(mode=0o700)
    except FileExistsError:
        _check(mine, setting)
    if mine.lstat().st_mode & 0o077:  # by default rules of the file system, or by hand
        mine.chmod(0o700)
    return mine


def private_folder_seen(given: Path, setting: str = STAGE) -> Path | None:
    """The same where it is there, and nothing is made: None where it is not. Raises UserError as `private_folder`."""
    mine = given / f"gta-{os.getuid()}"
    if not given.exists():
        return None
    _check_shared(given, setting)
    if not os.path.lexists(mine):
        return None
    _check(mine, setting)
    return mine


def _check_shared(given: Path, setting: str) -> None:
    mode = given.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise UserError(
            f"{setting}: everyone may rename and remove what is in {given} (mode {_octal(mode)}, without the sticky "
            f"bit): name another folder, or set the bit (chmod +t {given})."
        )


def _check(mine: Path, setting: str) -> None:
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
            f"{setting}: {mine} {wrong}, so what is in it may be anyone's: remove it, or name another folder."
        )


def check_no_link(path: Path, setting: str = STAGE) -> None:
    """Raise UserError where `path` is a link, which would lead elsewhere what is written to it."""
    if path.is_symlink():
        raise UserError(f"{setting}: {path} is a link: remove it.")


def _octal(mode: int) -> str:
    return f"{stat.S_IMODE(mode):04o}"
