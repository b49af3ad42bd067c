"""What a calibration keeps, and whose ranks, packing and range a prediction is by. Journals as runs leave them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell
from gta.cellfolder import BrokenRecord
from gta.cli.composing import grid
from gta.journal import Journal
from gta.train import timed
from launch.state.ledger import Entry, look
from launch.submit import costmodel, price
from launch.submit.calibrate import CELLS_OF_A_SHAPE, IN_VAIN, calibrate
from launch.submit.costs import Amount, Amounts, Costs, Rates, costs_file
from tests.helpers.cells import finish
from tests.helpers.configs import changed
from tests.helpers.program import SMALL_SCHEDULE, SMALL_SHAPES

ONE = Amount(gflop=2.0, gbyte=0.1, mpixel=0.5)
COUNTS = Amounts(warm_up=ONE, step=ONE, scored=ONE)
SECONDS = 2.0  # of a cell as `finish` leaves it
GPU = {"site.gpus_per_node": 1}


@pytest.fixture(scope="module")
def composed(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Cell:
    folder = tmp_path_factory.mktemp("rates")
    places = [f"paths.{name}={folder / name}" for name in ("splits", "runs", "results")]
    words = [*SMALL_SHAPES, *SMALL_SCHEDULE, f"paths.data={generated}", *places, "data.split=1/5", "seed=0"]
    return grid(["sweep=shapes", *words, "method=supervised"])[1][0]


@pytest.fixture
def cell(composed: Cell, tmp_path: Path) -> Callable[..., Cell]:
    def make(**settings: Any) -> Cell:
        values = {"paths.runs": str(tmp_path / "runs"), "site.workers": 0, **settings}
        return Cell.of(changed(composed.config, values), composed.split)

    return make


@pytest.fixture
def costs(tmp_path: Path) -> Path:
    file = costs_file(tmp_path / "runs")
    file.parent.mkdir()
    return file


def done(cell: Cell, world_size: int = 1, device: str = "cuda:0", waited: float = 0.0) -> Entry:
    cell.write()
    with Journal(cell.folder.journal_file) as journal:
        journal.event("started", device=device, world_size=world_size)
        journal.metrics(8, {"seconds": SECONDS, "system/data_wait_percent": waited})
    finish(cell)
    return look(cell)


def rates(group: str, **fields: Any) -> Rates:
    return Rates(**{"group": group, "key": "another shape", "step": 0.5, "wait": 0.0, "cell": "a", **fields})


def test_ranks_and_packing_are_those_that_a_cell_ran_with(cell: Callable[..., Cell], costs: Path) -> None:
    """An exact model is exact on it, whatever today's words say; and tells nothing of another group's range."""
    seeds = range(costmodel.ENOUGH)
    ran = {**GPU, "site.ranks": 4, "site.gpus_per_node": 4, "site.cells_per_gpu": 2}
    for seed in seeds:
        done(cell(**ran, seed=seed), world_size=4)
    group = costmodel.group(cell(**ran).config)
    amounts = costmodel.amounts_of(cell(**ran), COUNTS, group)
    exact = rates(group, step=SECONDS / amounts.step)
    Costs(counts={costmodel.key(cell(seed=1)): COUNTS}, rates=[exact]).write(costs)

    today = [look(cell(**GPU, seed=seed)) for seed in seeds]
    model = costmodel.of_runs(costs.parent, today)
    assert list(model.factors(today)) == [(group, pytest.approx(1.0))] * len(seeds)
    assert model.factor(cell(**ran).config) == costmodel.LEAST
    assert model.factor(cell(**GPU).config) == costmodel.UNCHECKED, "not packed: none was compared"
    assert model.factor(cell().config) == costmodel.UNCHECKED, "a core"


def test_each_group_has_its_share_of_what_is_read(
    cell: Callable[..., Cell], costs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a grid whose first cells are all of one group, and by a record of cells of which the newest are."""
    monkeypatch.setattr(costmodel, "MOST_READ", 2 * costmodel.ENOUGH)
    packed = {**GPU, "site.cells_per_gpu": 2}
    last = [done(cell(**packed, seed=seed)) for seed in range(3)]  # the oldest folders
    first = [done(cell(**GPU, seed=seed)) for seed in range(10, 20)]
    groups = [costmodel.group(entry.cell.config) for entry in (first[0], last[0])]
    Costs(counts={costmodel.key(cell()): COUNTS}, rates=[rates(group) for group in groups]).write(costs)
    assert {costmodel.key(entry.cell) for entry in [*first, *last]} == {costmodel.key(cell())}, "one shape"
    model = costmodel.of_runs(costs.parent, [*first, *last])
    assert model.ranges.keys() == set(groups)
    assert all(factor != costmodel.UNCHECKED for factor in model.ranges.values())

    calibrate([entry.cell for entry in (first[0], last[0])])
    found = Costs.read(costs)
    assert found is not None
    assert Counter(rate.group for rate in found.rates) == dict.fromkeys(groups, CELLS_OF_A_SHAPE)


