"""A try-out beside the sweep as its file declares it: results, titles, runs in MLflow, and what a notebook loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from analysis import own, project, runs
from gta.cell import Cell
from gta.cli.composing import grid
from gta.errors import UserError
from gta.sweep import Sweep
from gta.tracking import keys, store
from gta.tracking import sync as tracking
from tests.helpers import cells
from tests.helpers.cells import scored
from tests.helpers.configs import changed
from tests.helpers.program import Run

SETTINGS = """# gta multirun sweep=own
defaults:
  - override /data: shapes
  - override /model: tiny
  - override /schedule: shapes
hydra:
  sweeper:
    params:
      method: supervised,gta
      data.split: 1/5
      seed: 0,1
"""


@pytest.fixture
def words(small: list[str], tmp_path: Path) -> list[str]:
    """The sweep `own` of four cells; what `small` sets stands in its file, but for paths."""
    settings = [word for word in small if not word.startswith(("paths.", "data.split"))]
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps/own.yaml").write_text(SETTINGS + OmegaConf.to_yaml(OmegaConf.from_dotlist(settings)))
    return ["sweep=own", *(word for word in small if word.startswith("paths."))]


@pytest.mark.slow
def test_a_try_out_leaves_the_sweep_as_declared_alone(
    say: Run, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri := f"sqlite:///{tmp_path}/runs/mlflow.db")
    results = tmp_path / "results/own"
    for number, cell in enumerate(grid(words)[1]):
        scored(cell, 50.0 + number)
    assert say("table", *words).returncode == 0
    declared = (results / "table.md").read_text()

    short = [*words, "method=gta", "seed=0", "schedule.iterations=9"]
    (cell,) = grid(short)[1]
    scored(cell, 11.0)
    shown = say("table", *short)
    assert "own with method=gta seed=0 schedule.iterations=9 (not as declared)" in shown.stdout
    folder = results / "variants/method-gta__seed-0__schedule.iterations-9"
    assert "11.00" in (folder / "table.md").read_text()
    assert (results / "table.md").read_text() == declared
    assert "11.00" not in declared
    assert "a variant of the sweep own: method=gta seed=0 schedule.iterations=9" in say("status", *short).stdout

    part = say("table", *words, "seed=1")  # cells that the sweep has too
    assert "own with seed=1" in part.stdout
    assert "51.00" in (results / "variants/seed-1/table.md").read_text()
    assert (results / "table.md").read_text() == declared

    frame, table, _ = project.load("own")
    assert (table.title, table.rows) == ("own", ["supervised", "gta"])
    assert sorted(frame["miou_last"]) == [50.0, 51.0, 52.0, 53.0]
    for name in ("method-gta__seed-0__schedule.iterations-9", "method=gta seed=0 schedule.iterations=9"):
        assert list(project.load("own", name)[0]["miou_last"]) == [11.0]
    assert list(project.load("own", "seed-1")[0]["seed"]) == [1, 1]
    with pytest.raises(UserError, match=r"its variants are method-gta__seed-0__schedule\.iterations-9, seed-1"):
        project.load("own", "seed-7")

    parents = {run.tag: run for run in (own.sweep_run(uri, "own"), *own.variants(uri, "own"))}
    assert [run.variant for run in parents.values()] == ["", "method=gta seed=0 schedule.iterations=9", "seed=1"]
    assert len(parents["own"].grid) == 4
    client = store.connect(uri)
    experiment = client.get_experiment_by_name(keys.EXPERIMENT)

    def tagged(tag: str) -> set[str]:
        found = client.search_runs([experiment.experiment_id], f"tags.`{keys.SWEEP}{tag}` = '1'")
        return {run.data.tags[keys.SIGNATURE] for run in found}

    by_sweep = {tag: tagged(tag) for tag in parents}
    assert by_sweep["own"] == set(parents["own"].grid), "no run of a try-out"
    assert by_sweep["own/seed-1"] < by_sweep["own"]
    assert by_sweep["own/method-gta__seed-0__schedule.iterations-9"] == {cell.signature}


def test_a_store_of_before_is_told_which_runs_are_the_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cells of one place, both tagged with the sweep, as versions did that knew no variants."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri := f"sqlite:///{tmp_path}/runs/mlflow.db")
    (first,) = cells.of_seeds(1, tmp_path / "runs")
    second = Cell.of(changed(first.config, {"schedule.iterations": 7}), cells.split())
    for cell in (first, second):
        scored(cell, 50.0)
    folders = [cell.folder.path for cell in (first, second)]
    assert tracking.sync(folders, uri, "shapes").problems == []
    with pytest.raises(UserError, match="`gta sync sweep=shapes` tells it"):
        project.load("shapes")
    assert tracking.sync(folders[:1], uri, "shapes", rows=["gta"], grid=of_gta(first.signature)).updated == 1
    assert tracking.sync(folders[:1], uri, "shapes", rows=["gta"], grid=of_gta(first.signature)).unchanged == 1
    frame, made, _ = project.load("shapes")
    assert list(frame["signature"]) == [first.signature]
    assert "no run in this store" not in " ".join(made.notes)
    assert tracking.sync(folders[:1], uri, "shapes", rows=["gta"], grid=of_gta(first.signature, "f" * 16)).updated == 1
    assert project.load("shapes")[1].notes[-1].startswith("1 of the sweep's 2 cells have no run in this store")
    assert len(runs.load(uri, sweep="shapes")) == 2, "nothing was taken out of the store"


def test_rows_are_called_as_this_sweep_calls_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cells of one label, which another sweep gave each: here they are two rows; and the other way round."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri := f"sqlite:///{tmp_path}/runs/mlflow.db")
    first, other = cells.of_seeds(2, tmp_path / "runs")
    second = Cell.of(changed(other.config, {"method.label": "gta transfer_decay=None"}), cells.split())
    for cell, miou in ((first, 50.0), (second, 70.0)):
        scored(cell, miou)
    folders = [cell.folder.path for cell in (first, second)]
    apart = {first.signature: ("gta", "1/8 (1)"), second.signature: ("gta iterations=9", "1/8 (1)")}
    together = dict.fromkeys(apart, ("gta", "1/3 (1)"))
    for placed, means in ((apart, [50.0, 70.0]), (together, [60.0])):
        rows = list(dict.fromkeys(row for row, _ in placed.values()))
        assert tracking.sync(folders, uri, "shapes", rows=rows, grid=placed).problems == []
        _, made, _ = project.load("shapes")
        assert (made.rows, made.columns) == (rows, list(dict.fromkeys(column for _, column in placed.values())))
        assert [made.entries[row, made.columns[0]].mean for row in rows] == means
        assert made.mixed == []

    # as an older version left it: signatures alone, the rows as whichever sweep ran a cell called them
    client = store.connect(uri)
    parent = keys.sweep_run(client, client.get_experiment_by_name(keys.EXPERIMENT).experiment_id, "shapes")
    client.set_tag(parent.info.run_id, f"{keys.GRID}0", f'["{first.signature}"]')
    _, made, _ = project.load("shapes")
    assert made.entries["gta", "1/3 (1)"].mean == 50.0
    assert "`gta sync sweep=shapes` tells MLflow how this sweep calls them" in made.notes[-1]
    with pytest.raises(UserError, match="1 of 1 cells in rows that may be called by other sweeps"):
        made.refuse_gaps()


def of_gta(*signatures: str) -> dict[str, keys.Place]:
    return dict.fromkeys(signatures, ("gta", "1/3 (1)"))


def test_a_grid_of_more_cells_than_a_tag_holds(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/runs/mlflow.db"
    (cell,) = cells.of_seeds(1, tmp_path / "runs")
    scored(cell, 50.0)
    many = [f"{number:016x}" for number in range(1501)]
    for signatures in (many, many[:300]):
        placed = of_gta(*signatures)
        assert tracking.sync([cell.folder.path], uri, [Sweep("shapes", "seed=0")], grid=placed).problems == []
        assert own.sweep_run(uri, "shapes/seed-0").grid == placed
    assert own.variants(uri, "shape") == [], "of the sweep of that whole name alone"
