"""One launcher's view of a grid: which local jobs are its own, what to submit next, and when it is over."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from gta import files
from gta.cell import Cell
from gta.cellfolder import BrokenRecord, Cancelled, Death, Failure, readable
from gta.locks import Busy
from launch.slurm import patience, reasons
from launch.slurm.patience import PatientLook
from launch.state import order
from launch.state.jobs import HeldJob, Silent, Unknown
from launch.state.ledger import BUSY, Entry, State, silence, to_run
from launch.state.policy import POLICY
from launch.state.submission import ToSubmit, submission_lock
from launch.submit.selection import Selection

MANY = 20  # cells, of which it is said what is done meanwhile
STUCK_LOOKS = 3  # in a row, before a job that is held is no longer waited for
TURN_SECONDS = 4.0  # for another launcher, at each turn of one that watches
SAVE_SECONDS = 60.0  # for cells to save when they are asked to stop


class Cluster(Protocol):
    """Where jobs run."""

    name: str
    at_once: int  # most cells at the same time; 0: the cluster knows

    def recover(self, runs: Path) -> Mapping[str, Unknown]:
        """Finish the records of submissions that a launcher left when it was killed; cells of those of which nobody
        knows whether they were sent, by their signatures.
        """

    def ready(self, entries: Sequence[Entry]) -> bool:
        """Whether it may take more jobs than it did when it was last asked."""

    def submit(self, cells: Sequence[ToSubmit], entries: Sequence[Entry]) -> dict[str, str]:
        """Start or queue jobs, and write what each cell was submitted as; the cells' jobs by signature.

        Those that it does not take now are left out: they are submitted later. `entries`: all cells of the grid. Raises
        Silent where the scheduler does not answer.
        """

    def avoid_failing_nodes(self, entries: Sequence[Entry]) -> None:
        """Keep jobs that wait away from nodes that fail; asked at each look."""

    def held(self, jobs: Collection[str]) -> Mapping[str, HeldJob]:
        """Those jobs that this process holds itself: none where a scheduler does."""

    def cancel(self, jobs: Collection[str]) -> None:
        """End jobs; cells save themselves where they can."""


class Watch:
    """Submits what is missing, a turn at a time. Of the cells it keeps nothing that their folders do not say."""

    def __init__(
        self, cells: list[Cell], cluster: Cluster, selection: Selection, clock: Callable[[], float] = time.time
    ):
        self.cells = cells
        self.cluster = cluster
        self.runs = Path(cells[0].config.paths.runs)
        self.jobs: dict[str, str] = {}  # signature -> job that this process holds
        self.silence: Unknown | None = None  # why nothing is submitted now
        self.retry: dict[str, tuple[str, float] | None] = {}  # asked for again -> as what they were sent before
        self._reconciled = PatientLook(self.runs, clock)
        self._clock, self._pause = clock, 0.0  # between looks for submissions of which nobody knows
        self._said: set[str] = set()
        self.heard: Callable[[list[Entry]], None] = lambda entries: None  # who hears of each look
        self._stuck: dict[str, int] = {}  # signature -> looks in a row at which its job could not start by itself
        with submission_lock(self.runs):
            self._recover()
        self.first = self.look()
        for entry in self.first:
            if entry.state is State.DONE and not entry.cell.folder.frozen:  # somebody removed a broken one
                entry.cell.write()
        chosen, about = selection.of(self.first), selection.named(self.first)
        named = {e.cell.signature for e in about if e.state is not State.DONE}
        # why nobody knows whether there is something to run again
        self.doubt = self.silence or next((why for cell, why in self._unsure.items() if cell in named), None)
        self.only = {e.cell.signature for e in (chosen if selection.again else about)}
        self.retry = {e.cell.signature: _sent(e.cell) for e in chosen if not to_run(e)}
        self.new_order = selection.new_order

    def look(self, now: bool = False) -> list[Entry]:
        """The states of all cells; forgets jobs of ours that are over, and writes down verdicts that fade in Slurm.

        Slurm's answer may be of a while ago (see `launch.slurm.patience`), but where it is wanted `now`.
        """
        held = self.cluster.held(self.jobs.values())
        entries = self._reconciled(self.cells, held, now)
        self.silence = silence(entries)
        entries = [self._doubted(entry) for entry in entries]
        for cell in (entry.cell for entry in entries if entry.cell.signature in self.retry):
            if (sent := _sent(cell)) and sent != self.retry[cell.signature]:  # by whomever: it is asked for once
                del self.retry[cell.signature]
        stuck = [entry.cell.signature for entry in entries if entry.held and reasons.stuck(entry.held)]
        self._stuck = {signature: self._stuck.get(signature, 0) + self._reconciled.new for signature in stuck}
        for entry in entries:
            job = self.jobs.get(entry.cell.signature)
            if job is not None and job not in held and entry.state is not State.RUNNING:
                del self.jobs[entry.cell.signature]
            with contextlib.suppress(BrokenRecord):  # since the look: the next one says so
                settle(entry)
        self.heard(entries)
        return entries

    def _doubted(self, entry: Entry) -> Entry:
        """The entry of a cell that a launcher may have sent before it died says so."""
        doubt = self._unsure.get(entry.cell.signature)
        return replace(entry, unknown=doubt) if doubt and to_run(entry) else entry

    def wanted(self, entries: Sequence[Entry]) -> list[Entry]:
        """What is to be submitted now or later."""
        return [entry for entry in entries if self._wanted(entry)]

    def turn(self, comes_again: bool = True) -> list[Entry]:
        """Look at all cells, and submit those that are missing as far as there is room.

        `comes_again`: that another turn follows, which submits what is missing where another launcher is submitting for
        long now. Else raises Busy.
        """
        try:
            return self._turn(TURN_SECONDS if comes_again else None)
        except Busy as error:
            if not comes_again:
                raise
            if error.why not in self._said:
                self._said.add(error.why)
                print(f"Nothing is submitted meanwhile: {error.why}; {error.advice}.", file=sys.stderr, flush=True)
            return self.look()

    def _turn(self, seconds: float | None) -> list[Entry]:
        entries = self.look()
        if self.silence:
            return entries
        self.cluster.avoid_failing_nodes(entries)
        if self._unsure and self._clock() >= self._again:
            with submission_lock(self.runs, seconds=seconds):
                self._recover()
            entries = self.look()
        wanted = self.wanted(entries) and self.cluster.ready(entries)
        if not (wanted and self._room(entries)):
            return entries
        with submission_lock(self.runs, seconds=seconds):
            self._recover()
            entries = self.look(now=True)  # another launcher may have sent jobs since
            quiet = self.silence or not self.cluster.ready(entries)
            chosen = [] if quiet else self.wanted(entries)[: self._room(entries)]
            return self._submitted(chosen, entries) if chosen else entries

    @property
    def never_start(self) -> set[str]:
        """Cells whose jobs Slurm will not start by itself, by signature, where that was so for a few looks."""
        return {signature for signature, looks in self._stuck.items() if looks >= STUCK_LOOKS}

    def _recover(self) -> None:
        """Finish submissions that a launcher left; those of which nobody knows are looked for ever more seldom."""
        self._unsure = self.cluster.recover(self.runs)  # cells that a launcher may have sent before it died
        self._pause = min(patience.LONG, max(patience.SHORT, self._pause * patience.GROWTH)) if self._unsure else 0.0
        self._again = self._clock() + self._pause

    def _submitted(self, chosen: Sequence[Entry], entries: Sequence[Entry]) -> list[Entry]:
        """Submits cells; what comes of it. Where the scheduler falls silent, the rest wait for another turn."""
        silent = None
        try:
            self._submit(chosen, entries)
        except Silent as error:
            silent = error.unknown
        after = self.look(now=True)
        self.silence = self.silence or silent
        return after

    def _room(self, entries: Sequence[Entry]) -> int:
        if not self.cluster.at_once:
            return len(entries)
        elsewhere = [e for e in entries if e.here and e.state is State.RUNNING and e.cell.signature not in self.jobs]
        return max(0, self.cluster.at_once - len(self.jobs) - len(elsewhere))

    def _submit(self, chosen: Sequence[Entry], entries: Sequence[Entry]) -> None:
        cells = [ToSubmit.of(entry, entry.cell.signature in self.retry) for entry in chosen]
        if len(cells) > MANY:
            print(f"writing the folders of {len(cells):,} cells ...", file=sys.stderr, flush=True)
        with files.together(self.runs) as put:
            for one in cells:
                one.cell.write(put)
        for entry in chosen:
            if self.new_order and entry.cause is Death.DIVERGED and entry.cell.signature in self.retry:
                order.ask(entry.cell.folder)
        if len(cells) > MANY:
            print(f"submitting {len(cells):,} cells ...", file=sys.stderr, flush=True)
        jobs = self.cluster.submit(cells, entries)
        held = self.cluster.held(jobs.values())
        for signature, job in jobs.items():
            if job in held:
                self.jobs[signature] = job
            self.retry.pop(signature, None)

    def _wanted(self, entry: Entry) -> bool:
        signature = entry.cell.signature
        if signature in self.jobs or signature not in self.only or signature in self._unsure:
            return False
        if signature not in self.retry:
            return to_run(entry)
        nobody_knows = entry.unknown is not None and not entry.unknown.silent
        return nobody_knows or entry.state not in (State.DONE, State.RUNNING, State.QUEUED, State.DAMAGED)

    def over(self, entries: Sequence[Entry]) -> bool:
        """Nothing of ours runs, nothing waits that could ever start, and nobody else is at one of the cells."""
        never = self.never_start
        going = [entry for entry in entries if entry.cell.signature not in never]
        busy = any(entry.state in BUSY for entry in going)
        unsure = any(entry.cell.signature in self._unsure and entry.state is not State.DONE for entry in entries)
        return not (self.jobs or busy or unsure or self.wanted(entries))

    def stop(self) -> list[Entry]:
        """End the jobs that this process holds: each saves at its next step boundary."""
        mine = list(self.jobs.values())
        self.cluster.cancel(mine)
        deadline = time.monotonic() + SAVE_SECONDS
        while self.cluster.held(mine) and time.monotonic() < deadline:
            time.sleep(0.2)
        return self.look()


def _sent(cell: Cell) -> tuple[str, float] | None:
    """As which job the cell was last submitted, and when; None where that cannot be read."""
    found = readable(cell.folder.submitted, say=lambda _: None)
    return (found.job, found.time) if found else None


def settle(entry: Entry) -> None:
    """Write down why a cell will not be run again by itself, while Slurm still remembers it."""
    folder = entry.cell.folder
    if entry.cause is None or POLICY[entry.cause].again or entry.state not in (State.FAILED, State.CANCELLED):
        return
    now = time.time()
    if entry.state is State.CANCELLED:
        if folder.cancelled() is None:
            Cancelled(time=now, job=entry.job, by="scancel").write(folder.cancelled_file)
    elif entry.cause is not Death.GAVE_UP and folder.failure_of(entry.attempts) is None:
        failure = Failure(attempt=entry.attempts, error=entry.detail, time=now, cause=entry.cause, log=entry.log)
        failure.write(folder.failure_file)
