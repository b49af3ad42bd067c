"""Seconds to read the 60 runs of one sweep from SQLite stores of 60, 1,000 and 10,000 runs: by `analysis.runs`, and by
`gta table`.

usage: python benchmarks/store.py [runs=60,1000,10000] [sweep=60] [rounds=5] [table=yes] [folder=FOLDER]

MLflow makes the store and one run, through `gta.tracking.sync` and from a cell's folder, as a sweep does. The other
runs are copies of that run's rows under other names, put into MLflow's own tables: MLflow itself takes hours for
10,000. What is timed is all MLflow's: `runs.load(uri, sweep=...)` of a store that was written to since the last time
(else MLflow is not asked), the median of `rounds` calls in this process, and once in a process of its own, imports
included. The ratio is of CPU seconds, which others on the machine hardly change.

Then (`table=no` leaves it out) `gta table` of a grid in a folder of its own, whose store has copies of one of its runs
beside them: where somebody wrote to the store since the last table, and where nobody did. Each is a process.

Run it in the root of the project; without folder= the stores are removed.
"""

from __future__ import annotations

import contextlib
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from analysis import runs
from benchmarks import commands
from gta.cellfolder import CellFolder, Identity, NetworkScores, Result, Score
from gta.journal import Journal
from gta.tracking import keys
from gta.tracking import sync as tracking

SWEEP, OTHERS = "bench", "bench_other"
POINTS = 20  # evaluations of a run; each is 6 metrics for each of 2 networks
CLASSES = 21
PARAMS = 70
TABLES = ("runs", "tags", "params", "latest_metrics", "metrics")  # of MLflow's, what a run has rows in
FRESH = """
import sys, time
began = time.perf_counter()
from analysis import runs
from benchmarks import commands
frame = runs.load(sys.argv[1], sweep=sys.argv[2])
print(len(frame), time.perf_counter() - began, time.process_time())
"""


def main(arguments: list[str]) -> None:
    options = {"runs": "60,1000,10000", "sweep": "60", "rounds": "5", "table": "yes", "folder": ""}
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name not in options:
            sys.exit(f"{argument}: use one of {', '.join(f'{name}=...' for name in options)}")
        options[name] = value
    with contextlib.ExitStack() as stack:
        folder = Path(options["folder"] or stack.enter_context(tempfile.TemporaryDirectory()))
        counts, sweep, rounds = (
            [int(n) for n in options["runs"].split(",")],
            int(options["sweep"]),
            int(options["rounds"]),
        )
        report(folder, counts, sweep, rounds)
        if options["table"] == "yes":
            tables(counts, sweep, rounds)


