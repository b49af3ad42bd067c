"""What of a cell's folder cannot be read, in a few words for its line; and its attempts, where they can."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from gta import journal
from gta.cellfolder import Attempt, BrokenRecord, Cancelled, CellFolder, Identity, readable
from gta.jsonrecord import REPAIR, text_in
from gta.tracking.sync_cache import stores

_TOP = re.compile(r"(\w+):")
_SECTIONS = {"method", "data", "model", "schedule", "seed", "sweep_name"}  # the last one ends the file


def damage(folder: CellFolder, attempts: Sequence[Attempt] | None = None) -> list[str]:
    """Each record that is there and cannot be read, such as `result.json: empty`. `attempts`: its `history`, where it
    was read already.
    """
    return list(dict.fromkeys(damaged_files(folder, attempts).values()))


def damaged_files(folder: CellFolder, attempts: Sequence[Attempt] | None = None) -> dict[Path, str]:
    """The records that are there and cannot be read, each with what is wrong as `damage` says it; a quick look at
    config and journal, whose middle nobody reads here.
    """
    looks: list[Callable[[], object]] = [
        folder.check_places,
        lambda: look_at_config(folder),
        lambda: look_at_method(folder, folder.identity()),
        folder.submitted,
        folder.failure,
        lambda: Cancelled.read(folder.cancelled_file),
        folder.result,
        folder.orders,
        lambda: journal.look(folder.journal_file),
        lambda: stores(folder),
    ]
    found: dict[Path, str] = {}
    for look in looks:
        try:
            look()
        except BrokenRecord as error:
            found.setdefault(error.path, error.brief)
    known = history(folder) if attempts is None else attempts
    return found | {folder.attempt_file(one.number): one.brief for one in known if one.brief}


def look_at_config(folder: CellFolder) -> None:
    """Raises BrokenRecord where the frozen config is plainly none; `CellFolder.settings` reads all of it."""
    text = text_in(folder.config_file, REPAIR)
    if text is None:
        if folder.frozen:
            raise BrokenRecord(folder.config_file, "is not there", REPAIR)
        return
    if not text.strip():
        raise BrokenRecord(folder.config_file, "is empty", REPAIR)
    top = {found[1] for line in text.splitlines() if (found := _TOP.match(line))}
    if not top >= _SECTIONS or not text.endswith("\n"):
        raise BrokenRecord(folder.config_file, "is not the whole config of a cell", REPAIR)


def look_at_method(folder: CellFolder, cell: Identity | None) -> None:
    """Raises BrokenRecord where the source that was frozen with a cell is not that which the `cell` is known by."""
    digest = cell.digests.get("method") if cell else None
    try:
        if digest and hashlib.sha256(folder.method_file.read_bytes()).hexdigest() != digest:
            raise BrokenRecord(folder.method_file, "is not the source that the cell was frozen with", REPAIR)
    except FileNotFoundError:
        return  # an installed package has it, or ./methods
    except OSError as error:
        raise BrokenRecord(folder.method_file, f"cannot be read ({error.strerror})", REPAIR) from None


def history(folder: CellFolder) -> list[Attempt]:
    """All attempts, oldest first; none where the folder of them cannot be read, which `damage` says."""
    try:
        return folder.attempts()
    except BrokenRecord:
        return []


def latest(folder: CellFolder) -> Attempt | None:
    """The last of `history`, of which alone the record is read."""
    return readable(folder.latest_attempt, say=lambda _: None)
