"""One cell in the foreground, with a debugger where one is wanted: in this process, or as a rank of srun's
(`python -m launch.job.foreground FOLDER ASKED [--pdb]`).

It is an attempt like any other: it claims the cell, and Ctrl-C saves and leaves.
"""

from __future__ import annotations

import bdb
import os
import pdb
import sys
import time
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from gta.cellfolder import CellFolder, Submitted
from gta.errors import UserError
from gta.masking import mask_output
from launch.job.attempt import run_cell
from launch.job.rendezvous import Place, rendezvous
from launch.job.signals import Signals
from launch.state.submission import record_submission


def main(arguments: list[str]) -> int:
    """As a rank of a job of Slurm; the exit code is that of `run`."""
    signals = Signals(in_slurm=True).install()
    mask_output()
    import submitit

    folder, asked = CellFolder(Path(arguments[0])), float(arguments[1])
    os.environ.update(SUBMITIT_EXECUTOR="slurm", SUBMITIT_FOLDER=str(folder.path))  # as submitit tells its jobs
    place = Place.of(submitit.JobEnvironment(), None)
    if place.rank == 0 and not _sent(folder, asked, place):
        return 1
    return run(folder, "--pdb" in arguments, place, signals)


def run_here(folder: CellFolder, post_mortem: bool) -> int:
    """In this process; the exit code is that of `run`."""
    return run(folder, post_mortem) if _sent(folder, time.time()) else 1


def run(folder: CellFolder, post_mortem: bool, place: Place | None = None, signals: Signals | None = None) -> int:
    """One attempt; 0 where the cell is done, 1 where it failed, was interrupted, or another process has it."""
    hook = sys.breakpointhook
    if "PYTHONBREAKPOINT" not in os.environ:
        sys.breakpointhook = _breakpoint
    try:
        with rendezvous(folder, place) if place else nullcontext():
            how = run_cell(folder, place, signals, watched=False)
    except bdb.BdbQuit:
        print("Left the debugger: the cell goes on from its last checkpoint.", flush=True)
        return 1
    except Exception as error:
        if isinstance(error, UserError):
            print(f"error: {error}", file=sys.stderr, flush=True)
            return 1
        traceback.print_exception(error)
        if post_mortem and (place is None or place.rank == 0):
            pdb.post_mortem(error.__traceback__)
        return 1
    finally:
        sys.breakpointhook = hook
    print(f"{how}.", flush=True)
    return 0 if how == "done" else 1


def _breakpoint(*_: Any, **__: Any) -> None:
    """pdb without its own Ctrl-C: that saves and leaves, also after `continue`."""
    pdb.Pdb(nosigint=True).set_trace(sys._getframe(1))


def _sent(folder: CellFolder, asked: float, place: Place | None = None) -> bool:
    """Write down as which job the cell runs, so that others can cancel it, and attempts of before count no more; False
    where it was submitted to somebody else since this was asked for.
    """
    before, last = folder.submitted(), folder.latest_attempt()
    if before is not None and before.time > asked:
        print(f"The cell was submitted as job {before.job} meanwhile; leaving it alone.", flush=True)
        return False
    if last is not None and last.alive():
        return True  # the claim says who has it
    sent = Submitted(
        job=place.job if place else str(os.getpid()),
        cluster="slurm" if place else "local",
        log="",
        time=time.time(),
        after=last.number if last else 0,
        name=os.environ.get("SLURM_JOB_NAME", "") if place else "",
        cluster_name=os.environ.get("SLURM_CLUSTER_NAME", "") if place else "",
    )
    record_submission(folder, sent, asked=True)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