def report(folder: Path, counts: list[int], sweep: int, rounds: int) -> None:
    import mlflow

    print(f"MLflow {mlflow.__version__}, SQLite {sqlite3.sqlite_version}, Python {platform.python_version()}\n")
    print(f"| runs in the store | MB | {sweep} of a sweep (s) | of it CPU | ratio | own process (s) | of it CPU |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    first = None
    for count in counts:
        path = folder / f"{count}.db"
        uri = f"sqlite:///{path}"
        fill(path, count, min(sweep, count))
        touch(path)
        shown = subprocess.run(
            [sys.executable, "-c", FRESH, uri, SWEEP],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        rows, fresh, fresh_cpu = shown.stdout.split()[-3:]
        runs.load(uri, sweep=SWEEP)  # MLflow's import, and opening the store
        taken, cpu = [], []
        for _ in range(rounds):
            touch(path)
            began, began_cpu = time.perf_counter(), time.process_time()
            frame = runs.load(uri, sweep=SWEEP)
            taken.append(time.perf_counter() - began)
            cpu.append(time.process_time() - began_cpu)
        assert len(set(frame["signature"])) == min(sweep, count)
        assert len(frame) == int(rows)
        first = first or median(cpu)
        size = path.stat().st_size / 2**20
        here = f"{median(taken):.2f} | {median(cpu):.2f} | {median(cpu) / first:.2f}"
        print(f"| {count} | {size:.0f} | {here} | {float(fresh):.2f} | {float(fresh_cpu):.2f} |", flush=True)


def fill(path: Path, count: int, sweep: int) -> None:
    """A store of `count` runs, `sweep` of them tagged with SWEEP and spread over the whole, the rest with OTHERS."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    report = tracking.sync([cell(path.with_suffix(".cells"))], f"sqlite:///{path}", OTHERS)
    assert not report.problems, report.problems
    chosen = set(random.Random(0).sample(range(count), sweep))
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("pragma synchronous = off")
        run_id = one_run(database)
        multiply(database, run_id, count, chosen)
        for name in TABLES:
            database.execute(f"delete from {name} where run_uuid = ?", (run_id,))
        database.commit()


def one_run(database: sqlite3.Connection) -> str:
    query = "select run_uuid from tags where key = ?"  # the sweep has a run of its own, without a signature
    (run_id,) = database.execute(query, (keys.SIGNATURE,)).fetchone()
    return str(run_id)


def multiply(database: sqlite3.Connection, run_id: str, count: int, chosen: Collection[int] = ()) -> None:
    """Put `count` copies of a run beside it; those that are `chosen` are of SWEEP, the others of OTHERS."""
    tables = {name: rows_of(database, name, run_id) for name in TABLES}
    for index in range(count):
        for name, (columns, rows) in tables.items():
            copies = [copy(dict(zip(columns, row, strict=True)), index, index in chosen) for row in rows]
            marks = ",".join("?" * len(columns))
            database.executemany(
                f"insert into {name} ({','.join(columns)}) values ({marks})", [list(row.values()) for row in copies]
            )


def rows_of(database: sqlite3.Connection, table: str, run_id: str) -> tuple[list[str], list[tuple]]:  # type: ignore[type-arg]
    found = database.execute(f"select * from {table} where run_uuid = ?", (run_id,))
    return [column[0] for column in found.description], found.fetchall()


def copy(row: dict[str, object], index: int, chosen: bool) -> dict[str, object]:
    """A row as another run has it: its own id, signature, seed and sweep."""
    changed = {
        keys.SIGNATURE: f"{index:016x}",
        keys.tag("seed"): str(index),
    }
    row["run_uuid"] = f"{index:032x}"
    if "value" in row and row.get("key") in changed:
        row["value"] = changed[str(row["key"])]
    if str(row.get("key")).startswith(keys.SWEEP):
        row["key"] = keys.SWEEP + (SWEEP if chosen else OTHERS)
    return row


def touch(store: Path) -> None:
    """Write to a store: what was read of it before is no answer any more."""
    with contextlib.closing(sqlite3.connect(store)) as database:
        database.execute("update experiments set last_update_time = coalesce(last_update_time, 0) + 1")
        database.commit()


def tables(counts: list[int], cells: int, rounds: int) -> None:
    """How long `gta table` takes of so many cells, where their store has so many runs."""
    print(f"\n| runs in the store | table of {cells}, written to since (s) | of it CPU | unchanged (s) | of it CPU |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for count in counts:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            grid = ["sweep=shapes", f"seed=range(0,{-(-cells // commands.PER_SEED)})", *commands.SMALL]
            commands.finish(folder, grid, 40)
            commands.run(folder, "table", *grid)  # sends them
            changed, same = [], []
            for number in range(rounds):
                with contextlib.closing(sqlite3.connect(folder / "runs/mlflow.db")) as database:
                    if number == 0:
                        multiply(database, one_run(database), max(count - cells, 0))
                    database.commit()
                touch(folder / "runs/mlflow.db")
                changed.append(commands.run(folder, "table", *grid))
                commands.run(folder, "table", *grid)  # the one before may have put the table's page into the store
                same.append(commands.run(folder, "table", *grid))
        measured = [f"{median(one[part] for one in times):.2f}" for times in (changed, same) for part in (0, 1)]
        print(f"| {count} | {' | '.join(measured)} |", flush=True)


def cell(below: Path) -> Path:
    """The folder of a finished cell, as large as one of VOC is: 21 classes, two networks."""
    folder = CellFolder(below / ("0" * 16))
    networks = ("student", "teacher")
    Identity(
        signature=folder.signature, method="gta", label="gta", dataset="voc_blender", split="662", split_family="u2pl",
        labels=662, unlabeled=9920, val=1449, ratio="1/16", seed=0, created=1.0,
        digests=dict.fromkeys(("labeled", "unlabeled", "val", "weights"), "a" * 64),
        params={f"schedule.setting_{index}": str(index) for index in range(PARAMS)},
    ).write(folder.identity_file)  # fmt: skip
    with Journal(folder.journal_file) as log:
        for step in range(1, POINTS + 1):
            log.metrics(step, {f"val/{n}/{name}": float(step) for n in networks for name in "abcdef"})
    score = Score(iteration=100, miou=50.0, iou=[50.0 + index / 7 for index in range(CLASSES)])
    Result(
        signature=folder.signature, iteration=100, headline="teacher", evaluation="original size",
        classes=[f"class_{index}" for index in range(CLASSES)],
        networks={name: NetworkScores(last=score, best=score) for name in networks},
        seconds=10.0, commit="c" * 40, finished=2.0,
    ).write(folder.result_file)  # fmt: skip
    return folder.path


if __name__ == "__main__":
    main(sys.argv[1:])
