"""Predicted before a cell like it has run, and held against what cells took: real cells on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell
from gta.cli.composing import grid
from gta.journal import Journal
from launch.job.attempt import run_cell
from launch.state.ledger import Entry, look
from launch.submit import costmodel, price
from launch.submit.calibrate import calibrate
from launch.submit.costs import Costs, costs_file
from tests.helpers.cells import finish
from tests.helpers.configs import changed
from tests.helpers.program import SMALL_SCHEDULE, SMALL_SHAPES


@pytest.fixture(scope="module")
def composed(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cell]:
    folder = tmp_path_factory.mktemp("costs")
    places = [f"paths.{name}={folder / name}" for name in ("splits", "runs", "results")]
    words = [*SMALL_SHAPES, *SMALL_SCHEDULE, f"paths.data={generated}", *places, "data.split=1/5", "seed=0"]
    return {cell.row: cell for cell in grid(["sweep=shapes", *words, "method=gta,supervised,mean_teacher"])[1]}


@pytest.fixture
def entry(composed: dict[str, Cell], tmp_path: Path) -> Callable[..., Entry]:
    def make(method: str = "supervised", **settings: Any) -> Entry:
        values = {name.replace("__", "."): value for name, value in settings.items()}
        config = changed(composed[method].config, {"paths.runs": str(tmp_path / "runs"), "site.workers": 0, **values})
        return look(Cell.of(config, composed[method].split))

    return make


@pytest.mark.slow
def test_cells_that_are_done_price_other_methods_and_tell_the_error(
    entry: Callable[..., Entry], tmp_path: Path
) -> None:
    for method in ("supervised", "mean_teacher"):
        cell = entry(method).cell
        cell.write()
        assert run_cell(cell.folder) == "done"
    done, waiting = [entry("supervised"), entry("mean_teacher")], entry("gta")
    assert "unknown" in price.describe([waiting], done)
    assert costmodel.said(done) == []

    assert calibrate([waiting.cell]) == ["Cost model: 3 shapes counted; rates by 2 cells done."]
    (cost,) = price.costs([waiting], done)
    assert (cost.source, cost.factor) == ("model", costmodel.UNCHECKED), "two cells are not enough to hold it against"
    longer = entry("gta", schedule__iterations=803, schedule__eval_every=403)
    assert price.costs([longer])[0].hours == pytest.approx(100 * (cost.hours or 0), rel=0.6), "100 times the steps"
    assert "core-hours (1 by the cost model)." in price.describe([waiting], done)
    (said,) = costmodel.said(done)
    assert said.startswith("The cost model was off by ")
    assert said.endswith("on 2 cells done, as if each had had its core to itself.")

    third = entry("gta").cell  # as a finished one leaves its folder
    third.write()
    first = done[1].cell.folder
    third.folder.journal_file.write_bytes(first.journal_file.read_bytes())
    replace(first.result(), signature=third.signature).write(third.folder.result_file)
    every = [*done, entry("gta")]
    assert "on 3 cells done" in costmodel.said(every)[0]
    model = costmodel.of_runs(tmp_path / "runs", every)
    off = [factor for _, factor in model.factors(every)]
    assert model.factor(waiting.cell.config) == max(costmodel.LEAST, *off), "now it is known how far it may be off"
    assert price.costs([entry("gta", seed=1)], every)[0].source == "measured", "its own shape goes first"


@pytest.mark.slow
def test_where_nothing_was_measured_a_few_steps_are_timed(entry: Callable[..., Entry], tmp_path: Path) -> None:
    both = [entry("gta"), entry()]
    assert calibrate([one.cell for one in both]) == ["Cost model: 2 shapes counted; rates by steps timed on this CPU."]
    (gta, supervised) = price.costs(both)
    assert gta.hours is not None
    assert supervised.hours is not None
    assert gta.hours > supervised.hours > 0
    (rates,) = Costs.read(costs_file(tmp_path / "runs")).rates  # type: ignore[union-attr]
    assert rates.key == costmodel.key(both[1].cell), "the smallest of them"
    shown = price.describe(both)
    low, high = shown.split("; ")[1].split(" core-hours")[0].split(" to ")
    assert float(low) < float(high)
    assert not (tmp_path / "runs/cells").exists(), "nothing was begun"

    on_gpu = entry("gta", site__gpus_per_node=1)
    said = calibrate([on_gpu.cell])
    assert "PyTorch sees none on this machine" in said[1]
    assert price.costs([on_gpu])[0].hours is None, "an hour of a core says nothing about one of a GPU"


def test_what_cannot_change_the_count_shares_it(entry: Callable[..., Entry]) -> None:
    first = costmodel.key(entry("gta").cell)
    same = [{"seed": 1}, {"schedule__iterations": 20}, {"schedule__lr": 0.5}, {"schedule__eval_every": 3}]
    other = [{"data__crop_size": 40}, {"model__width": 4}, {"schedule__batch_size": 16}, {"precision": "bf16"}]
    assert [costmodel.key(entry("gta", **one).cell) == first for one in [*same, *other]] == [True] * 4 + [False] * 4


def test_rates_hold_for_one_kind_of_kernels(entry: Callable[..., Entry]) -> None:
    first = costmodel.group(entry().cell.config)
    assert costmodel.group(entry("gta", data__crop_size=40).cell.config) == first
    for other in ({"num_threads": 2}, {"precision": "bf16"}, {"compile": True}, {"site__gpus_per_node": 1}):
        assert costmodel.group(entry(**other).cell.config) != first, other


def test_a_machine_that_others_use_does_not_make_a_cell_larger(entry: Callable[..., Entry]) -> None:
    """Of a process of one thread, the journal says which share of a core it had."""
    cell = entry().cell
    cell.write()
    with Journal(cell.folder.journal_file) as journal:
        journal.event("started", device="cpu", world_size=1)
        busy = {"system/process_cpu_percent": 50.0, "system/data_wait_percent": 20.0}
        journal.metrics(8, {"seconds": 1.5, **busy})
        journal.metrics(8, {"seconds": 2.0, "val/student/miou": 1.0, "system/data_wait_percent": 20.0})
    finish(cell)
    took = costmodel.measured(cell.folder, cell.config)
    assert took is not None
    assert (took.step, took.wait, took.scored) == pytest.approx((0.6, 0.15, 0.25)), "2 s, half a core's"


def test_a_record_that_is_broken_prices_nothing_and_says_how_to_mend_it(
    entry: Callable[..., Entry], tmp_path: Path
) -> None:
    costs_file(tmp_path / "runs").parent.mkdir()
    costs_file(tmp_path / "runs").write_text("{")
    assert price.costs([entry()])[0].hours is None
    with pytest.raises(
        Exception, match=r"costs\.json is not JSON: remove it; `gta plan sweep=NAME --calibrate` makes it again"
    ):
        calibrate([entry().cell])
