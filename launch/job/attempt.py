"""The frame around one attempt at a cell, on every rank: claim, train, close; and the callable of local jobs."""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gta.cell import Cell
from gta.compose.compose import read
from gta.config import Config
from gta.data.splits.split import load_split
from gta.errors import UserError
from gta.files import write_json
from gta.ops import distributed
from gta.provenance.environment import environment
from gta.train.control import Control, Wish
from launch.job.rendezvous import Place, meeting
from launch.job.signals import Signals
from launch.state import policy
from launch.state.attempts import Attempt, Superseded, claim, latest
from launch.state.bounds import exhausted
from launch.state.ledger import read_json

PEER_SECONDS = 10.0  # for the rank that failed first to say why
# what torch says on a rank whose peer is gone (gloo, NCCL, the rendezvous store)
_PEER = ("gloo", "nccl", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "recvValue failed")


@dataclass(frozen=True)
class Job:
    """Runs the cell in `folder` as a rank of a local submitit job. A failure leaves a non-zero exit code."""

    folder: str

    def __call__(self) -> str:
        import submitit

        job = submitit.JobEnvironment()
        return run_rank(Path(self.folder), Place.of(job, str(job.paths.stdout)))


def run_rank(folder: Path, place: Place, signals: Signals | None = None, after: int = 0) -> str:
    """What `run_cell` says; a failure is printed, and leaves the process with exit code 1 for the scheduler to see."""
    try:
        with meeting(folder, place):
            return run_cell(folder, signals=signals, after=after, **place.record())
    except Exception as error:
        if isinstance(error, UserError):
            print(f"error: {error}", file=sys.stderr, flush=True)
        else:
            traceback.print_exception(error)
        sys.exit(1)  # the log has the cause: let that be its end, not the way up through submitit


def run_cell(folder: Path, signals: Signals | None = None, after: int = 0, **fields: Any) -> str:
    """One attempt at the cell in `folder`, on every rank: `done`, `interrupted` (saved; it can go on), or `taken`.

    `signals`: those heard so far, where somebody listens already. `after`: attempts up to this number are over, a
    scheduler said so. `fields` go into the attempt's record; `log` is this rank's. Raises what the attempt raises,
    after `failure.json` and the log were written; UserError where the cell was tried too often.
    """
    number, attempt = None, None
    listening = signals or Signals()
    try:
        config = read(folder / "config.yaml")
        if int(os.environ.get("RANK", 0)) == 0:
            if given_up := exhausted(folder, config.site, read_json(folder / "submitted.json") or {}):
                raise UserError(f"This cell is given up after {given_up}; `gta retry` runs it again.")
            if attempt := claim(folder, after, **environment(), **fields):
                number = attempt.number
                attempt.start()
        distributed.init_from_env(config.site.device)
        number = distributed.broadcast_object(number)
        if distributed.broadcast_object((folder / "result.json").exists()):  # another launcher was faster
            if attempt:
                attempt.end("done")
            return "done"
        if number is None:
            print("Another process has this cell; leaving it alone.", flush=True)
            return "taken"
        check_identity(config, folder)
        # our handlers come after submitit's, which would count a preemption as a time-out and requeue by themselves
        if signals is None:
            listening.install()
        from gta.train.run import train

        finished = train(config, folder, signature=folder.name, control=_Control(attempt, listening))
        how = "done" if finished else "interrupted"
        if attempt:
            attempt.end(how, **({"why": "time limit"} if not finished and listening.time_limit else {}))
        return how
    except Superseded as error:
        print(f"Stopping: {error}.", flush=True)
        os._exit(3)  # the ranks must not wait for each other, and nothing more may be written
    except KeyboardInterrupt:
        if attempt:
            attempt.end("interrupted")
        raise
    except BaseException as error:
        _record_failure(folder, number, error, attempt, fields.get("log"))
        raise
    finally:
        if signals is None:
            listening.remove()
        distributed.shutdown()


def check_identity(config: Config, folder: Path) -> None:
    """Raises UserError where the lists or weights are no longer those that the cell in `folder` was made of."""
    if distributed.rank() == 0 and (now := Cell.of(config, load_split(config.data)).signature) != folder.name:
        raise UserError(
            f"The split lists or initial weights changed after the cell {folder.name[:8]} was frozen (they are those "
            f"of {now[:8]} now): put them back, or run multirun again, which makes a new cell of them."
        )


class _Control(Control):
    """Signals and the claim, as the trainer sees them."""

    def __init__(self, attempt: Attempt | None, signals: Signals):
        self.attempt = attempt
        self.signals = signals

    def wish(self) -> Wish:
        return self.signals.wish()

    def check(self) -> None:
        if self.attempt:
            self.attempt.check()

    def began(self, iteration: int) -> None:
        if self.attempt:
            self.attempt.note(**{"from": iteration})

    def saved(self, iteration: int) -> None:
        self.signals.heeded()
        if self.attempt:
            self.attempt.note(saved=iteration)


def _record_failure(
    folder: Path, number: int | None, error: BaseException, attempt: Attempt | None, log: str | None
) -> None:
    """Say why the attempt failed, unless a later one has the cell by now.

    The rank that failed first writes it: the others only see a lost connection. Where none does, a rank was killed,
    and the attempt is lost: it is not the cell's fault, and it goes on by itself.
    """
    last = latest(folder)
    if number is not None and last is not None and last.number > number:
        return
    if number is None:  # failed before rank 0 could say which attempt this is
        number = last.number if last else 0
    path = folder / "failure.json"
    first = read_json(path)
    if _lost_a_peer(error):
        deadline = time.monotonic() + PEER_SECONDS
        while (first is None or first["attempt"] != number) and time.monotonic() < deadline:
            time.sleep(0.2)
            first = read_json(path)
        if first is None or first["attempt"] != number:
            if attempt:
                attempt.end("lost", error="another rank died without a word", log=log)
            return
    if first is None or first["attempt"] != number:
        text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        line = next((part for part in text.splitlines() if part.strip()), type(error).__name__)
        fields = {"attempt": number, "error": line, "time": time.time(), "rank": distributed.rank(), "log": log}
        first = {**fields, "cause": str(policy.of_exception(error))}
        write_json(path, first)
    if attempt:
        attempt.end("failed", error=first["error"], log=first["log"])  # the log that tells the cause


def _lost_a_peer(error: BaseException) -> bool:
    return distributed.world_size() > 1 and isinstance(error, RuntimeError) and any(w in str(error) for w in _PEER)
