"""What a launch has used against its budget; and that somebody is told of a budget, wherever it ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cellfolder import Attempt
from launch.state.ledger import look
from launch.submit.spending import LOOK_SECONDS, Spending
from tests.helpers.cells import last_attempt
from tests.helpers.notified import script, told
from tests.helpers.program import Run
from tests.helpers.slurm import until


def used(cell: Cell, number: int, hours: float, gpus: float) -> None:
    """An attempt that is over, on so many GPUs, or else on 4 cores."""
    end = time.time()
    Attempt(time=end - 3600 * hours, ended="lost", end_time=end, gpus=gpus, cores=0.0 if gpus else 4.0).write(
        cell.folder.attempt_file(number)
    )


def test_what_is_used_from_now_on_counts(cells: list[Cell]) -> None:
    clock = [0.0]
    used(cells[0], 1, 100, gpus=2)  # before
    spending = Spending([look(cell) for cell in cells[:2]], 10, clock=lambda: clock[0])

    def after_a_minute() -> str:
        clock[0] += LOOK_SECONDS
        return spending.used_up([look(cell) for cell in cells])

    assert after_a_minute() == ""
    used(cells[2], 1, 1000, gpus=8)  # another launcher's
    used(cells[0], 2, 3, gpus=2)
    used(cells[1], 1, 2, gpus=2)
    assert last_attempt(cells[0]).number == 2
    assert after_a_minute() == "", "10 of 10"
    used(cells[1], 2, 1, gpus=0.5)
    assert spending.used_up([look(cell) for cell in cells]) == "", "it looks once a minute"
    assert after_a_minute() == "Used 10.50 GPU-hours, more than --budget 10: what was submitted goes on."
    assert after_a_minute() == "", "once"


def test_core_hours_count_by_themselves_and_no_budget_is_none(cells: list[Cell]) -> None:
    clock = [0.0]
    entries = [look(cell) for cell in cells]
    spending, without = (Spending(entries, budget, clock=lambda: clock[0]) for budget in (10.0, None))
    used(cells[0], 1, 6, gpus=1)
    used(cells[0], 2, 3, gpus=0)
    clock[0] = LOOK_SECONDS
    assert spending.used_up(entries).startswith("Used 12.00 core-hours, more than --budget 10")
    assert without.used_up(entries) == ""


@pytest.mark.slow
def test_a_budget_that_forbids_a_grid_is_told_once(say: Run, small: list[str], tmp_path: Path) -> None:
    words = ["multirun", "sweep=shapes", "method=gta", "seed=0", *small, "site.rates={any: 3600}", "--budget", "2"]
    for _ in range(2):
        refused = say(*words, f"site.notify={script(tmp_path)!r}")
        assert refused.returncode == 2
        assert "above --budget 2" in refused.stderr
        until(lambda: told(tmp_path))
    (fact,) = told(tmp_path)
    assert fact["event"] == "budget"
    assert "The 1 cell to run cost about 8 core-hours, above --budget 2" in fact["title"]
