"""What a Slurm job runs on every rank: `python -m launch.job.start SUBMISSION_FOLDER [CELL_INDEX]`.

It listens for signals before it imports anything heavy, finds its cells in the submission, runs one in this process
or several beside each other, and puts the job back into the queue when a cell was stopped by the time limit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gta import garbage
from gta.bars import Lines
from gta.masking import mask_output
from gta.progress import shown_by
from launch.job.signals import KINDS, Signals

if TYPE_CHECKING:
    from launch.state.submission import Submission

REQUEUE = "GTA_REQUEUE"  # names the file by which a rank in a container asks the job's script to put the job back
UNFINISHED = 75  # exit code (EX_TEMPFAIL) of a rank that saved and left; a job must not read COMPLETED for it
REQUEUE_SECONDS = 60.0  # in which a scontrol that is silent is asked again
PAUSE_SECONDS = 5.0
LEAVE_SECONDS = 30.0  # for Slurm to end a job that it was told to requeue


def main(arguments: list[str], signals: Signals | None = None) -> int:
    """The exit code: 0 done (or another process has the cell), 1 failed, 75 saved and to be continued.

    `signals`: those of a process that listens already.
    """
    signals = signals or Signals(in_slurm=True).install()
    mask_output()
    garbage.spare()
    from launch.state.submission import read_submission

    made = read_submission(Path(arguments[0]))
    if len(arguments) > 1:
        return run_one(made, int(arguments[1]), signals, alone=False)
    mine = made.mine(int(os.environ.get("SLURM_ARRAY_TASK_ID", 0)) if made.array else 0)
    if made.together == 1:
        return run_one(made, mine[0], signals, alone=True)
    return run_together(made, mine, signals)


def run_one(made: Submission, index: int, signals: Signals, alone: bool) -> int:
    """One cell, in this process."""
    os.environ["SUBMITIT_FOLDER"] = str(made.folder)
    import submitit

    from launch.job.attempt import Sent, run_rank
    from launch.job.rendezvous import Place

    environment = submitit.JobEnvironment()
    log = made.log_of(environment.job_id, index, environment.global_rank)
    place = Place.of(environment, log)
    task = made.tasks[index]
    with shown_by(Lines()):
        how = run_rank(made.cell_folder(index), place, signals, Sent(task.after, made.time, task.asked))
    print(f"{how}.", flush=True)
    if how != "interrupted":
        return 0
    if alone and place.rank == 0:
        _requeue(signals, place.job)
    return UNFINISHED if place.rank == 0 or not signals.time_limit else 0


def run_together(made: Submission, mine: range, signals: Signals) -> int:
    """Several cells beside each other, each a process with its own log; one's failure leaves the others alone."""
    import submitit

    job = submitit.JobEnvironment().job_id
    children = []
    for index in mine:
        with open(made.log_of(job, index), "a") as log:
            command = [sys.executable, "-P", "-u", "-m", "launch.job.start", str(made.folder), str(index)]
            children.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
    told: set[int] = set()
    while any(child.poll() is None for child in children):
        for kind in signals.came - told:
            told.add(kind)
            for child in children:
                child.send_signal(kind)
        time.sleep(0.2)
    codes = [child.returncode for child in children]
    print(f"exit codes of the cells: {codes}", flush=True)
    if UNFINISHED in codes:
        _requeue(signals, job)
        return UNFINISHED
    return max(map(abs, codes)) and 1


def _requeue(signals: Signals, job: str) -> None:
    """Put this job back into the queue, where the time limit ended it; Slurm does it itself after a preemption.

    It may have done so at this very moment: what scontrol says against it is a line in the log, no more.
    """
    if not signals.time_limit:
        return
    if asks := os.environ.get(REQUEUE):  # inside a container there is no scontrol
        Path(asks).touch()
        print("left to the job's script to be requeued.", flush=True)
        return
    from launch.slurm import commands as slurm
    from launch.state.jobs import Unknown

    # `job` is submitit's, 57_3 for a task: the raw id of an array's last task is the id of the whole array
    deadline = time.monotonic() + REQUEUE_SECONDS
    while isinstance(refused := slurm.requeue(job), Unknown) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    if refused:
        why = refused.why if isinstance(refused, Unknown) else refused
        print(f"not requeued ({why}); the next multirun sends it again.", flush=True)
        return
    print("requeued.", flush=True)
    for kind in KINDS:
        signal.signal(kind, signal.SIG_DFL)
    time.sleep(LEAVE_SECONDS)  # Slurm ends this process


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
