"""The drill's side of a run: a launcher's look at its cell, again and again, and the interruption at each point."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from gta.cell import Cell
from gta.cellfolder import process_start
from launch.drill.points import DrillFolder, How, Plan
from launch.show.logs import log_tail
from launch.slurm import commands as slurm
from launch.state.jobs import Unknown
from launch.state.ledger import Entry, State
from launch.submit.interrupt import Interrupt
from launch.submit.launcher import POLL_SECONDS
from launch.submit.selection import Selection
from launch.submit.watch import Cluster, Watch

LEAVE_SECONDS = 120.0  # for a job to end when its cell is over

Say = Callable[[str], None]


class Failed(Exception):
    """A drill's run came to no result: why, and the end of its log."""


def train(cell: Cell, cluster: Cluster, plan: Plan, on_slurm: bool, say: Say) -> None:
    """Run the cell to its end, as a launcher that watches does, and interrupt it at the points of the plan.

    Raises Failed where it comes to no result. Whatever ends this (Ctrl-C, a requeue that is refused, a full disk) ends
    its job.
    """
    watch = Watch([cell], cluster, Selection())
    hand = Hand(cell, cluster, plan, say)
    entries = watch.first
    with Interrupt() as ctrl_c:
        try:
            while not watch.over(entries := watch.turn()):
                hand.look(entries[0])
                ctrl_c.check()
                time.sleep(POLL_SECONDS[cluster.name])
        except BaseException:  # its job would wait at its point, and go on after that
            _end(watch, cell, on_slurm)
            raise
    _leave(cell, on_slurm)
    if entries[0].state is not State.DONE:
        tail = log_tail(entries[0])
        raise Failed(f"a run of the drill came to no result: {entries[0].reason}" + (f"\n{tail}" if tail else ""))


def _leave(cell: Cell, on_slurm: bool) -> None:
    """Wait until the job of a cell that is over has left: what it leaves behind may then be removed."""
    deadline = time.monotonic() + LEAVE_SECONDS
    while (last := cell.folder.latest_attempt()) and last.alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    sent = cell.folder.submitted()
    while on_slurm and sent and slurm.live({sent.job}) == {sent.job} and time.monotonic() < deadline:
        time.sleep(1.0)


def _end(watch: Watch, cell: Cell, on_slurm: bool) -> None:
    """End the job of a drill that ends before it."""
    sent = cell.folder.submitted()
    if not on_slurm:
        watch.stop()
    elif sent:
        slurm.cancel({sent.job: sent.name})


class Hand:
    """Interrupts the run where it says that it is at a point, each once."""

    def __init__(self, cell: Cell, cluster: Cluster, plan: Plan, say: Say):
        self.drill = DrillFolder.of(cell.folder)
        self.cluster = cluster
        self.left = list(enumerate(plan.points))
        self.say = say
        self.said = ""

    def look(self, entry: Entry) -> None:
        if entry.state is State.QUEUED and self.cluster.name == "slurm" and entry.detail != self.said:
            self.said = entry.detail
            self.say(f"  waits: {entry.detail}")
        if not self.left:
            return
        number, point = self.left[0]
        met = self.drill.met(number)
        if met is None or entry.job is None:
            return
        if point.how is How.REQUEUE:
            refused = slurm.requeue(entry.job)
            if isinstance(refused, Unknown):
                return  # asked again
            if refused:
                raise Failed(f"scontrol requeue {entry.job} was refused ({refused})")
        elif point.how is How.SIGNAL:
            self.cluster.cancel([entry.job])  # the job's SIGTERM, which it hands on to its ranks
        elif process_start(met.pid) == met.started:
            os.kill(met.pid, signal.SIGKILL)
        self.say(f"  {point.words}")
        del self.left[0]
