"""The frame around one attempt at a cell, on every rank: claim, train, close."""

from __future__ import annotations

import bdb
import contextlib
import os
import socket
import sys
import traceback
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from gta import garbage
from gta.cell import Cell
from gta.cellfolder import CellFolder, Submitted, readable
from gta.compose import sbatch
from gta.compose.compose import read_config
from gta.config import Config, SiteConfig
from gta.errors import UserError
from gta.files import full_disk
from gta.masking import mask_output
from gta.ops import distributed
from gta.processes import first_rank
from gta.provenance.environment import environment
from gta.train.control import Control, Request
from launch.job import failure, telling
from launch.job.rendezvous import Place, rendezvous
from launch.job.signals import Signals
from launch.job.watchdog import Watchdog, watchdog
from launch.slurm.resources import held
from launch.state import policy
from launch.state.attempts import GONE, Claim, Superseded, claim, who


@dataclass(frozen=True)
class Sent:
    """What a Slurm job knows of itself before its cell's `submitted.json` is written: attempts up to `after` are over,
    a scheduler said so; when it was made; and whether a person asked for the cell again.
    """

    after: int = 0
    time: float = 0.0
    asked: bool = False


def run_rank(folder: CellFolder, place: Place, signals: Signals | None = None, sent: Sent = Sent()) -> str:
    """What `run_cell` says; a failure is printed, and leaves the process with exit code 1 for the scheduler to see."""
    mask_output()
    try:
        if not folder.path.is_dir():  # the ranks would make it anew to meet there
            raise UserError(f"{folder.path} is gone: the cell's folder was deleted or moved after it was submitted.")
        with rendezvous(folder, place):
            how = run_cell(folder, place, signals, sent)
        if how == "done":
            telling.tell_end(folder, place.rank)
        return how
    except Exception as error:
        if isinstance(error, UserError) or full_disk(error):
            print(f"error: {failure.in_words(error)}", file=sys.stderr, flush=True)
        else:
            traceback.print_exception(error)
        telling.tell_end(folder, place.rank)
        sys.exit(1)  # the log has the cause: let that be its end, not the way up through submitit


def run_cell(
    folder: CellFolder,
    place: Place | None = None,
    signals: Signals | None = None,
    sent: Sent = Sent(),
    watched: bool = True,
) -> str:
    """One attempt at the cell in `folder`, on every rank: `done`, `interrupted` (saved; it can go on), or not begun:
    `taken` by another process, or `cancelled` while its job waited.

    `place`: where this process stands in its job, with this rank's log; None outside of jobs. `signals`: those heard so
    far, where somebody listens already. `watched`: whether it is ended where it makes no progress (a person in a
    debugger makes none). Raises what the attempt raises, after the failure and the log were written; UserError where
    the cell was tried too often.
    """
    number, mine, left, other = None, None, "taken", ""
    listening = signals or Signals()
    until_the_end = contextlib.ExitStack()
    try:
        config = read_config(folder.config_file)
        dog = until_the_end.enter_context(_watchdog(folder, config.site.stuck_minutes if watched else 0, place))
        # before anything is written, so that none of it is left half done; our handlers come after submitit's, which
        # would count a preemption as a time-out and requeue by themselves
        if signals is None:
            listening.install()
        # a cell that another launcher finished while this process started is no attempt at it
        if first_rank() and not folder.done:
            if given_up := policy.exhausted(folder.attempts(), config.site, _submitted(folder, sent)):
                raise UserError(f"This cell is given up after {given_up}; `gta retry` runs it again.")
            if place is not None and _cancelled(folder, sent):
                left = "cancelled"
            elif mine := _claim(folder, config, place, sent):
                number = mine.number
                mine.start()
            elif holder := folder.latest_attempt():
                other = who(holder)
        if mine or not (first_rank() or folder.done):
            _check_gpu(config.site)
        distributed.init_from_env(config.site.device)
        number, left = distributed.broadcast_object((number, left))
        if number is not None:
            dog.attempt(number)
        if distributed.broadcast_object(folder.done):  # also where it was finished since
            if mine:
                mine.end("done")
            return "done"
        if number is None:
            why = {
                "taken": f"Another process has this cell ({other})" if other else "Another process has this cell",
                "cancelled": "This cell was cancelled after its submission",
            }
            print(f"{why[left]}; leaving it alone.", flush=True)
            return left
        cell = Cell.load(folder, config)
        from gta.train.run import train

        garbage.as_usual()
        finished = train(cell, _Control(mine, listening))
        how = "done" if finished else "interrupted"
        if mine:
            mine.end(how, why=None if finished else _why(mine, listening))
        return how
    except Superseded as error:
        _stop(error)
    except (KeyboardInterrupt, bdb.BdbQuit):  # the latter: somebody left a debugger
        if mine:
            with contextlib.suppress(Superseded):
                mine.end("interrupted")
        raise
    except BaseException as error:
        if mine and mine.gone():  # what failed is that nothing could be written any more
            _stop(Superseded(f"{folder.path} {GONE}"))
        failure.record(folder, number, error, mine, place.log if place else None)
        raise
    finally:
        if signals is None:
            listening.remove()
        distributed.shutdown()
        until_the_end.close()


