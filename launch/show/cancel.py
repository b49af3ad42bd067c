"""Ending cells: scancel for Slurm's jobs, SIGTERM for processes of this host; and a word about it in each folder."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from gta.cellfolder import Attempt, BrokenRecord, Cancelled, CellFolder, readable
from launch.grid.names import Named
from launch.slurm import commands as slurm
from launch.state.jobs import HeldJob

WAIT_SECONDS = 15.0  # for local cells to save and leave
REMIND_SECONDS = 2.0  # a process that is only starting may not listen yet


@dataclass(frozen=True)
class Target:
    """A cell that is to end, and how it can be reached: a Slurm job, a process of this host, or not at all."""

    cell: Named
    job: str | None = None  # Slurm's
    process: Attempt | None = None  # the attempt that lives on this host
    over: str = ""  # why there is nothing to end
    beyond: str = ""  # why it cannot be ended from here


def targets(cells: Sequence[Named], everyone: Sequence[Named], held: dict[str, HeldJob] | None) -> list[Target]:
    """How each of the cells can be ended. `everyone`: all cells, of which some may share a job; whose job a broken
    record hides, shares none. `held`: what Slurm holds, None where it does not answer here.
    """
    chosen = {cell.signature for cell in cells}
    sharing: dict[str, list[Named]] = {}
    for cell in everyone if held else ():
        if job := readable(partial(_slurm_job, cell.folder), say=lambda _: None):
            sharing.setdefault(job, []).append(cell)
    return [_target(cell, chosen, sharing, held) for cell in cells]


def _target(cell: Named, chosen: set[str], sharing: dict[str, list[Named]], held: dict[str, HeldJob] | None) -> Target:
    folder, last = cell.folder, cell.folder.latest_attempt()
    if folder.done:
        return Target(cell, over="done already")
    try:
        job = _slurm_job(folder)
    except BrokenRecord as error:
        if last is None or not last.here:
            return Target(cell, beyond=str(error))
        job = None
    if job and held is None and (last is None or not last.here):
        return Target(cell, beyond=f"job {job}: no Slurm answers here; cancel it on a login node")
    if job and held and job in held:
        others = [other for other in sharing.get(job, ()) if other.signature not in chosen and _unfinished(other)]
        if others:
            names = ", ".join(map(str, others))
            return Target(cell, beyond=f"its job {job} also runs {names}: cancel these together, or none")
        return Target(cell, job=job)
    if last is not None and last.alive():
        if last.here:
            return Target(cell, process=last)
        if job is None:
            return Target(cell, beyond=f"it runs on {last.host} (process {last.pid}): cancel it there")
    return Target(cell, over="neither runs nor waits")


def _unfinished(cell: Named) -> bool:
    return not cell.folder.done


def _slurm_job(folder: CellFolder) -> str | None:
    """The Slurm job of a cell. Raises BrokenRecord."""
    submitted = folder.submitted()
    return submitted.job if submitted and submitted.cluster == "slurm" else None


def cancel(chosen: Sequence[Target], wait: float = WAIT_SECONDS) -> dict[str, str]:
    """End what can be ended; signature -> what was done. Local cells save first, which is waited for a while.

    The word in the folder comes first: a launcher that watches must not take the cell for one that got lost, and
    submit it again.
    """
    said: dict[str, str] = {}
    reachable = [target for target in chosen if target.job or target.process]
    for target in reachable:
        record = Cancelled(time=time.time(), job=target.job, by=getpass.getuser())
        record.write(target.cell.folder.cancelled_file)
    if jobs := list(dict.fromkeys(target.job for target in reachable if target.job)):
        slurm.cancel(jobs)
    for target in chosen:
        said[target.cell.signature] = target.over or target.beyond or (f"job {target.job}: cancelled")
    local = [target for target in reachable if target.process]
    said.update(_end(local, wait))
    return said


def _end(local: Sequence[Target], wait: float) -> dict[str, str]:
    """Ask processes to save and leave, again and again for a while."""
    deadline, reminded = time.monotonic() + wait, 0.0
    alive = list(local)
    while alive and time.monotonic() < deadline:
        if time.monotonic() - reminded >= REMIND_SECONDS:
            reminded = time.monotonic()
            for target in alive:
                assert target.process is not None
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    # the rank that claimed the cell; the others follow it at the next step boundary
                    os.kill(target.process.pid, signal.SIGTERM)
        time.sleep(0.1)
        alive = [target for target in alive if (last := target.cell.folder.latest_attempt()) and last.alive()]
    left = {target.cell.signature for target in alive}
    return {
        target.cell.signature: "asked to stop; it is still saving"
        if target.cell.signature in left
        else "stopped, saved where it had begun to train"
        for target in local
    }
