"""The bounds on attempts: they end loops of requeues and deaths that come to nothing. The folder counts, not Slurm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gta.config import SiteConfig
from launch.state.attempts import Record, history


def progressed(record: Record) -> bool:
    """Whether an attempt saved a later iteration than the one it began at."""
    return int(record.fields.get("saved", -1)) > int(record.fields.get("from", 0))


def exhausted(folder: Path, site: SiteConfig, submitted: dict[str, Any]) -> str | None:
    """Why the cell in `folder` is not to be tried again, or None.

    Attempts up to the last asked retry (`submitted["base"]`) do not count; nor, as idle ones, those that were asked to
    stop and did.
    """
    all_records = history(folder)
    records = [record for record in all_records if record.number > submitted.get("base", 0)]
    if len(records) >= site.max_attempts:
        return f"{len(records)} attempts (site.max_attempts)"
    idle = 0
    for record in reversed(records):
        if progressed(record) or record.ended == "interrupted":
            break
        idle += 1
    if idle >= site.max_idle_attempts:
        return f"{idle} attempts without progress (site.max_idle_attempts)"
    begun = bool(all_records) and all_records[-1].number > submitted.get("after", 0)
    if not begun and submitted.get("tries", 0) >= site.max_idle_attempts:
        return f"submitted {submitted['tries']} times and never begun (site.max_idle_attempts)"
    return None
