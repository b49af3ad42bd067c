"""Seconds from a command to its prompt over grids of 12, 102 and 1,002 cells: plan, submit, status, table.

usage: python benchmarks/commands.py [cells=12,102,1002] [rounds=5] [submit=auto] [done=yes]

Each command is a process of its own, as a user starts it, in a folder of its own; medians of the rounds, which go over
the grids in turn. Seconds by the clock, and CPU seconds of the process and its children, which others on the machine
hardly change; the ratio is that of the CPU seconds to those of the smallest grid in the same round. `submit` is
`multirun --no-wait` of jobs that are held, and is left out (`submit=no`, or auto) where no Slurm controller answers
(one of this machine's own: `tests/slurm/cluster start; eval "$(tests/slurm/cluster env)"`). `status` and `table` are of
these cells: queued ones, or never run. `table, done` is of cells with a result, the first time, when all of them are
sent to MLflow, again, and once more, when nobody has written to the store (`done=no` leaves these out).
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

# a Python that keeps no bytecode compiles the program at each start
AS_USERS = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
SLURM = (
    "hydra/launcher=slurm",
    "site=slurm",
    "site.gpus_per_node=null",
    "site.cpus_per_rank=1",
    "+site.sbatch.hold=true",
)
SMALL = ("data.generator.train=80", "data.generator.val=4")
PER_SEED = 6  # cells of the sweep `shapes` for one seed
ROWS = ("plan", "submit", "status", "table", "table, done", "again", "unchanged")

Times = tuple[float, float]  # by the clock, and of the CPU


def main(words: list[str]) -> None:
    options = {
        "cells": "12,102,1002",
        "rounds": "5",
        "submit": "auto",
        "done": "yes",
        **dict(word.split("=", 1) for word in words),
    }
    sizes = [int(size) for size in options["cells"].split(",")]
    submit = options["submit"] == "yes" or (options["submit"] == "auto" and controller())
    found: dict[tuple[str, int], list[Times]] = {}
    for number in range(int(options["rounds"])):
        for size in sizes:
            for row, times in one_round(size, submit, options["done"] == "yes").items():
                found.setdefault((row, size), []).append(times)
            print(f"round {number + 1}: {size} cells", file=sys.stderr, flush=True)
    cpu = f"{os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}"
    print(f"Python {platform.python_version()}, {platform.machine()}, {cpu}; medians of {options['rounds']} rounds\n")
    print("| | " + " | ".join(f"{size:,} cells (s)" for size in sizes) + " | CPU (s) | ratio of CPU |")
    print("| --- |" + " ---: |" * (len(sizes) + 2))
    for row in ROWS:
        if (row, sizes[0]) in found:
            print(line(row, [found[row, size] for size in sizes]))


def line(row: str, measured: list[list[Times]]) -> str:
    """A row: medians by the clock and of the CPU, and of the CPU's ratios to the smallest grid."""
    clock = [f"{median(wall for wall, _ in times):.1f}" for times in measured]
    cpu = [f"{median(used for _, used in times):.1f}" for times in measured]
    ratios = [
        f"{median(used / least for (_, used), (_, least) in zip(times, measured[0], strict=True)):.2f}"
        for times in measured
    ]
    return f"| {row} | {' | '.join(clock)} | {' / '.join(cpu)} | {' / '.join(ratios)} |"


def controller() -> bool:
    if shutil.which("scontrol") is None:
        return False
    return " UP" in subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=60).stdout


def one_round(size: int, submit: bool, done: bool) -> dict[str, Times]:
    """Row -> its times, over `size` new cells in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        grid = ["sweep=shapes", f"seed=range(0,{size // PER_SEED})", *SMALL]
        site = SLURM if submit else ()
        run(folder, "plan", *grid)  # generates the embedded data set
        times = {"plan": run(folder, "plan", *grid, *site)}
        if submit:
            times["submit"] = run(folder, "multirun", *grid, *site, "--no-wait", codes=(0, 1))
        times["status"] = run(folder, "status", *grid, *site)
        times["table"] = run(folder, "table", *grid, *site, codes=(0, 1))
        if submit:
            run(folder, "cancel", *grid, *site, "--yes")
            shutil.rmtree(folder / "runs")
        if done:
            finish(folder, grid)
            times["table, done"] = run(folder, "table", *grid)
            times["again"] = run(folder, "table", *grid)
            times["unchanged"] = run(folder, "table", *grid)
    return times


def run(folder: Path, *words: str, codes: tuple[int, ...] = (0,)) -> Times:
    """How long the program takes for these words."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**AS_USERS, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "gta", *words]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert answer.returncode in codes, answer.stdout + answer.stderr
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def finish(folder: Path, grid: list[str], lines: int = 1) -> None:
    """Give every cell a result and a journal of so many lines, as a run leaves it."""
    program = (
        "import sys; from status import make, line; from gta.cli import composing\n"
        f"lines = [line(i) for i in range({lines})]\n"
        "for cell in composing.grid(sys.argv[1:])[1]: make(cell, 2, lines)"
    )
    environment = {**AS_USERS, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'benchmarks'}"}
    subprocess.run([sys.executable, "-c", program, *grid], cwd=folder, check=True, env=environment)


if __name__ == "__main__":
    main(sys.argv[1:])