def test_rates_of_other_cells_are_kept(cell: Callable[..., Cell], costs: Path) -> None:
    one = cell()
    here, elsewhere = costmodel.group(one.config), costmodel.group(cell(**GPU).config)
    others = [rates(elsewhere), rates(elsewhere, cell="")]
    timed_here, gone = rates(here, cell=""), rates(here, cell="removed since")
    Costs(counts={costmodel.key(one): COUNTS}, rates=[*others, timed_here, gone]).write(costs)
    calibrate([one])
    assert Costs.read(costs).rates == [*others, timed_here]  # type: ignore[union-attr]

    ran = done(one, device="cpu", waited=20.0).cell
    calibrate([one])
    first, second, measured = Costs.read(costs).rates  # type: ignore[union-attr]
    assert [first, second] == others
    assert (measured.group, measured.cell) == (here, ran.signature), "no timed steps beside it"


def test_shapes_that_give_no_rate_are_not_counted_one_after_the_other(
    cell: Callable[..., Cell], costs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of journals without seconds none; of those by which work would cost nothing a few."""
    asked: list[Cell] = []

    def count(one: Cell) -> Amounts:
        asked.append(one)
        return COUNTS

    monkeypatch.setattr("launch.submit.calibrate.count", count)
    crops = range(33, 33 + 2 * IN_VAIN)
    for crop in crops:
        made = cell(**{"data.crop_size": crop})
        made.write()
        finish(made)
    today = cell()
    Costs(counts={costmodel.key(today): COUNTS}, rates=[rates(costmodel.group(today.config), cell="")]).write(costs)
    calibrate([today])
    assert asked == []
    for crop in crops:
        done(cell(**{"data.crop_size": crop}), device="cpu")
    monkeypatch.setattr(costmodel, "rates_of", lambda *_: None)
    calibrate([today])
    assert len(asked) == IN_VAIN


@pytest.mark.parametrize(
    ("name", "value"), [("step", -0.5), ("step", 0.0), ("step", "NaN"), ("scored", 0.0), ("wait", -1.0)]
)
def test_rates_by_which_work_costs_nothing_are_refused(costs: Path, name: str, value: float | str) -> None:
    Costs(rates=[rates("core", wait=0.0, scored=0.5)]).write(costs)
    assert Costs.read(costs) is not None, "no wait may be"
    text = json.loads(costs.read_text())
    text["rates"][0][name] = float(value)
    costs.write_text(json.dumps(text))
    with pytest.raises(
        BrokenRecord, match=rf"does not hold what it should \(rates.{name} is {float(value)}\): remove it"
    ):
        Costs.read(costs)


def test_scoring_that_is_within_the_steps_is_not_counted_twice(cell: Callable[..., Cell]) -> None:
    one = cell()
    group = costmodel.group(one.config)
    mixed = rates(group, key="logs at other iterations", step=9.0, wait=9.0)
    apart = rates(group, step=0.5, wait=0.1, scored=2.0)
    counts = {costmodel.key(one): COUNTS}
    alone = costmodel.Model(Costs(counts=counts, rates=[apart])).seconds(one)
    both = costmodel.Model(Costs(counts=counts, rates=[mixed, apart])).seconds(one)
    assert both == alone
    assert both is not None
    assert both.scored > 0


def test_a_cell_is_held_against_other_shapes_alone(cell: Callable[..., Cell], costs: Path) -> None:
    one = done(cell(), device="cpu")
    group = costmodel.group(one.cell.config)
    counts = {costmodel.key(one.cell): COUNTS}
    timed_here = rates(group, key=costmodel.key(one.cell), cell="")
    assert list(costmodel.Model(Costs(counts=counts, rates=[timed_here])).factors([one])) == []
    others = rates(group, cell="")
    assert len(list(costmodel.Model(Costs(counts=counts, rates=[timed_here, others])).factors([one]))) == 1


def test_a_line_of_scores_without_seconds_is_passed_over(cell: Callable[..., Cell]) -> None:
    one = done(cell()).cell
    with Journal(one.folder.journal_file) as journal:
        journal.metrics(8, {"val/student/miou": 1.0})
        journal.metrics(8, {"val/teacher/miou": 1.0, "seconds": SECONDS})
    assert costmodel.measured(one.folder, one.config) == costmodel.Seconds(SECONDS, 0.0, 0.0)


@pytest.mark.slow
def test_one_process_alone_does_not_make_packed_cells_cheap(
    cell: Callable[..., Cell], costs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: Any) -> timed.Timed:
        raise RuntimeError("CUDA out of memory\nof which")

    with monkeypatch.context() as patch:
        patch.setattr(timed, "timed", out_of_memory)
        assert calibrate([cell()])[1:] == ["No step can be timed here: CUDA out of memory"]
    assert list(Costs.read(costs).counts) == [costmodel.key(cell())], "what was counted is kept"  # type: ignore[union-attr]

    took = timed.timed(cell().config, cell().split)
    monkeypatch.setattr(timed, "timed", lambda *_: took)
    alone, packed = cell(), cell(**{"site.cells_per_gpu": 4})
    calibrate([alone, packed])
    first, second = price.costs([look(alone), look(packed)])
    assert second.units == first.units / 4
    assert second.hours == pytest.approx(first.hours), "four together take no less than one after the other"


def test_a_changed_method_of_ones_own_is_counted_anew(cell: Callable[..., Cell]) -> None:
    one = cell()
    own = [replace(one, digests={**one.digests, "method": digest}) for digest in ("a", "b")]
    assert len({costmodel.key(made) for made in [one, *own]}) == 3
