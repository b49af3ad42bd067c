"""`gta usage`: what cells used of what was asked for, and the lines of the site's profile that would fit."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell
from gta.cellfolder import Attempt, Death
from gta.config import SiteConfig
from gta.journal import CUT_BACK, Journal
from launch.show import usage
from launch.slurm.accounts import JobUse
from launch.state.ledger import ledger
from tests.helpers.cells import config, finish, of_seeds, split, submitted
from tests.helpers.configs import changed
from tests.helpers.program import Run

GIB = 1024.0


def ran(cell: Cell, seconds: float = 3600, job: str = "57", done: bool = True, **fields: Any) -> None:
    """An attempt of a job of Slurm's, whose journal ends at iteration 5 of 10."""
    cell.write()
    end = time.time()
    record = {"time": end - seconds, "end_time": end, "job": job, "ended": "done" if done else "lost", "gpus": 0.0}
    Attempt(**{**record, "cores": 4.0, **fields}).write(cell.folder.attempt_file(1))
    submitted(cell, job, end - seconds - 10, name="toy-a")
    with Journal(cell.folder.journal_file) as journal:
        journal.event("started", iteration=0, device="cuda", world_size=1)
        for iteration, percent in ((2, 20.0), (5, 40.0)):
            values = {"system/gpu_percent": percent, "system/gpu_memory_mib": 100.0 * iteration}
            values |= {"system/gpu_memory_total_mib": 80 * GIB}
            journal.metrics(iteration, {"seconds": 0.1 * seconds * iteration, "system/memory_mib": 2048, **values})
    if done:
        finish(cell)


def of(cells: Sequence[Cell], *starts: JobUse) -> list[usage.Usage]:
    return usage.usages(usage.sampled(ledger(cells)), starts)


def start(job: str = "57", **fields: Any) -> JobUse:
    """A job of an hour that asked for a day, 8 cores and 64 GiB, and used 6 GiB and 2 cores."""
    plain = {"name": "toy-a", "state": "COMPLETED", "limit_minutes": 1440, "cpus": 8}
    return JobUse(job=job, **{**plain, "cores": 2.0, "memory_mib": 6 * GIB, "asked_mib": 64 * GIB, **fields})


def site(**fields: Any) -> SiteConfig:
    return SiteConfig(**{"cpus_per_rank": 8, "mem_gb": 64, **fields})


def test_what_was_used_and_what_would_fit(tmp_path: Path) -> None:
    cells = of_seeds(3, tmp_path / "runs")
    ran(cells[0], gpus=1.0)
    ran(cells[1], seconds=7200, job="58", gpus=1.0)
    (found,) = of(cells, start(), start("58", memory_mib=7 * GIB))
    assert (found.cells, found.done, found.jobs) == (2, 2, 2), "one has not begun"
    assert (found.longest, found.iteration) == (pytest.approx(7200), pytest.approx(540.0))
    assert usage.lines(found) == [
        "gta: 2 cells looked at, 2 done; 2 starts of jobs in the accounting",
        "  time    2 h 00 min the longest cell; 540 s an iteration, 1 h 30 min for all; 1440 min asked for a job",
        "  memory  7.0 GB a node at most, 64.0 GB asked for",
        "  CPU     2.0 cores busy, 8 asked for",
        "  GPU     1 held; 30 % busy, 0.5 GB of its 80.0 GB of memory used at most",
    ]
    assert usage.proposed([found], site()) == [
        "time_limit: 120  # minutes, for a whole cell (1 h 30 min) and a quarter more; 1440 asked for",
        "mem_gb: 19  # 7.0 GB used at most by each of two cells, and a quarter more; 64.0 GB asked for",
        "cpus_per_rank: 5  # 2.0 cores busy by each of two cells; 8 asked for",
        "cells_per_gpu: 2  # a GPU is 30 % busy; two cells need 1.0 GB of its 80.0 GB of memory; each is slower then",
    ]
    alone = usage.proposed([replace(found, gpu_percent=90.0)], site())
    assert [line.partition("  #")[0] for line in alone] == ["time_limit: 120", "mem_gb: 10", "cpus_per_rank: 3"]


def test_two_cells_share_a_gpu_only_where_its_memory_is_known_to_do_for_both(tmp_path: Path) -> None:
    (cell,) = of_seeds(1, tmp_path / "runs")
    ran(cell, gpus=1.0)
    (found,) = of([cell], start(limit_minutes=95, cores=3.8, memory_mib=20 * GIB))
    assert [line.partition("  #")[0] for line in usage.proposed([found], site(mem_gb=24))] == [
        "mem_gb: 51", "cpus_per_rank: 10", "cells_per_gpu: 2",
    ], "what two cells need is more than was asked for one"  # fmt: skip
    for fields, said in (
        (
            {"gpu_memory": 60 * GIB},
            "# cells_per_gpu: a GPU is 30 % busy, but two cells need 120 GB of its 80.0 GB of mem",
        ),
        ({"gpu_size": None}, "memory, whose size is not in the journals: 2 where it is larger"),
        (
            {"gpu_memory": None},
            "# cells_per_gpu: a GPU is 30 % busy, but what a cell needs of its memory is not in the",
        ),
    ):
        lines = usage.proposed([replace(found, **fields)], site(mem_gb=24))
        assert len([line for line in lines if said in line]) == 1, lines
        assert not [line for line in lines if line.startswith("cells_per_gpu")]
        assert "need 0.0 GB" not in " ".join(lines)
    other = replace(found, method="other", gpu_size=None)
    assert "whose size is not in" in " ".join(usage.proposed([found, other], site())), "each method's is to be known"


