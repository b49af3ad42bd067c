"""What is sent to Slurm in one go: written down before sbatch, numbered after it, found again after a crash between.

`runs/sweeps/<sweep>/submissions/<token>/submission.json` says which cells a job array runs and is what its tasks read;
`job.json` beside it holds the job's id. The token is in the job's name and comment, so that a submission without a
`job.json` can be looked up in Slurm instead of being sent again.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from gta import files, locks
from gta.cell import Cell
from gta.cellfolder import BrokenRecord, CellFolder, Submitted, readable
from gta.jsonrecord import JsonRecord
from launch.state.jobs import Unknown
from launch.state.ledger import Entry

LOCK_SECONDS = 600.0  # for another launcher to submit: a large grid on a slow Slurm takes minutes


@dataclass(frozen=True)
class ToSubmit:
    """A cell to submit: the number of its last attempt, which is known to be over, and whether a person asked again."""

    cell: Cell
    after: int = 0
    asked: bool = False

    @classmethod
    def of(cls, entry: Entry, asked: bool) -> ToSubmit:
        return cls(entry.cell, entry.attempts, asked)


@dataclass(frozen=True)
class Task:
    """A cell of a submission, as its job reads it."""

    signature: str
    after: int
    asked: bool


@dataclass(frozen=True, kw_only=True)
class JobNumber(JsonRecord):
    """job.json: what sbatch answered. `cluster_name`: Slurm's, empty where it is not known."""

    job: str
    time: float = 0.0
    cluster_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Recorded(JsonRecord):
    """recorded.json: the cells know their jobs, or the submission was never sent."""

    time: float
    sent: bool = True


