"""A drill: one cell's config, shortened, trained undisturbed and with interruptions, and the two compared.

Its runs are cells like any other, with their own jobs and the launcher that submits again what was interrupted
(`launch.submit.watch`), in a folder of runs of their own: the cells of the sweep are not touched.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gta import locks
from gta.cell import Cell
from gta.cellfolder import Attempt
from gta.certificate import Certificate, Deviation, Interruption
from gta.config import ScheduleConfig
from gta.errors import UserError
from launch.drill import compare
from launch.drill.interrupted import Failed, train
from launch.drill.points import SAVED_EVERY, DrillFolder, Inside, Plan, Point, lengths, points
from launch.drill.told import about
from launch.submit.watch import Cluster

IMAGES = 4  # validation images that an evaluation of a drill is of

Say = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What a drill shall do. `clusters`: where the jobs of a cell run; `ranks`: of a node, see `compared`."""

    clusters: Callable[[Cell], Cluster]
    slurm: bool
    iterations: int
    inside: Sequence[Inside]
    ranks: Sequence[int]


def drill(cell: Cell, asked: Asked, say: Say) -> Certificate:
    """Drill a cell; its certificate. A run that fails is a difference, by its error.

    Raises UserError for what the user can mend, also where another drill of the cell is under way.
    """
    made = Drill(cell, asked, say)
    with _alone(made.folder, cell):
        try:
            made.interrupt()
            made.on_other_ranks()
        except Failed as error:
            made.differences.insert(0, str(error))
        certificate = made.certificate()
        if certificate.well:
            shutil.rmtree(made.folder)
        else:
            say(f"The runs are kept in {made.folder}.")
    return certificate


