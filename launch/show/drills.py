"""What drills leave in `runs/drills`: the runs of one that found a difference, or was killed; found for `gc`."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from gta import locks
from gta.cellfolder import CellFolder, cell_folders, readable
from launch.show.words import duration
from launch.slurm import cluster
from launch.state.damage import latest
from launch.state.jobs import HeldJob

BUSY = "it is under way, or its lock cannot be had"
JOBS = "jobs of it may still run"


def lock_file(drill: Path) -> Path:
    """What a drill holds while it works in a folder (`launch.drill.drill`)."""
    return drill.with_suffix(".lock")


def drills(runs: Path, signatures: Collection[str]) -> Iterator[Path]:
    """The folders of drills of these cells, whoever works in them."""
    for folder in sorted((runs / "drills").glob("*")):
        if folder.name in signatures and folder.is_dir() and not folder.is_symlink():
            yield folder


def busy(drill: Path, held: Mapping[str, HeldJob] | None) -> str:
    """Why the folder of a drill must stay; "" where it may go. `held`: what Slurm holds; None where it cannot be asked.

    A drill that was killed leaves its jobs, which write on.
    """
    with locks.lock_within(lock_file(drill), 0) as mine:
        return running(drill, held) if mine else BUSY


def running(drill: Path, held: Mapping[str, HeldJob] | None) -> str:
    """As `busy`, for who has the drill's lock."""
    cells = [cell for run in sorted(drill.glob("*")) for cell in cell_folders(run)]
    return JOBS if any(_runs(cell, held) for cell in cells) else ""


def age(drill: Path) -> str:
    """How long ago anything in it was written, in words."""
    times = [path.lstat().st_mtime for path in (drill, *drill.rglob("*"))]
    return f"untouched for {duration(max(0.0, time.time() - max(times)))}"


def _runs(cell: CellFolder, held: Mapping[str, HeldJob] | None) -> bool:
    """Whether a process or a job of a drill's cell is there, or may be."""
    last = latest(cell)
    if last is not None and last.alive():
        return True
    sent = readable(cell.submitted, say=lambda _: None)
    if sent is None or sent.cluster != "slurm" or cell.done:
        return False
    return held is None or sent.job in held or sent.cluster_name not in ("", cluster.name())
