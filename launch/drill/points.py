"""Where a drilled run is interrupted, and the records by which its job and the drill tell each other.

A drill has folders of runs of its own. In each, `drill.json` (`Plan`) says where the cell is to be interrupted; the job
writes `met-00.json` (`Met`) when it is at a point and waits there; `saves/` has what each of its checkpoints holds
(`Saved`). A job that is no drill's (`launch.job`) knows nothing of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from gta.cellfolder import CellFolder, readable
from gta.errors import UserError
from gta.jsonrecord import JsonRecord

FEWEST = 8  # iterations that hold all points
SAVED_EVERY = 2  # iterations, of the interrupted run: a kill in between loses one


class Inside(StrEnum):
    """What a run is inside of when it is interrupted."""

    STEP = "step"
    BETWEEN = "between"
    EVALUATION = "evaluation"
    BEST = "best"
    SAVE = "save"
    RESULT = "result"


WORDS = {
    Inside.STEP: "inside step {}, after the first optimizer moved its network",
    Inside.BETWEEN: "after step {}, before the next",
    Inside.EVALUATION: "inside the evaluation of iteration {}",
    Inside.BEST: "inside the save of the best weights of iteration {}, before its rename",
    Inside.SAVE: "inside the save of the checkpoint of iteration {}, before its rename",
    Inside.RESULT: "inside the write of the result, before its rename",
}


class How(StrEnum):
    """What interrupts it."""

    KILL = "kill -9"
    SIGNAL = "SIGTERM"
    REQUEUE = "scontrol requeue"


@dataclass(frozen=True, kw_only=True)
class Point:
    how: How
    inside: Inside
    iteration: int  # of the step, or that the evaluation or the save is of; counted from 1

    @property
    def words(self) -> str:
        return f"{self.how} {WORDS[self.inside].format(self.iteration)}"


@dataclass(frozen=True, kw_only=True)
class Plan(JsonRecord):
    """drill.json: a run of `iterations` iterations, interrupted at each of the points once, in their order."""

    signature: str
    iterations: int
    points: list[Point]


@dataclass(frozen=True, kw_only=True)
class Met(JsonRecord):
    """met-NN.json: the process (see `gta.cellfolder.Attempt`) is at that point of the plan, and waits."""

    point: int
    attempt: int
    pid: int
    started: str | None


@dataclass(frozen=True, kw_only=True)
class Saved(JsonRecord):
    """saves/IIII-aNN.json: name -> digest of all that a checkpoint holds, as it was read back from the disk."""

    iteration: int
    attempt: int
    digests: dict[str, str]


@dataclass(frozen=True)
class DrillFolder:
    """A drill's folder of runs, with one cell in it."""

    runs: Path

    @classmethod
    def of(cls, folder: CellFolder) -> DrillFolder:
        """The one that a cell's folder is in."""
        return cls(folder.path.parents[1])

    @property
    def plan_file(self) -> Path:
        return self.runs / "drill.json"

    def met_file(self, point: int) -> Path:
        return self.runs / f"met-{point:02d}.json"

    def met(self, point: int) -> Met | None:
        """None also while it is being written."""
        return readable(partial(Met.read, self.met_file(point)), say=lambda _: None)

    def saved_file(self, iteration: int, attempt: int) -> Path:
        return self.runs / "saves" / f"{iteration:04d}-a{attempt:02d}.json"

    def saved(self) -> list[Saved]:
        """All saves, in the order in which they were made."""
        found = [Saved.read(path) for path in (self.runs / "saves").glob("*.json")]
        return sorted((one for one in found if one), key=lambda one: (one.attempt, one.iteration))


def lengths(iterations: int, warm_up: bool) -> tuple[int, int]:
    """Steps of the warm-up, and iterations between evaluations, of a run so long."""
    return iterations // 4 if warm_up else 0, iterations // 4 * 2


def points(iterations: int, warm_up: bool, slurm: bool, chosen: Sequence[Inside] = ()) -> list[Point]:
    """Where a run of so many iterations is interrupted, in its order; `chosen`: only inside of these.

    On this machine: before the first save, when the networks have just started, inside an evaluation and both kinds of
    save, with a step lost, before the last step, inside the last evaluation, and when the result is written. On Slurm,
    where each costs a wait in the queue, once inside of each.
    """
    if iterations < FEWEST:
        raise UserError(f"--iterations {iterations}: a drill needs {FEWEST} or more to have its points in.")
    warm, half = lengths(iterations, warm_up)
    places = [
        (Inside.STEP, 2), (Inside.BETWEEN, warm + 1), (Inside.EVALUATION, half), (Inside.BEST, half),
        (Inside.SAVE, half), (Inside.STEP, half + 2), (Inside.BETWEEN, iterations - 1),
        (Inside.EVALUATION, iterations), (Inside.RESULT, iterations),
    ]  # fmt: skip
    if slurm:
        places = places[1:3] + places[4:6]
    if not warm_up:  # the signal comes before the second step
        places.sort(key=lambda place: place[1])
    kept = [place for place in places if not chosen or place[0] in chosen]
    if not kept:
        raise UserError(f"--points {','.join(chosen)}: on Slurm there is step, between, evaluation and save.")
    return [Point(how=_how(inside, slurm), inside=inside, iteration=iteration) for inside, iteration in kept]


def _how(inside: Inside, slurm: bool) -> How:
    if slurm:
        return How.REQUEUE
    return How.SIGNAL if inside is Inside.BETWEEN else How.KILL
