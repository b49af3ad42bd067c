"""Ending cells: scancel for Slurm's jobs, SIGTERM for processes of this host; and a word about it in each folder, at
which those that are out of reach leave by themselves.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gta.cellfolder import Attempt, BrokenRecord, Cancelled, CellFolder, Submitted, readable
from launch.grid.names import Named
from launch.slurm import commands as slurm
from launch.slurm.reconcile import where, word
from launch.state.jobs import HeldJob, Queue, Unknown
from launch.state.submission import read_submission

WAIT_SECONDS = 15.0  # for local cells to save and leave
_BY_ITSELF = "told by its folder: it leaves at its next step, or when it starts"
REMIND_SECONDS = 2.0  # a process that is only starting may not listen yet


@dataclass(frozen=True)
class Target:
    """A cell that is to end, and how it can be reached: as a Slurm job, a process of this host, by the word in its
    folder alone, or not at all.
    """

    cell: Named
    job: str | None = None  # Slurm's
    name: str = ""  # of that job
    process: Attempt | None = None  # the attempt that lives on this host
    asked: str = ""  # why the word in its folder must do
    over: str = ""  # why there is nothing to end
    beyond: str = ""  # why it cannot be ended from here

    @property
    def ending(self) -> bool:
        return bool(self.job or self.process or self.asked)


def targets(cells: Sequence[Named], everyone: Sequence[Named], held: Queue) -> list[Target]:
    """How each of the cells can be ended. `everyone`: all cells, of which some may share a job; whose job a broken
    record hides, shares none. `held`: what Slurm holds.
    """
    chosen = {cell.signature for cell in cells}
    sharing: dict[str, list[Named]] = {}
    looked = everyone if held and not isinstance(held, Unknown) else cells  # else there is no job that they could share
    mine = [(cell, readable(partial(_sent, cell.folder), say=lambda _: None)) for cell in looked]
    here = where(sent for _, sent in mine)
    for cell, sent in mine:
        if sent and isinstance(word(sent, held, here), HeldJob):
            sharing.setdefault(sent.job, []).append(cell)
    return [_target(cell, chosen, sharing, held, here) for cell in cells]


def _target(cell: Named, chosen: set[str], sharing: dict[str, list[Named]], held: Queue, here: str | None) -> Target:
    folder, last = cell.folder, cell.folder.latest_attempt()
    if folder.done:
        return Target(cell, over="done already")
    try:
        sent = _sent(folder)
    except BrokenRecord as error:
        if last is None or not last.here:
            return Target(cell, beyond=str(error))
        sent = None
    if last is not None and last.alive() and last.here and (sent is None or isinstance(held, Unknown)):
        return Target(cell, process=last)
    if sent is not None:
        said = word(sent, held, here)
        if isinstance(said, HeldJob):
            others = [other for other in sharing.get(sent.job, ()) if other.signature not in chosen]
            return _held(cell, sent, said, others)
        if isinstance(said, Unknown):
            return Target(cell, asked=said.why)
    if last is not None and last.alive():
        return Target(cell, process=last) if last.here else Target(cell, asked=f"it runs on {last.node or last.host}")
    return Target(cell, over="neither runs nor waits")


def _held(cell: Named, sent: Submitted, job: HeldJob, others: Sequence[Named]) -> Target:
    """A cell whose job Slurm holds; `others`: cells that are not to end, and may share it."""
    if not sent.name:  # the id may be another job's by now
        return Target(cell, asked=f"its record does not say what its job {job.job} is called")
    if others := [other for other in others if _unfinished(other)]:
        names = ", ".join(map(str, others))
        return Target(cell, beyond=f"its job {job.job} also runs {names}: name these with it, or leave it")
    return Target(cell, job=job.job, name=sent.name)


def _unfinished(cell: Named) -> bool:
    return not cell.folder.done


def _sent(folder: CellFolder) -> Submitted | None:
    """What a cell was sent to Slurm as; the job's name, which an old record does not have, is in the submission. Raises
    BrokenRecord.
    """
    submitted = folder.submitted()
    if submitted is None or submitted.cluster != "slurm":
        return None
    made = (
        None if submitted.name else readable(partial(read_submission, Path(submitted.log).parent), say=lambda _: None)
    )
    return replace(submitted, name=made.name) if made else submitted


def cancel(chosen: Sequence[Target], wait: float = WAIT_SECONDS) -> dict[str, str]:
    """End what can be ended; signature -> what was done. Local cells save first, which is waited for a while.

    The word in the folder comes first: a launcher that watches must not take the cell for one that got lost, and
    submit it again.
    """
    for target in chosen:
        if target.ending:
            record = Cancelled(time=time.time(), job=target.job, by=getpass.getuser())
            record.write(target.cell.folder.cancelled_file)
    jobs = {target.job: target.name for target in chosen if target.job}
    ended = slurm.cancel(jobs) if jobs else set()
    said = {target.cell.signature: _said(target, ended) for target in chosen}
    said.update(_end([target for target in chosen if target.process], wait))
    return said


def _said(target: Target, ended: set[str] | Unknown) -> str:
    if target.job and not isinstance(ended, Unknown):
        return f"job {target.job}: cancelled" if target.job in ended else f"job {target.job}: over meanwhile"
    if isinstance(ended, Unknown) and target.job:
        return f"{ended.why}; {_BY_ITSELF}"
    return target.over or target.beyond or f"{target.asked}; {_BY_ITSELF}"


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
