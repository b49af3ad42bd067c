"""What a grid costs: measured on cells that really ran, else by a rate, else unknown; and the budget that refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell
from gta.cli.composing import grid
from gta.errors import UserError
from gta.journal import Journal
from launch.job.attempt import run_cell
from launch.state.ledger import Entry, look
from launch.submit import price
from tests.helpers.cells import finish
from tests.helpers.configs import changed
from tests.helpers.program import SMALL_SCHEDULE, SMALL_SHAPES, Run


@pytest.fixture(scope="module")
def composed(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cell]:
    """Method -> a cell as a user composes it, on the embedded data."""
    folder = tmp_path_factory.mktemp("price")
    places = [f"paths.{name}={folder / name}" for name in ("splits", "runs", "results")]
    words = [*SMALL_SHAPES, *SMALL_SCHEDULE, f"paths.data={generated}", *places, "data.split=1/5", "seed=0"]
    return {cell.row: cell for cell in grid(["sweep=shapes", *words, "method=gta,supervised"])[1]}


@pytest.fixture
def entry(composed: dict[str, Cell], tmp_path: Path) -> Callable[..., Entry]:
    """Makes the ledger's entry of a cell with other settings, by their dotted names."""

    def make(method: str = "supervised", **settings: Any) -> Entry:
        values = {name.replace("__", "."): value for name, value in settings.items()}
        config = changed(composed[method].config, {"paths.runs": str(tmp_path / "runs"), **values})
        return look(Cell.of(config, composed[method].split))

    return make


def test_measured_on_finished_cells_of_the_same_shape(entry: Callable[..., Entry]) -> None:
    done = entry()
    done.cell.write()
    assert run_cell(done.cell.folder) == "done"
    result = done.cell.folder.result()
    assert result is not None
    seconds = result.seconds
    attempt = done.cell.folder.latest_attempt()
    assert attempt is not None
    assert (attempt.gpus, attempt.cores) == (0.0, 1.0), "it wrote down what it held"

    more = [entry(seed=seed, schedule__iterations=800) for seed in (1, 2)]
    assert [cost.hours for cost in price.costs(more)] == [pytest.approx(seconds * 100 / 3600)] * 2, "100 times as long"
    shown = price.describe(more)
    assert "To run: 2 cells in 2 jobs of 1 core; about" in shown
    assert "core-hours (2 by finished cells of the same shape)." in shown
    for other in (
        {"method": "gta"},
        {"data__crop_size": 40},
        {"schedule__batch_size": 16},
        {"site__ranks": 2},
        {"model__width": 4},
        {"site__gpus_per_node": 1},  # an hour of a core says nothing about one of a GPU
    ):
        (cost,) = price.costs([entry(seed=1, **other)])
        assert cost.hours is None, f"{other} is another shape"


def test_a_finished_cell_that_cannot_be_read_prices_nothing(entry: Callable[..., Entry]) -> None:
    cell = entry().cell
    cell.write()
    with Journal(cell.folder.journal_file) as journal:
        journal.event("started", device="cpu", world_size=1)
    finish(cell)
    assert price.costs([entry(seed=1)])[0].hours is not None
    cell.folder.identity_file.write_text("{")
    cell.folder.result_file.write_text(cell.folder.result_file.read_text() + " ")  # not the one that was read before
    assert price.costs([entry(seed=1)])[0].hours is None


def test_rates_of_the_site(entry: Callable[..., Entry]) -> None:
    site = {"site__gpus_per_node": 4, "site__nodes": 2, "site__ranks": 4, "site__rates": {"gta": 9.0, "any": 1.8}}
    both = [entry(method, schedule__iterations=4000, **site) for method in ("gta", "supervised")]
    assert price.describe(both) == "To run: 2 cells in 2 jobs of 8 GPUs; about 12 GPU-hours (2 by site.rates)."
    price.refuse(both, 12.1)
    with pytest.raises(UserError, match=r"The 2 cells to run cost about 12 GPU-hours, above --budget 11"):
        price.refuse(both, 11)
    (asked,) = price.costs([entry(site__sbatch={"gres": "gpu:a100:2"})])
    assert (asked.unit, asked.units) == ("GPU", 2), "asked for in sbatch's own words"
    packed = [entry(seed=seed, site__gpus_per_node=1, site__cells_per_gpu=2) for seed in range(3)]
    assert "3 cells in 2 jobs of 1 GPU; GPU-hours: unknown" in price.describe(packed)


