"""The sync cache in a cell's folder: what of the cell was sent to which MLflow store, so that a sync can skip it.

mlflow.json holds a `Sent` for each store's URI (less a password). It is a shortcut only: one that is lost, broken or
old costs a look at the store and nothing else, so it is replaced atomically, but not flushed to disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from gta.cellfolder import VERSION, BrokenRecord, CellFolder, JsonRecord, readable
from gta.files import replacing
from gta.jsonrecord import REPAIR, text_in
from gta.masking import masked

TAGS = 2  # which tags a run gets: higher where there are more, and runs of before get them at the next sync


@dataclass(frozen=True, kw_only=True)
class Sent(JsonRecord):
    """What one store has of the cell.

    `files`: as `gta.tracking.cell.files_of` found them; `status`: MLflow's word; `ended`: unix seconds, 0 while it
    runs; `cursor`: journal points sent; `rows`: sweep -> the rows of its table, as its own run was told them;
    `grids`: sweep -> digest of its cells, likewise; `log`: [bytes, modification time in ns] of the log;
    `tags`: `TAGS` of then.
    """

    run_id: str
    files: dict[str, list[int]]
    sweeps: list[str]
    status: str = "RUNNING"
    ended: float = 0.0
    cursor: int = 0
    rows: dict[str, list[str]] = field(default_factory=dict)
    grids: dict[str, str] = field(default_factory=dict)
    log: list[int] = field(default_factory=list)
    tags: int = 0


def cached(folder: CellFolder, uri: str) -> Sent | None:
    """What was sent of the cell to the store at `uri`; None where that is not known."""
    values = _stores(folder).get(masked(uri))
    if values is not None and values.get("version", VERSION) == VERSION:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return Sent.of(values)
    return None


def remember(folder: CellFolder, uri: str, sent: Sent) -> None:
    """Write down what was sent. The sweeps of the same run add up."""
    old = cached(folder, uri)
    if old is not None and old.run_id == sent.run_id:
        sweeps = sorted({*old.sweeps, *sent.sweeps})
        sent = dataclasses.replace(
            sent, sweeps=sweeps, rows={**old.rows, **sent.rows}, grids={**old.grids, **sent.grids}
        )
    known_stores = {**_stores(folder), masked(uri): {"version": VERSION, **sent.as_dict()}}
    with contextlib.suppress(IsADirectoryError), replacing(folder.sync_cache_file, flush=False) as temporary:
        temporary.write_text(json.dumps(known_stores, indent=1), encoding="utf-8")


def sweeps_of(folder: CellFolder) -> list[str] | None:
    """The sweeps that have a cell, as its MLflow run was tagged; None where the file that says so is broken."""
    try:
        names = [name for one in (stores(folder) or {}).values() for name in one.get("sweeps", ())]
    except (BrokenRecord, TypeError):
        return None
    return sorted(set(names)) if all(isinstance(name, str) for name in names) else None


def _stores(folder: CellFolder) -> dict[str, Any]:
    return readable(lambda: stores(folder), say=lambda _: None) or {}


def stores(folder: CellFolder) -> dict[str, Any] | None:
    """Store -> what it has, as it was written; None where nothing was. Raises BrokenRecord."""
    path = folder.sync_cache_file
    text = text_in(path, REPAIR)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BrokenRecord(path, "is not JSON" if text.strip() else "is empty", REPAIR) from None
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise BrokenRecord(path, "is not what was sent to stores", REPAIR)
    return found
