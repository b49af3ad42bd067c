"""An SQLite store that was moved, or copied, with the folder of artifacts beside it.

MLflow keeps that folder's absolute path with the experiment and with each run, and has no call that changes it: so the
store's own tables are told.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

ARTIFACTS = "mlartifacts"  # beside the store
SECONDS = 5.0  # to wait for whoever writes to the store


def location(folder: Path) -> str:
    """Where the artifacts of a store in this folder are, as MLflow writes it."""
    return (folder.absolute() / ARTIFACTS).as_uri()


def left_behind(store: Path, written: str) -> Path | None:
    """The folder of artifacts that was beside the store where it was before, by the location `written` with the
    experiment; None where that is still the right one: it is beside the store, it is of somebody's choice (another
    name, no folder of this machine), or it is there and the store alone was moved.
    """
    parts = urlsplit(written)
    if parts.scheme not in ("file", "") or parts.netloc:
        return None
    before, beside = Path(unquote(parts.path)), store.parent / ARTIFACTS
    if before.name != ARTIFACTS or os.path.realpath(before) == os.path.realpath(beside):
        return None
    return None if before.is_dir() and not beside.is_dir() else before


def follow(store: Path, experiment: str) -> str:
    """Where the store was moved, the artifacts of the experiment and of its runs are those beside it from now on: what
    was done, in a sentence; else empty. Call it under the store's lock. Raises sqlite3.Error for a store that cannot be
    written to.
    """
    now = location(store.parent)
    with closing(sqlite3.connect(store, timeout=SECONDS)) as database:
        ask = "select artifact_location from experiments where experiment_id = ?"
        (written,) = database.execute(ask, [experiment]).fetchone() or ("",)
        before = left_behind(store, written or "")
        if before is None:
            return ""
        with database:  # both, or none
            database.execute("update experiments set artifact_location = ? where experiment_id = ?", [now, experiment])
            database.execute(
                "update runs set artifact_uri = ? || substr(artifact_uri, ?) "
                "where experiment_id = ? and substr(artifact_uri, 1, ?) = ?",
                [now, len(written) + 1, experiment, len(written) + 1, f"{written}/"],
            )
    return (
        f"MLflow's store was moved: the artifacts of its runs are those in {store.parent / ARTIFACTS}, not in {before}."
    )