@pytest.mark.parametrize(
    ("sbatch", "unit", "units"),
    [
        ({"gres": "gpu"}, "GPU", 2),
        ({"gres": "gpu:a100"}, "GPU", 2),
        ({"gres": "lscratch:10,gpu:a100:4"}, "GPU", 8),
        ({"gres": "lscratch:10"}, "core", 6),
        ({"gpus": "2"}, "GPU", 2),
        ({"gpus": "a100:1,v100:2"}, "GPU", 3),
        ({"gpus-per-node": "a100:2"}, "GPU", 4),
        ({"gpus_per_task": "1"}, "GPU", 6),
        ({"gpus-per-task": "2"}, "GPU", 12),
        ({"constraint": "gpu"}, "core", 6),
    ],
)
def test_gpus_are_counted_by_whichever_of_slurms_words_asks_for_them(
    entry: Callable[..., Entry], sbatch: dict[str, str], unit: str, units: float
) -> None:
    site = {"site__gpus_per_node": None, "site__nodes": 2, "site__ranks": 3, "site__sbatch": sbatch}
    (cost,) = price.costs([entry(**site, schedule__batch_size=12, schedule__group_size=2)])
    assert (cost.unit, cost.units) == (unit, units)
    (cost,) = price.costs([entry(**site, site__device="cpu")])
    assert cost.unit == "core", "it uses none of them"


def test_a_cell_that_was_interrupted_costs_what_is_left(entry: Callable[..., Entry]) -> None:
    one = entry("gta", site__rates={"any": 3.6}, schedule__iterations=1000, schedule__checkpoint_every=100)
    assert price.costs([one])[0].hours == pytest.approx(1.0)
    one.cell.folder.path.mkdir(parents=True)
    line = {"time": 0, "kind": "metrics", "iteration": 760, "values": {}}
    one.cell.folder.journal_file.write_text(json.dumps(line) + "\n")
    assert price.costs([one])[0].hours == pytest.approx(1.0), "nothing was saved"
    one.cell.folder.checkpoint_file.write_bytes(b"")
    assert price.costs([one])[0].hours == pytest.approx(0.3)
    one.cell.folder.checkpoint_file.rename(one.cell.folder.previous_checkpoint_file)
    assert price.costs([one])[0].hours == pytest.approx(0.3), "it goes on from the one before"


def test_unknown_is_said_and_no_budget_holds_it(entry: Callable[..., Entry]) -> None:
    unknown = [entry("gta")]
    assert "site.rates.gta=SECONDS (core-seconds an iteration)" in price.describe(unknown)
    price.refuse(unknown, None)
    with pytest.raises(UserError, match=r"--budget 200 cannot be held.*gta.*unknown.*leave the budget out"):
        price.refuse(unknown, 200)
    assert price.describe([]) == "To run: nothing."
    assert "done, by `gta plan sweep=NAME --calibrate`, or from site.rates" in price.describe(unknown)
    assert "one such cell is done, or from site.rates" in price.describe(unknown, calibrated=True), "it was just made"


def test_cells_without_a_gpu_count_core_hours(entry: Callable[..., Entry]) -> None:
    one = entry("gta", site__rates={"any": 10.0}, schedule__iterations=3600)
    with pytest.raises(UserError, match=r"10 core-hours, above --budget 9 \(cells without a GPU count core-hours\)"):
        price.refuse([one], 9)


@pytest.mark.slow
def test_plan_shows_the_price_and_refuses(say: Run, small: list[str]) -> None:
    words = ["plan", "sweep=shapes", *small, "method=gta", "seed=0,1", "schedule.iterations=3600"]
    planned = say(*words, "site.rates.gta=10", "--budget", "19")
    assert "multirun would run 2\n" in planned.stdout
    assert "\nTo run: 2 cells in 2 jobs of 1 core; about 20 core-hours" in planned.stdout
    assert planned.returncode == 2
    assert "above --budget 19" in planned.stderr
    assert say(*words, "site.rates={gta: 10}", "--budget", "21").returncode == 0
