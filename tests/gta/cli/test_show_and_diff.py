"""`show` and `diff`: what a cell is, what came of it, and what differs between two."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from gta.cell import Cell
from gta.cellfolder import CellFolder, NewOrder, Orders
from gta.cli import composing
from gta.files import write_text
from launch.show.inspect import CellDetails, compare
from tests.helpers.cells import attempt, change_attempt, finish
from tests.helpers.configs import changed
from tests.helpers.program import Run
from tests.helpers.tracked import evaluated

MACHINE = {"commit": "c0ffee", "dirty": True, "tree": "7ree", "packages": {"torch": "2.11"}, "gpus": ["A100"]}


def test_show(say: Run, cells: list[Cell]) -> None:
    attempt(cells[1], "101", "interrupted", began=0, why="time limit")
    attempt(cells[1], "102", "done", began=5, environment=MACHINE)
    said = say("show", "gta/1_8/seed1")
    assert said.returncode == 0, said.stderr
    before, _, after = said.stdout.partition("settings at their defaults")
    for words in ("gta 1/8 seed 1", "mIoU student, last", "schedule.lr", "method.drop_percent", "c0ffee", "A100"):
        assert words in before
    assert "precision=fp32" in after
    assert "precision" not in before
    labeled = cells[1].digests["labeled"]
    assert f"1 ids, sha256 {labeled[:16]}" in before
    first, second = (line.split() for line in before.splitlines() if line.split()[3:4] == ["0"] or " 102 " in line)
    assert first[-3:] == ["interrupted", "time", "limit"]
    assert second[-1] == "done"

    shown = json.loads(say("show", "gta/1_8/seed1", "--json").stdout)
    assert shown["signature"] == cells[1].signature
    assert shown["config"]["changed"]["seed"] == 1
    assert shown["environment"]["packages.torch"] == "2.11"
    assert [one["job"] for one in shown["attempts"]] == ["101", "102"]
    assert shown["code"] == {"commit": "c0ffee", "dirty": True, "tree": "7ree"}


def test_show_says_the_error_of_an_attempt_that_failed_and_the_orders_that_counted(say: Run, cells: list[Cell]) -> None:
    folder = cells[1].folder
    attempt(cells[1], "101", "failed")
    change_attempt(cells[1], why="diverged", error="Diverged at iteration 6")
    Orders(orders=[NewOrder(number=1, iteration=4)]).write(folder.order_file)
    said = say("show", "gta/1_8/seed1").stdout
    assert "failed  Diverged at iteration 6" in said
    assert "order 1 from iteration 4" in said
    finish(cells[1])
    assert "order 1" not in say("show", "gta/1_8/seed1").stdout, "the result says with which batches it was made"


def test_show_has_what_eval_recorded(say: Run, cells: list[Cell]) -> None:
    finish(cells[1])
    assert "scored by any protocol" not in say("show", "gta/1_8/seed1").stdout
    made = evaluated(cells[1].folder.path)
    lost = evaluated(cells[1].folder.path, network="student")
    cells[1].folder.evaluation_file(lost.name).write_text("{")
    shown = say("show", "gta/1_8/seed1").stdout
    (line,) = [line for line in shown.splitlines() if "sliding_window" in line]
    wanted = f"{made.name} {made.evaluation} teacher {made.miou:.2f} 800 (last) abcdef1234567890"
    assert line.split() == wanted.split()
    (told,) = json.loads(say("show", "gta/1_8/seed1", "--json").stdout)["evaluations"]
    assert (told["name"], told["miou"], told["settings"]) == (made.name, made.miou, made.settings)


def test_show_of_a_cell_that_never_ran(say: Run, small: list[str], tmp_path: Path) -> None:
    words = ["sweep=shapes", "method=supervised", "seed=0", *small]
    said = say("show", "supervised/1/5/seed0", *words)
    assert said.returncode == 0, said.stderr
    first, *_ = said.stdout.splitlines()
    assert first == "supervised 1/5 seed 0 never ran. This runs it:"
    assert "gta multirun sweep=shapes method=supervised seed=0" in said.stdout
    assert "--cells supervised/1/5/seed0" in said.stdout
    assert "Training: tiny (width 8), random weights; 8 iterations" in said.stdout
    assert "none yet" in said.stdout
    shown = json.loads(say("show", "supervised/1/5/seed0", *words, "--json").stdout)
    assert f"signature {shown['signature']}" in said.stdout
    assert shown["config"]["changed"]["schedule.iterations"] == 8
    assert (shown["result"], shown["attempts"]) == (None, [])
    assert shown["split"]["labeled"].startswith("8 ids, sha256 ")
    assert not (tmp_path / "runs/cells").exists()
    (cell,) = composing.grid(words)[1]
    assert cell.signature == shown["signature"], "the cell that multirun would make"
    cell.write()
    assert "never ran" not in say("show", "supervised/1/5/seed0", *words).stdout


def test_show_without_a_grid_says_how_a_cell_that_never_ran_is_shown(say: Run) -> None:
    said = say("show", "gta/1/50/seed0")
    assert said.returncode == 2
    assert "One that never ran is shown with its grid: add sweep=NAME." in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_a_password_is_shown_nowhere(say: Run, cells: list[Cell]) -> None:
    uri = "postgresql://me:secret@host/db"
    for cell in cells[:2]:
        replace(cell, config=changed(cell.config, {"paths.tracking_uri": uri})).write()
    for words in (
        ["show", "gta/1_8/seed0"],
        ["show", "gta/1_8/seed0", "--json"],
        ["diff", "gta/1_8/seed0", "gta/1_8/seed2"],
    ):
        said = say(*words)
        assert said.returncode == 0, said.stderr
        assert "secret" not in said.stdout
        assert "postgresql://***@host/db" in said.stdout


def test_diff_names_what_differs(say: Run, cells: list[Cell]) -> None:
    attempt(cells[0], "101", "done", environment=MACHINE)
    attempt(cells[1], "102", "done", environment={**MACHINE, "tree": "0ther", "packages": {"torch": "2.12"}})
    finish(cells[1], miou=52.5)
    parts = compare(*(CellDetails.read(cell.folder) for cell in cells[:2]))
    assert parts["config"] == {"seed": (0, 1)}
    assert parts["code"] == {"tree": ("7ree", "0ther")}
    assert parts["environment"] == {"packages.torch": ("2.11", "2.12")}
    assert parts["result"]["mIoU student, last"] == (50.0, 52.5)
    said = say("diff", "gta/1_8/seed0", "gta/1_8/seed1").stdout
    assert "split: nothing differs" in said
    assert "50 -> 52.5  (+2.5)" in said
    assert json.loads(say("diff", "gta/1_8/seed0", "gta/1_8/seed1", "--json").stdout)["config"] == {"seed": [0, 1]}
    assert "the same cell: nothing differs" in say("diff", cells[0].signature, "gta/1_8/seed0").stdout


def test_what_cannot_change_a_result_is_told_apart(cells: list[Cell]) -> None:
    other = CellFolder(cells[0].folder.path.parent / "feedfeedfeedfeed")
    write_text(other.config_file, cells[0].folder.config_file.read_text().replace("workers: 2", "workers: 7"))
    own = cells[0].folder.identity()
    assert own is not None
    made = replace(
        own,
        signature=other.signature,
        digests={**own.digests, "val": "0" * 64},
        params={**own.params, "maths.method": "7"},
    )
    made.write(other.identity_file)
    parts = compare(CellDetails.read(cells[0].folder), CellDetails.read(other))
    assert parts["config"] == {}
    assert parts["code"] == {"maths.method": (own.params["maths.method"], "7")}
    assert parts["config that cannot change a result"] == {"site.workers": (2, 7)}
    assert list(parts["split"]) == ["val"]


def test_a_cell_that_never_ran(say: Run, cells: list[Cell], tmp_path: Path) -> None:
    said = say("show", "gta/1_8/seed0").stdout
    assert "none yet" in said
    cells[0].folder.config_file.unlink()
    assert "damaged: config.yaml: not there" in say("show", "gta/1_8/seed0").stdout


def test_a_broken_record_is_named_and_the_rest_is_shown(say: Run, cells: list[Cell]) -> None:
    attempt(cells[0], "101", "done")
    cells[0].folder.result_file.write_text("[]")
    said = say("show", "gta/1_8/seed0")
    assert said.returncode == 0
    assert "damaged: result.json: not a JSON object" in said.stdout
    assert "` says what can be made again" in said.stdout
    assert "101" in said.stdout, "its attempts are told all the same"
    assert len(json.loads(say("show", "gta/1_8/seed0", "--json").stdout)["damaged"]) == 1
    assert "damaged: result.json: not a JSON object" in say("diff", "gta/1_8/seed0", "gta/1_8/seed1").stderr
    cells[1].folder.identity_file.write_text("")
    answer = say("show", cells[1].signature)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert f"cell {cells[1].signature[:8]}" in answer.stdout
    assert "damaged: cell.json: empty" in answer.stdout