def test_what_fits_is_left_alone(tmp_path: Path) -> None:
    (cell,) = of_seeds(1, tmp_path / "runs")
    ran(cell)
    tight = start(limit_minutes=95, cores=6.2, memory_mib=50 * GIB)
    (found,) = of([cell], tight)
    assert usage.proposed([found], site(cells_per_gpu=2)) == []
    assert usage.proposed([replace(found, cores=5.5)], site(cells_per_gpu=2)) == [], "an eighth is no saving"


def test_what_was_too_little_is_more(tmp_path: Path) -> None:
    cells = of_seeds(2, tmp_path / "runs")
    ran(cells[0], done=False)
    ran(cells[1], job="58")
    (found,) = of(cells, start(limit_minutes=30, cores=7.9), start("58", memory_mib=63 * GIB))
    assert [line.partition("  #")[0] for line in usage.proposed([found], site(cells_per_gpu=2))] == [
        "time_limit: 90", "mem_gb: 80", "cpus_per_rank: 10",
    ]  # fmt: skip
    (killed,) = of(cells, start(state="OUT_OF_MEMORY"))
    assert "  memory  1 ran out of it" in usage.lines(killed)
    assert "mem_gb: 96  # cells ran out of memory; 64.0 GB asked for" in usage.proposed([killed], site())
    ran(cells[0], done=False, why=str(Death.MEMORY))
    (said,) = of(cells, start(), start("58"))
    assert "mem_gb: 96  # cells ran out of memory; 64.0 GB asked for" in usage.proposed([said], site())
    assert "cells_per_gpu" not in " ".join(usage.proposed([said], site())), "what one needs is not known yet"


def test_the_largest_of_all_methods_counts(tmp_path: Path) -> None:
    cells = [
        Cell.of(changed(config(), {"method.label": row, "paths.runs": str(tmp_path), "seed": seed}), split())
        for seed, row in enumerate(("small", "large"))
    ]
    ran(cells[0])
    ran(cells[1], seconds=7200, job="58")
    found = of(cells, start(), start("58", memory_mib=20 * GIB, cores=4.0))
    assert [one.method for one in found] == ["small", "large"]
    lines = usage.proposed(found, site(sbatch={"mem_per_cpu": "8G", "nice": "100"}))
    assert lines[0].startswith("time_limit: 165  #")
    assert lines[1].startswith("mem_gb: 51  # 20.0 GB used at most by each of two cells")
    assert lines[1].endswith("; in the place of sbatch's mem-per-cpu")


def test_without_accounting_the_journal_speaks_and_memory_is_not_proposed(tmp_path: Path) -> None:
    (cell,) = of_seeds(1, tmp_path / "runs")
    ran(cell)
    (found,) = of([cell])
    assert "  memory  2.0 GB of rank 0's process at most, without its data workers" in usage.lines(found)
    names = [line.partition(":")[0] for line in usage.proposed([found], site(time_limit=720))]
    assert names == ["time_limit", "cells_per_gpu"]
    assert "; mem_gb and cpus_per_rank must do for both" in usage.proposed([found], site())[-1]
    assert found.asked_minutes == cell.config.site.time_limit, "the site says what was asked for"


def test_twenty_cells_of_a_method_are_looked_at_those_done_first(tmp_path: Path) -> None:
    cells = of_seeds(24, tmp_path / "runs")
    for index, cell in enumerate(cells):
        ran(cell, done=index >= 10)
    looked = usage.sampled(ledger(cells))
    assert len(looked) == usage.SAMPLE
    assert {entry.cell.config.seed for entry in looked} >= set(range(10, 24))


def test_a_cell_that_is_damaged_or_cut_back_takes_nothing_down(tmp_path: Path) -> None:
    cells = of_seeds(2, tmp_path / "runs")
    ran(cells[0])
    ran(cells[1])
    with Journal(cells[0].folder.journal_file) as journal:
        journal.event(CUT_BACK, iteration=2)
    cells[1].folder.attempt_file(1).write_text("{")
    cells[1].folder.submitted_file.write_text("{")
    (found,) = of(cells)
    assert found.cells == 2
    assert usage.jobs(ledger(cells)) == {"57": "toy-a"}


@pytest.mark.slow
def test_the_command(say: Run, small: list[str], tmp_path: Path) -> None:
    words = ["sweep=shapes", "method=supervised", "seed=0", *small]
    before = say("usage", *words)
    assert (before.returncode, before.stdout.strip()) == (
        0, "No cell has begun: what they use is known once one has."
    )  # fmt: skip
    assert say("multirun", *words).returncode == 0
    shown = say("usage", *words)
    assert shown.returncode == 0, shown.stderr
    for line in (
        "supervised: 1 cell looked at, 1 done\n",
        r"  time    \d+ s the longest cell; \S+ s an iteration, \d+ s for all\n",
        r"  memory  \d.* GB of rank 0's process at most",
        "No job of Slurm's ran these cells: time, memory and GPU are as their journals say.",
    ):
        assert re.search(line, shown.stdout), f"{line}\n{shown.stdout}"
    made = json.loads(say("usage", *words, "--json").stdout)
    assert made["accounting"] is None
    assert made["usage"][0]["method"] == "supervised"
    assert made["usage"][0]["iteration"] > 0
