"""The stamp in a cell's folder: what of the cell was sent to which MLflow store, so that a sync can skip it.

mlflow.json holds, for each store's URI (less a password): {"run_id", "files": as in `snapshot.files_of`, "sweeps":
[name], "status": MLflow's word, "ended": unix seconds or 0, "cursor": journal points sent}. It is a shortcut only: a
stamp that is lost, torn or old costs a look at the store and nothing else: it is replaced atomically, but not flushed
to disk.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from gta.text import masked_uri

NAME = "mlflow.json"


def read(folder: Path, uri: str) -> dict[str, Any]:
    """What was sent of the cell in `folder` to the store at `uri`; {} where that is not known."""
    return _all(folder).get(masked_uri(uri), {})


def write(folder: Path, uri: str, **fields: Any) -> None:
    """Remember what was sent. The sweeps of the same run add up."""
    stamps = _all(folder)
    old = stamps.get(masked_uri(uri), {})
    known = set(old.get("sweeps", ())) if old.get("run_id") == fields["run_id"] else set()
    stamps[masked_uri(uri)] = {**fields, "sweeps": sorted(known | set(fields["sweeps"]))}
    temporary = folder / f".{NAME}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(stamps, indent=1), encoding="utf-8")
    os.replace(temporary, folder / NAME)


def _all(folder: Path) -> dict[str, dict[str, Any]]:
    with contextlib.suppress(OSError, ValueError):
        stamps = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if isinstance(stamps, dict):
            return stamps
    return {}