@contextmanager
def _alone(folder: Path, cell: Cell) -> Iterator[None]:
    """One drill of a cell at a time, in an empty folder. Raises UserError where another is at it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locks.lock_within(folder.with_suffix(".lock"), 0) as mine:
        if not mine:
            raise UserError(f"Another drill of {cell.title} is under way ({folder}): wait for it, or end it.")
        shutil.rmtree(folder, ignore_errors=True)
        yield


class Drill:
    """The runs of a drill, and what came of them. Raises UserError where they could not be trained."""

    def __init__(self, cell: Cell, asked: Asked, say: Say):
        if not cell.config.deterministic:
            raise UserError("deterministic=false: no two runs agree in every bit, so there is nothing to drill.")
        self.cell, self.asked, self.say = cell, asked, say
        self.folder = Path(cell.config.paths.runs) / "drills" / cell.signature
        self.began = time.time()
        self.schedule = shortened(cell.config.schedule, asked.iterations)
        self.points = points(asked.iterations, self.schedule.warm_up > 0, asked.slurm, asked.inside)
        own, self.nodes = cell.config.site.ranks, cell.config.site.nodes
        self.ranks = compared(asked.ranks, own)
        self.whole = self._cell("undisturbed", own)
        self.cut = self._cell("interrupted", own, SAVED_EVERY)  # an interruption costs steps, which are done again
        others = {ranks: self._cell(f"ranks-{ranks}", ranks) for ranks in self.ranks if ranks != own}
        self.runs = {own: self.whole} | others
        self.interruptions: list[Interruption] = []
        self.compared: list[str] = []
        self.differences: list[str] = []
        self.deviations: list[Deviation] = []
        self.attempts: list[Attempt] = []

    def interrupt(self) -> None:
        """The undisturbed and the interrupted run, compared. Raises Failed where one comes to no result."""
        self._train(self.whole, [])
        self._train(self.cut, self.points)
        drilled, attempts = DrillFolder.of(self.cut.folder), {one.number: one for one in self.cut.folder.attempts()}
        for number, point in enumerate(self.points):
            if (met := drilled.met(number)) is None:
                self.differences.append(f"the run ended before it came to the point: {point.words}")
                continue
            after = attempts.get(met.attempt + 1)
            resumed = after.began if after else None
            self.interruptions.append(Interruption(point=point.words, attempt=met.attempt, resumed=resumed))
        ended = {one.attempt: one.point for one in self.interruptions}
        found = compare.compare(self.whole.folder, self.cut.folder, ended)
        self.compared += found.compared
        self.differences += found.differences

    def on_other_ranks(self) -> None:
        """The runs on other numbers of ranks, and how far they are from the first. Raises Failed."""
        for made in self.runs.values():
            if made is not self.whole:
                self._train(made, [])
        for ranks in self.ranks[1:]:
            first = self.ranks[0]
            pair = (self.runs[first].folder, self.runs[ranks].folder)
            counts = (ranks * self.nodes, first * self.nodes)
            self.deviations.append(compare.deviation(*pair, *counts, self.cell.config.precision))

    def certificate(self) -> Certificate:
        names = ("iterations", "warm_up", "eval_every", "eval_images", "batch_size")
        ran = about(self.attempts)
        if len(codes := ran["commits"]) > 1:
            self.differences.insert(0, f"the code was edited while the drill ran ({', '.join(codes)}): drill it again")
        return Certificate(
            signature=self.cell.signature,
            drilled=self.whole.signature,
            title=self.cell.title,
            where="slurm" if self.asked.slurm else "local",
            ranks=self.cell.config.site.ranks * self.nodes,
            time=self.began,
            seconds=time.time() - self.began,
            schedule={name: getattr(self.schedule, name) for name in names},
            interruptions=self.interruptions,
            compared=self.compared,
            identical=not self.differences,
            differences=self.differences,
            deviations=self.deviations,
            **ran,
        )

    def _cell(self, name: str, ranks: int, checkpoint_every: int = 1) -> Cell:
        """The cell of a run: of the config, but for the schedule and what cannot change a result."""
        config, site = self.cell.config, self.cell.config.site
        more = len(self.points)  # attempts, each of which may lose what it did
        gpus = site.gpus_per_node and max(1, site.gpus_per_node * ranks // site.ranks)
        site = replace(
            site, ranks=ranks, gpus_per_node=gpus, cells_per_gpu=1, live_tracking=False, notify="",
            max_attempts=site.max_attempts + more, max_idle_attempts=site.max_idle_attempts + more,
        )  # fmt: skip
        data = replace(config.data, allow_absent_classes=True)  # of so few images
        paths = replace(config.paths, runs=str(self.folder / name))
        schedule = replace(self.schedule, checkpoint_every=checkpoint_every)
        return Cell.prepare(replace(config, schedule=schedule, site=site, data=data, paths=paths), {})

    def _train(self, cell: Cell, planned: Sequence[Point]) -> None:
        """Train a run's cell to its end, interrupted at the points. Raises Failed."""
        ranks = cell.config.site.ranks * self.nodes
        how = f", interrupted at {len(planned)} point{'s' * (len(planned) > 1)}" if planned else ", undisturbed"
        self.say(f"{self.asked.iterations} iterations on {ranks} rank{'s' * (ranks > 1)}{how} ...")
        plan = Plan(signature=cell.signature, iterations=self.asked.iterations, points=list(planned))
        plan.write(DrillFolder.of(cell.folder).plan_file)
        try:
            train(cell, self.asked.clusters(cell), plan, self.asked.slurm, self.say)
        finally:
            self.attempts += cell.folder.attempts()


def compared(ranks: Sequence[int], own: int) -> list[int]:
    """The numbers of ranks (of a node) to compare, first the one that the others are compared with: where one number is
    asked for, the cell's own. Raises UserError where that is all.
    """
    numbers = list(dict.fromkeys(ranks if len(ranks) != 1 else (own, *ranks)))
    if len(numbers) == 1:
        raise UserError(f"--ranks {own} is what the cell has: give another number to compare that with.")
    return numbers


def shortened(schedule: ScheduleConfig, iterations: int) -> ScheduleConfig:
    """The schedule of a drill: the same steps, fewer of them, with an evaluation in between."""
    warm_up, half = lengths(iterations, schedule.warm_up > 0)
    images = min(schedule.eval_images, IMAGES) if schedule.eval_images else IMAGES
    delay = iterations // 4 if schedule.ema_delay else 0
    return replace(
        schedule, iterations=iterations, epochs=0, warm_up=warm_up, warm_up_epochs=0, ema_delay=delay,
        ema_delay_epochs=0, eval_every=half, eval_images=images, log_every=1,
    )  # fmt: skip