def _watchdog(folder: CellFolder, minutes: float, place: Place | None) -> AbstractContextManager[Watchdog]:
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    hosts = place.host != "127.0.0.1" if place else world > int(os.environ.get("LOCAL_WORLD_SIZE", world))
    return watchdog(folder, minutes, rank, world, hosts)


def _cancelled(folder: CellFolder, sent: Sent) -> bool:
    """Whether somebody ended the cell since it was submitted; a broken record says nothing."""
    found = readable(folder.cancelled, say=lambda _: None)
    return found is not None and found.time > sent.time


def _submitted(folder: CellFolder, sent: Sent) -> Submitted | None:
    """What the cell was submitted as. A retry's job may begin before that is written: what is there is history."""
    found = folder.submitted()
    if sent.asked and (found is None or found.time < sent.time):
        return Submitted(job="", cluster="slurm", log="", time=sent.time, after=sent.after, base=sent.after)
    return found


def _why(mine: Claim, signals: Signals) -> str | None:
    """What stopped an attempt, where that was not a person's signal."""
    return "cancelled" if mine.cancelled else "time limit" if signals.time_limit else None


def _check_gpu(site: SiteConfig) -> None:
    """Raises UserError where a GPU was asked for, and would go unused."""
    if site.device != "auto" or not site.gpu_must_be_seen or not sbatch.gpus(site) or torch.cuda.is_available():
        return
    why = "see what nvidia-smi says there" if torch.backends.cuda.is_built() else "it is built without CUDA"
    raise UserError(
        f"This job asks for a GPU, and PyTorch {torch.__version__} sees none on {socket.gethostname()} ({why}): mend "
        "that, or say that none is needed by site.gpus_per_node=null, site.device=cpu or site.gpu_must_be_seen=false."
    )


def _stop(error: Superseded) -> NoReturn:
    """End at once: the ranks must not wait for each other, and nothing more may be written."""
    print(f"Stopping: {error}.", flush=True)
    os._exit(3)


def _claim(folder: CellFolder, config: Config, place: Place | None, sent: Sent) -> Claim | None:
    """The next attempt, with what is known of this process and of what it holds in its record."""
    holds = held(config, gpus_here=torch.cuda.is_available())
    found: dict[str, Any] = {"gpus": holds.gpus, "cores": holds.cores, "environment": environment()}
    if place is not None:
        found |= {"job": place.job, "restart": place.restart, "log": place.log, "node": place.node}
    return claim(folder, sent.after, since=sent.time, **found)


class _Control(Control):
    """Signals and the claim, as the trainer sees them."""

    def __init__(self, mine: Claim | None, signals: Signals):
        self.mine = mine
        self.signals = signals

    def request(self) -> Request:
        if self.mine and self.mine.lost:
            raise self.mine.lost
        return Request.STOP if self.mine and self.mine.cancelled else self.signals.request()

    def check(self) -> None:
        if self.mine:
            self.mine.check()

    def began(self, iteration: int) -> None:
        if self.mine:
            self.mine.began(iteration)

    def saved(self, iteration: int) -> None:
        self.signals.saved(iteration)
        if self.mine:
            self.mine.saved(iteration)

    def answered(self) -> None:
        self.signals.answered()
