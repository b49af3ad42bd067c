"""What is sent to Slurm in one go: written down before sbatch, numbered after it, found again after a crash between.

`runs/sweeps/<sweep>/submissions/<token>/submission.json` says which cells a job array runs and is what its tasks read;
`job.json` beside it holds the job's id. The token is in the job's name and comment, so that a submission without a
`job.json` can be looked up in Slurm instead of being sent again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gta import files
from gta.cell import Cell
from gta.files import write_json
from launch.state.ledger import Entry, read_json


@dataclass(frozen=True)
class Wanted:
    """A cell to submit: the number of its last attempt, which is known to be over, and whether a person asked again."""

    cell: Cell
    after: int = 0
    asked: bool = False

    @classmethod
    def of(cls, entry: Entry, asked: bool) -> Wanted:
        return cls(entry.cell, entry.attempts, asked)


@dataclass(frozen=True)
class Task:
    """A cell of a submission, as its job reads it."""

    signature: str
    after: int
    asked: bool


@dataclass(frozen=True)
class Submission:
    """One job (array): task k runs the cells k * together up to (k + 1) * together."""

    folder: Path
    runs: str
    name: str
    together: int
    tasks: list[Task]
    time: float

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

    def cell_folder(self, index: int) -> Path:
        return Path(self.runs) / "cells" / self.tasks[index].signature

    def record(self, number: str) -> list[str]:
        """Write down the job's id, then what each cell was submitted as; the jobs of the cells."""
        write_json(self.folder / "job.json", {"job": number, "time": time.time()})
        jobs = [self.job(number, index) for index in range(len(self.tasks))]
        for index, (task, job) in enumerate(zip(self.tasks, jobs, strict=True)):
            note(self.cell_folder(index), job, "slurm", self.log_of(job, index), task.after, task.asked, self.time)
        write_json(self.folder / "recorded.json", {"time": time.time()})
        return jobs


def write(folder: Path, runs: str, name: str, together: int, cells: Sequence[Wanted]) -> Submission:
    """A new submission in a folder of its own under `folder`, not yet sent."""
    token = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    tasks = [Task(wanted.cell.signature, wanted.after, wanted.asked) for wanted in cells]
    made = Submission(folder / token, runs, f"{name}-{token}", together, tasks, time.time())
    fields = asdict(made)
    del fields["folder"]
    write_json(made.folder / "submission.json", fields)
    return made


def read(folder: Path) -> Submission:
    fields = read_json(folder / "submission.json")
    assert fields is not None, folder
    return Submission(**{**fields, "folder": folder, "tasks": [Task(**task) for task in fields["tasks"]]})


def recover(runs: Path, find: Callable[[str], str | None]) -> int:
    """Finish what a launcher that died between sbatch and its records left: how many jobs were found again.

    `find`: a job's id by its name, None where there is none. To be called under `lock`, so that no other launcher is
    between the two. A submission that no scheduler knows was never sent: its cells are submitted anew.
    """
    found = 0
    for path in sorted(runs.glob("sweeps/*/submissions/*/submission.json")):
        if (path.parent / "recorded.json").exists():
            continue
        made = read(path.parent)
        number = (read_json(path.parent / "job.json") or {}).get("job") or find(made.name)
        if number is None:
            write_json(path.parent / "recorded.json", {"time": time.time(), "sent": False})
            continue
        made.record(number)
        found += 1
    return found


def note(cell: Path, job: str, cluster: str, log: str, after: int, asked: bool, when: float) -> None:
    """Write what a cell was submitted as, `submitted.json`, and count what bounds its attempts.

    `tries`: submissions since an attempt last began; `base`: attempts that a person's retry made history.
    """
    before: dict[str, Any] = read_json(cell / "submitted.json") or {}
    if before.get("job") == job and before.get("time") == when:
        return  # found again after a crash, and noted before it
    same = not asked and before.get("after") == after
    record = {
        "job": job, "cluster": cluster, "log": log, "time": when, "after": after,
        "tries": before.get("tries", 0) + 1 if same else 1,
        "base": after if asked else before.get("base", 0),
    }  # fmt: skip
    write_json(cell / "submitted.json", record)


@contextmanager
def lock(runs: Path) -> Iterator[None]:
    """One launcher at a time between looking at the cells and recording their jobs."""
    with files.lock(runs / ".submit.lock"):
        yield
