"""A sweep's own run in MLflow, above those of its cells: which are below it, how it ends, the order of its rows."""

from __future__ import annotations

from gta.cellfolder import CellFolder
from gta.files import write_text
from gta.journal import read
from gta.tracking import keys
from gta.tracking import sync as tracking
from tests.helpers.tracked import attempt, fail, finish, make_cell, run_of, train


def test_a_cell_of_two_sweeps_is_one_run_with_two_tags(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    train(cell, range(3))
    tracking.sync([cell], uri, "one")
    report = tracking.sync([cell], uri, ["two"])
    assert (report.created, report.points) == (0, 0)
    assert tracking.sync([cell], uri, ["one", "two"]).unchanged == 1
    tags = run_of(client, cell).data.tags
    assert (tags["gta.sweep.one"], tags["gta.sweep.two"]) == ("1", "1")


def sweep_run(client, name: str):
    experiment = client.get_experiment_by_name(keys.EXPERIMENT).experiment_id
    (run,) = client.search_runs([experiment], f"tags.`gta.sweep` = '{name}'")
    return run


def test_a_sweep_is_a_run_above_those_of_its_cells(tmp_path, uri, client):
    cells = [make_cell(tmp_path, seed=seed) for seed in range(3)]
    tracking.sync(cells[:1], uri, "first")
    assert sweep_run(client, "first").info.status == "RUNNING"
    for cell in cells:
        finish(cell)
    tracking.sync(cells[1:], uri, "second")
    tracking.sync(cells, uri, ["first"], force=True)
    tracking.sync(cells[:2], uri, "second")
    first, second = sweep_run(client, "first"), sweep_run(client, "second")
    assert [run_of(client, cell).data.tags["mlflow.parentRunId"] for cell in cells] == [
        first.info.run_id,
        second.info.run_id,  # a cell of two sweeps stays below the one that had it first
        second.info.run_id,
    ]
    assert (first.info.status, first.info.run_name) == ("FINISHED", "first")
    assert first.info.end_time == round(max(CellFolder(cell).result().finished for cell in cells) * 1000)


def test_a_sweeps_own_run_keeps_the_order_of_its_rows_whatever_part_was_synced(tmp_path, uri, client):
    cells = [make_cell(tmp_path, seed=seed) for seed in range(3)]
    for cell in cells:
        finish(cell)

    def told(part: list, rows: list[str]) -> list[str]:
        assert tracking.sync(part, uri, "ordered", rows=rows).problems == []
        return keys.rows_of(sweep_run(client, "ordered"))

    assert told(cells[2:], ["gta"]) == ["gta"], "a part comes first"
    assert told(cells, ["supervised", "cps", "gta"]) == ["supervised", "cps", "gta"], "then the whole"
    assert told(cells[1:], ["gta", "cps"]) == ["supervised", "cps", "gta"], "a part moves none"
    assert told(cells[2:], ["gta", "own"]) == ["supervised", "cps", "gta", "own"]
    assert told(cells, ["cps", "supervised", "gta", "own"])[:2] == ["cps", "supervised"], "another order of the sweep"
    assert tracking.sync(cells, uri, "ordered", rows=["cps", "supervised", "gta", "own"]).updated == 0


def test_a_cell_knows_its_sweep_by_itself(tmp_path, uri, client):
    cell = make_cell(tmp_path)
    write_text(CellFolder(cell).config_file, "seed: 0\nsweep_name: own\n")
    tracking.sync([cell], uri)  # as `sync` without a sweep does, after the launcher died
    tags = run_of(client, cell).data.tags
    assert (tags["gta.sweep.own"], tags["mlflow.parentRunId"]) == ("1", sweep_run(client, "own").info.run_id)


def test_a_run_left_by_a_dead_process_is_closed_as_what_it_was(tmp_path, uri, client):
    stopped, failed, alive = (make_cell(tmp_path) for _ in range(3))
    cells = [stopped, failed, alive]
    for cell in cells:
        attempt(cell, 1, host="node1", pid=1)
        train(cell, range(3))
    tracking.sync(cells, uri, "dead", alive=lambda folder: True)
    assert [run_of(client, cell).info.status for cell in cells] == ["RUNNING"] * 3
    fail(failed, attempt=1)
    report = tracking.sync(cells, uri, "dead", alive=lambda folder: folder == alive)
    assert (report.updated, report.unchanged) == (2, 1)
    assert [run_of(client, cell).info.status for cell in cells] == ["KILLED", "FAILED", "RUNNING"]
    assert run_of(client, stopped).info.end_time == round(read(CellFolder(stopped).journal_file)[-1]["time"] * 1000)
    assert sweep_run(client, "dead").info.status == "RUNNING"
    # a later attempt that dies before its first word is no failure: the failure was of the one before
    attempt(failed, 2, host="node2", pid=1)
    tracking.sync(cells, uri, "dead", alive=lambda folder: False)
    assert [run_of(client, cell).info.status for cell in cells] == ["KILLED"] * 3
    assert sweep_run(client, "dead").info.status == "KILLED"