@dataclass(frozen=True, kw_only=True)
class Submission(JsonRecord):
    """submission.json: one job (array); task k runs the cells k * together up to (k + 1) * together."""

    REMEDY: ClassVar[str] = "see whether its job is held (squeue), then remove its folder"
    UNWRITTEN: ClassVar[frozenset[str]] = frozenset({"folder"})

    folder: Path = Path()
    runs: str
    name: str
    together: int
    tasks: list[Task]
    time: float
    cluster_name: str = ""  # of the Slurm that it is sent to
    parallel: int = 0  # tasks that may run at once; 0: all of them

    @property
    def array(self) -> bool:
        return self.length > 1

    @property
    def length(self) -> int:
        """Number of the array's tasks."""
        return -(-len(self.tasks) // self.together)

    def job(self, number: str, index: int) -> str:
        """The job that runs cell `index`, when sbatch answered `number`."""
        return f"{number}_{index // self.together}" if self.array else number

    def log_of(self, job: str, index: int, rank: int | str = 0) -> str:
        """The log of a rank of cell `index`, which runs as `job`; of one of several in a task, its own."""
        if self.together > 1:
            return str(self.folder / f"{job}_cell{index % self.together}_log.out")
        return str(self.folder / f"{job}_{rank}_log.out")  # submitit's name for it

    def mine(self, array_task: int) -> range:
        """Indices of the cells of one of the array's tasks."""
        return range(array_task * self.together, min(len(self.tasks), (array_task + 1) * self.together))

    def cell_folder(self, index: int) -> CellFolder:
        return CellFolder(Path(self.runs) / "cells" / self.tasks[index].signature)

    def record(self, number: str) -> list[str]:
        """Write down the job's id, then what each cell was submitted as; the jobs of the cells."""
        JobNumber(job=number, time=time.time(), cluster_name=self.cluster_name).write(job_file(self.folder))
        jobs = [self.job(number, index) for index in range(len(self.tasks))]
        with files.together(self.runs) as put:
            for index, (task, job) in enumerate(zip(self.tasks, jobs, strict=True)):
                record_submission(self.cell_folder(index), self.sent(job, index), task.asked, put)
        Recorded(time=time.time()).write(recorded_file(self.folder))
        return jobs

    def sent(self, job: str, index: int) -> Submitted:
        """What cell `index` was sent as, when it runs as `job`."""
        return Submitted(
            job=job, cluster="slurm", log=self.log_of(job, index), time=self.time, after=self.tasks[index].after,
            name=self.name, cluster_name=self.cluster_name,
        )  # fmt: skip


def job_file(folder: Path) -> Path:
    return folder / "job.json"


def recorded_file(folder: Path) -> Path:
    return folder / "recorded.json"


def write_submission(
    folder: Path,
    runs: str,
    name: str,
    together: int,
    cells: Sequence[ToSubmit],
    cluster_name: str = "",
    parallel: int = 0,
) -> Submission:
    """A new submission in a folder of its own under `folder`, not yet sent."""
    token = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    made = Submission(
        folder=folder / token,
        runs=runs,
        name=f"{name}-{token}",
        together=together,
        tasks=[Task(one.cell.signature, one.after, one.asked) for one in cells],
        time=time.time(),
        cluster_name=cluster_name,
        parallel=parallel,
    )
    made.write(made.folder / "submission.json")
    return made


def read_submission(folder: Path) -> Submission:
    """The submission in `folder`. Raises BrokenRecord, also where there is none."""
    path = folder / "submission.json"
    found = Submission.read(path)
    if found is None:
        raise BrokenRecord(path, "is not there", Submission.REMEDY)
    return replace(found, folder=folder)


@dataclass(frozen=True)
class Recovered:
    """What was found again of submissions that a launcher left without their records."""

    found: int = 0
    unknown: Mapping[str, Unknown] = field(default_factory=dict)  # cells of those that may be held, by their signatures


def recover(runs: Path, find: Callable[[Submission], str | Unknown | None]) -> Recovered:
    """Finish what a launcher that died between sbatch and its records left.

    `find`: the id of a submission's job, None where there is none. To be called under `submission_lock`, so that no
    other launcher is between the two. A submission that no scheduler knows was never sent: its cells are submitted
    anew. Where nobody knows, they must wait, and it is looked for again the next time. One that cannot be read is
    named, and passed over.
    """
    found, unknown = 0, {}
    for path in sorted(runs.glob("sweeps/*/submissions/*/submission.json")):
        if recorded_file(path.parent).exists():
            continue
        try:
            made = read_submission(path.parent)
        except BrokenRecord as error:
            print(f"A submission is passed over: {error}", file=sys.stderr, flush=True)
            continue
        known = readable(lambda: JobNumber.read(job_file(made.folder)), say=lambda _: None)  # noqa: B023
        number = known.job if known else find(made)
        if isinstance(number, Unknown):
            unknown.update({task.signature: number for task in made.tasks})
        elif number is None:
            Recorded(time=time.time(), sent=False).write(recorded_file(made.folder))
        else:
            made.record(number)
            found += 1
    return Recovered(found, unknown)


def record_submission(folder: CellFolder, sent: Submitted, asked: bool, put: files.Put = files.write_text) -> None:
    """Write what a cell was submitted as, `submitted.json`, and count what bounds its attempts; `put`: with those of
    other cells.

    `tries`: submissions since an attempt last began; `base`: attempts that a person's retry (`asked`) made history. A
    record that was broken is replaced, and counts begin anew.
    """
    before = readable(folder.submitted, say=lambda _: None)
    if before is not None and (before.job, before.time) == (sent.job, sent.time):
        return  # found again after a crash, and noted before it
    tries = before.tries + 1 if before is not None and not asked and before.after == sent.after else 1
    base = sent.after if asked else before.base if before else 0
    replace(sent, tries=tries, base=base).write(folder.submitted_file, put)


@contextmanager
def submission_lock(
    runs: Path, patience: float = locks.PATIENCE_SECONDS, seconds: float | None = None
) -> Iterator[None]:
    """One launcher at a time between looking at the cells and recording their jobs.

    Who waits for longer than `patience` seconds says for whom, once. Raises Busy where the other one keeps the lock for
    `seconds` (None: `LOCK_SECONDS`), or was stopped.
    """

    def say(holder: locks.Holder | None) -> None:
        who = holder or "another launcher"
        print(f"Waiting for {who}: it is submitting, and one does at a time.", file=sys.stderr, flush=True)

    with locks.lock(runs / ".submit.lock", LOCK_SECONDS if seconds is None else seconds, say, patience):
        yield
