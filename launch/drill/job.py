"""What a drilled cell's job runs: what any cell's job runs, in a process that waits at the points of its plan.

A program of its own (`python -m launch.drill.job SUBMISSION_FOLDER` on Slurm, `DrilledJob` here), so that no other job
has such a place in it. The trainer is not touched: a step, an evaluation and a save are told by what torch and Python
say of themselves (hooks of optimizers and modules, the audit of renames). What interrupts comes from outside.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gta import garbage, progress
from gta.cellfolder import CellFolder, process_start
from gta.train.control import Request
from launch.drill.points import DrillFolder, Inside, Met, Plan, Saved
from launch.job import start
from launch.job.signals import Signals

WAIT_SECONDS = 900.0  # for what interrupts; then the drill is gone, and the attempt fails
EVALUATION = "gta.train.evaluate"


@dataclass(frozen=True)
class DrilledJob:
    """As `launch.job.local.Job`, of a drill."""

    folder: str

    def __call__(self) -> str:
        garbage.spare()
        import submitit

        from launch.job.attempt import run_rank
        from launch.job.rendezvous import Place

        job = submitit.JobEnvironment()
        place = Place.of(job, str(job.paths.stdout))
        folder = CellFolder(Path(self.folder))
        signals = Waiting()
        signals.install()
        if place.rank == 0:
            signals.watch(folder)
        return run_rank(folder, place, signals)


def main(arguments: list[str]) -> int:
    """As `launch.job.start`, of a drill."""
    signals = Waiting(in_slurm=True)
    signals.install()
    from launch.state.submission import read_submission

    if int(os.environ.get("SLURM_PROCID", 0)) == 0:
        signals.watch(read_submission(Path(arguments[0])).cell_folder(0))
    return start.main(arguments, signals)


class Waiting(Signals):
    """Signals as the trainer asks for them; by its questions the process also knows which step it is at.

    At the next point of the plan it writes that down (`Met`), and waits for what interrupts it. After each save it
    writes down what the checkpoint on the disk holds.
    """

    folder: CellFolder

    def __init__(self, in_slurm: bool = False):
        super().__init__(in_slurm)
        self.plan: Plan | None = None
        self.number = 0  # of the point that is next
        self.steps = 0  # that this process has done
        self.met = False

    def watch(self, folder: CellFolder) -> None:
        """Wait at the next point of the plan of this cell's drill."""
        self.folder, self.drill = folder, DrillFolder.of(folder)
        self.plan = Plan.read(self.drill.plan_file)
        if self.plan is None or self.plan.signature != folder.signature:
            raise RuntimeError(f"{self.drill.plan_file} is not the plan of a drill of {folder.signature}")
        while self.drill.met(self.number):
            self.number += 1
        if self.number == len(self.plan.points):
            return
        inside = self.plan.points[self.number].inside
        if inside is Inside.STEP:
            from torch.optim.optimizer import register_optimizer_step_post_hook

            register_optimizer_step_post_hook(lambda *_: self._inside(Inside.STEP, self.done + 1))
        elif inside is Inside.EVALUATION:
            from torch.nn.modules.module import register_module_forward_pre_hook

            register_module_forward_pre_hook(self._forward)
        elif inside is not Inside.BETWEEN:
            sys.addaudithook(self._audit)

    @property
    def done(self) -> int:
        """The last iteration that is over."""
        last = self.folder.latest_attempt()
        return (last.began or 0 if last else 0) + self.steps

    @property
    def evaluated(self) -> int:
        """The iteration that an evaluation now is of: that of the step before it; the last, when all are over."""
        assert self.plan is not None
        return min(self.done + 1, self.plan.iterations)

    def request(self) -> Request:
        if self.plan:
            self.steps += 1
            self._inside(Inside.BETWEEN, self.done)
        return super().request()

    def saved(self, iteration: int) -> None:
        if self.plan:
            self._write_down(iteration)
        super().saved(iteration)

    def answered(self) -> None:
        if self.plan and self.met:  # it saved at the signal of a requeue; what comes is Slurm's end of it
            self._wait()
        super().answered()

    def _forward(self, module: Any, inputs: Any) -> None:
        if self.met or module.training:
            return
        frame = sys._getframe()
        while frame is not None and frame.f_globals.get("__name__") != EVALUATION:
            frame = frame.f_back  # type: ignore[assignment]
        if frame is not None:
            self._inside(Inside.EVALUATION, self.evaluated)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "os.rename" or self.met:
            return
        source, target = map(os.fsdecode, arguments[:2])
        if target == str(self.folder.checkpoint_file):  # by the thread that writes, while steps may go on
            self._inside(Inside.SAVE, _iteration(source))
        elif target == str(self.folder.best_file):
            self._inside(Inside.BEST, self.evaluated)
        elif target == str(self.folder.result_file):
            self._inside(Inside.RESULT, self.done)

    def _inside(self, inside: Inside, iteration: int) -> None:
        """Wait here, where this is the next point of the plan."""
        assert self.plan is not None
        if self.met or self.number == len(self.plan.points):
            return
        point = self.plan.points[self.number]
        if (inside, iteration) != (point.inside, point.iteration):
            return
        self.met = True
        if inside is not Inside.SAVE:  # else it would be luck which checkpoint the run goes on from
            _await_writer()
        print(f"drill: {point.words}", flush=True)
        Met(point=self.number, attempt=self._attempt(), pid=os.getpid(), started=process_start(os.getpid())).write(
            self.drill.met_file(self.number)
        )
        self._wait(until_signal=inside is Inside.BETWEEN)

    def _wait(self, until_signal: bool = False) -> None:
        """For the end of this process, or, with `until_signal`, for a signal to obey. One that comes here to a process
        that was to be killed is a person's, who ends the drill; in Slurm it comes before each end.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while not (self.came and (until_signal or not self.in_slurm)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody interrupted the drilled run within {WAIT_SECONDS:.0f} s")
            progress.tick()  # what interrupts has to answer for it
            time.sleep(0.05)

    def _write_down(self, iteration: int) -> None:
        from gta.train import checkpoint
        from launch.drill.tensors import digests

        found = digests(checkpoint.load(self.folder.checkpoint_file))
        made = Saved(iteration=iteration, attempt=self._attempt(), digests=found)
        made.write(self.drill.saved_file(made.iteration, made.attempt))

    def _attempt(self) -> int:
        last = self.folder.latest_attempt()
        return last.number if last else 0


def _iteration(path: str) -> int:
    """Of a checkpoint that is written, under whatever name."""
    from gta.train import checkpoint

    return int(checkpoint.load(Path(path))["iteration"])


def _await_writer() -> None:
    """Until what is written behind the training is on the disk."""
    from gta.train.writer import THREAD

    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
