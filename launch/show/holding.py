"""Cells whose jobs wait in Slurm: held there, let go, put in front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from launch.grid.names import Named
from launch.show.cancel import Target, targets
from launch.slurm import commands as slurm
from launch.slurm.holding import REFUSED, Answers
from launch.state.jobs import HeldJob, Unknown

# about jobs, id -> name, among those that Slurm holds
Ask = Callable[[Mapping[str, str], Mapping[str, HeldJob]], Answers]


@dataclass(frozen=True)
class Said:
    """What came of it for a cell. `failed`: somebody has to look."""

    cell: Named
    text: str
    failed: bool = False
    waits: bool = True  # in Slurm, so that there was something to do


def ask(cells: Sequence[Named], everyone: Sequence[Named], question: Ask) -> list[Said]:
    """Ask Slurm for something about the jobs of cells, and say what came of each. `everyone`: all cells, of which some
    may share a job: that of others is left alone.
    """
    held = slurm.queue()
    found = targets(cells, everyone, held)
    jobs = {target.job: target.name for target in found if target.job}
    answers = question(jobs, held) if jobs and not isinstance(held, Unknown) else {}
    return [_said(target, answers) for target in found]


def _said(target: Target, answers: Answers) -> Said:
    if target.job:
        answer = answers[target.job]
        if isinstance(answer, Unknown):
            return Said(target.cell, f"job {target.job}: {answer.why}; try again later", failed=True)
        return Said(target.cell, f"job {target.job}: {answer}", failed=answer.startswith(REFUSED))
    if target.process:
        return Said(target.cell, "runs on this host, and waits for nothing", waits=False)
    if target.over:
        return Said(target.cell, target.over, waits=False)
    return Said(target.cell, target.beyond or f"{target.asked}; try again later", failed=True)
