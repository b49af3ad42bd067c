"""Checkpoints: whole or absent, found out where a bit of them is another, loaded without executing anything in them,
and refused where they do not belong.

A checkpoint is a file of `torch.save`, followed by a line with the sha256 of all bytes before it. A cell keeps its
last two: a new one takes the place of the last, which becomes the one before it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from gta.cellfolder import DEAD_SECONDS, CellFolder
from gta.errors import UserError
from gta.files import remove_leftovers, replacing
from gta.models.files import why_unreadable
from gta.text import first_line

FORMAT = 2  # 1: of before 28 November 2026, without a checksum
FORMATS = (1, FORMAT)
_SEAL = b"\nsha256 of what is above, for a checkpoint of gta: "
_SEALED = re.compile(re.escape(_SEAL) + rb"([0-9a-f]{64})\n")
_SEAL_BYTES = len(_SEAL) + 64 + 1
_BLOCK = 2**20

Say = Callable[[str], None]


class Damaged(UserError):
    """A file that is there, and does not hold what was written to it. `reason`: what is wrong, in a few words."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{path} cannot be read as a checkpoint: it {reason}.")
        self.path = path
        self.reason = reason


def save(
    path: Path, state: dict[str, Any], before: Path | None = None, check: Callable[[], None] | None = None
) -> None:
    """Write `state` (tensors and plain Python) to `path`, atomically; what was there is kept as `before`.

    `check` is called directly before a file takes its place: where it raises, none does any more.
    Raises RuntimeError or OSError where its folder is gone: somebody deleted it meanwhile, and it is not made anew.
    """
    with replacing(path, parents=False, check=check) as temporary:
        with open(temporary, "wb") as file:
            sealing = _Sealing(file)
            torch.save({"format": FORMAT, **state}, sealing)  # type: ignore[arg-type]
            sealing.seal()
        kept = before is not None and before.exists() and path.exists() and before.samefile(path)
        if before is not None and path.exists() and not kept:  # kept: the last save was killed between its two renames
            with replacing(before, parents=False, check=check) as linked:  # at no moment is there none
                os.link(path, linked)


class _Sealing:
    """A file as torch.save writes to it, and the checksum of what was written."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()

    def seal(self) -> None:
        self.file.write(_SEAL + self.digest.hexdigest().encode() + b"\n")


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What `save` wrote, bit for bit. Raises Damaged where the file holds anything else, and UserError where it is
    absent, cannot be opened, or is of a newer version of this program.
    """
    try:
        with open(path, "rb") as file:  # one and the same file, also where another takes its place meanwhile
            state = _content(path, file, device)
    except FileNotFoundError:
        raise UserError(f"There is no checkpoint {path}.") from None
    except OSError as error:
        if error.errno == errno.EIO:  # the disk has lost a part of it
            raise Damaged(path, f"is damaged ({error.strerror})") from None
        raise UserError(f"{path} cannot be opened ({error.strerror}).") from None
    known = isinstance(state, dict) and {"signature", "iteration"} <= state.keys()
    if not known or not isinstance(state.get("format"), int):
        raise Damaged(path, "is no checkpoint of this program")
    if state["format"] not in FORMATS:
        raise UserError(
            f"{path} is a checkpoint of format {state['format']}, and this version of gta reads "
            f"{' and '.join(map(str, FORMATS))}: use the version that wrote it."
        )
    return cast(dict[str, Any], state)


def _content(path: Path, file: BinaryIO, device: torch.device | str) -> Any:
    sealed = _sealed(path, file)
    if sealed:  # what was written; an error now (no memory, say) is none of the file's
        try:
            return torch.load(file, map_location=device, weights_only=True)
        except pickle.UnpicklingError as error:  # it asks for more than tensors and plain Python
            raise UserError(f"{path} {why_unreadable(path, error)}.") from None
    try:
        state = torch.load(file, map_location=device, weights_only=True)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a file of any other kind, or a part of one: torch raises all sorts
        raise Damaged(path, why_unreadable(path, error)) from None
    if isinstance(state, dict) and state.get("format") == FORMAT:
        raise Damaged(path, "is cut off or damaged (it does not end in its checksum)")
    return state


def _sealed(path: Path, file: BinaryIO) -> bool:
    """Whether the file ends in the checksum of what is before it; at its beginning again. Raises Damaged for another's
    checksum.
    """
    size = os.fstat(file.fileno()).st_size
    found, left = None, size - _SEAL_BYTES
    if left > 0:
        file.seek(left)
        found = _SEALED.fullmatch(file.read())
    file.seek(0)
    if not found:
        return False
    digest = hashlib.sha256()
    while left > 0 and (block := file.read(min(left, _BLOCK))):
        digest.update(block)
        left -= len(block)
    if digest.hexdigest().encode() != found[1]:
        raise Damaged(path, "is damaged (its checksum is another)")
    file.seek(0)
    return True


def last_good(
    folder: CellFolder,
    say: Say,
    device: torch.device | str = "cpu",
    advice: str = "Remove {them} to start the cell again.",
) -> tuple[dict[str, Any], Path]:
    """The last checkpoint of a cell that holds what was written, and its file; `say` is told of one that does not.

    Raises UserError where there is none, with the `advice` where there are broken ones.
    """
    broken: list[Damaged] = []
    paths = [path for path in (folder.checkpoint_file, folder.previous_checkpoint_file) if path.exists()]
    for path in paths:
        try:
            state = load(path, device)
        except Damaged as error:
            broken.append(error)
            continue
        for damage in broken:
            say(f"{damage} The one before it is used, {path.name} of iteration {state['iteration']}.")
        return state, path
    if not broken:
        raise UserError(f"There is no checkpoint {folder.checkpoint_file}.")
    them = "them" if len(broken) > 1 else "it"
    raise UserError(f"{' '.join(map(str, broken))} {advice.format(them=them)}")


def keep_good(folder: CellFolder, good: Path) -> None:
    """Put the checkpoint `good`, which `last_good` found, in the place of the last one, where it is not there already:
    the next save must not keep a broken one as the one before it. For the process that has the cell.
    """
    if good != folder.checkpoint_file:
        os.replace(good, folder.checkpoint_file)


def remove_what_a_kill_left(folder: CellFolder) -> None:
    """Files of saves that did not end. For the process that has the cell."""
    checkpoints = (folder.checkpoint_file, folder.previous_checkpoint_file, folder.best_file)
    for path in (*checkpoints, folder.result_file, folder.order_file):
        remove_leftovers(path)
    remove_leftovers(folder.failure_file, older=DEAD_SECONDS)  # another rank may be writing just now why it failed


def check_owner(path: Path, state: dict[str, Any], signature: str) -> None:
    """Raises UserError where a checkpoint was made by another cell than `signature`."""
    if state["signature"] != signature:
        raise UserError(
            f"{path} belongs to the cell {str(state['signature'])[:8]}, not to {signature[:8]} "
            "(another model, data set or setting); remove the cell's checkpoints to start it from the beginning."
        )


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """While a network takes what `path` holds. Raises UserError where that is of another model or method."""
    try:
        yield
    except torch.OutOfMemoryError:  # a RuntimeError, and none of the file's
        raise
    except (RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
        first = first_line(error)
        raise UserError(
            f"{path} is a checkpoint of another model ({first}); remove the cell's checkpoints to start it again."
        ) from None
