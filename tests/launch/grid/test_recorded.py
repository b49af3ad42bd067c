"""A grid that is only read: its cells by their records where lists and weights are not at hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cellfolder import CellFolder
from gta.config import Config
from gta.data.splits.split import Split
from gta.errors import UserError
from gta.files import write_text
from launch.grid import recorded
from launch.state.ledger import State, look
from tests.helpers.cells import config, finish
from tests.helpers.configs import changed
from tests.helpers.program import Run

NOWHERE = "/nowhere"


def made(runs: Path, values: dict[str, object] | None = None, labeled: str = "a") -> tuple[Config, Cell]:
    """A config whose data, lists and weights are nowhere, and the finished cell that was made of it elsewhere."""
    elsewhere = {"paths.runs": str(runs), "paths.splits": "/cluster/splits", "paths.data": "/cluster/data"}
    mine = changed(config(), {**elsewhere, "data.root": "/cluster/data/toy", "data.split_dir": "/cluster/splits/toy"})
    mine = changed(mine, values or {})
    cell = Cell.of(mine, Split(labeled=[labeled], unlabeled=["b", "c"], val=["d"]))
    cell.write()
    finish(cell)
    here = {"paths.splits": f"{NOWHERE}/splits", "paths.data": f"{NOWHERE}/data", "data.root": f"{NOWHERE}/data/toy"}
    return changed(mine, {**here, "data.split_dir": f"{NOWHERE}/splits/toy"}), cell


def test_a_cell_is_known_by_its_record(tmp_path: Path) -> None:
    asked, cell = made(tmp_path / "runs")
    never = changed(asked, {"seed": 7})
    found, other = recorded.read([asked, never])
    assert (found.signature, found.column, found.lists) == (cell.signature, cell.column, None)
    assert look(found).state is State.DONE
    assert "labeled " + cell.digests["labeled"][:8] in recorded.told([found, other])
    absent = look(other)
    assert (absent.state, other.column) == (State.NEVER_RUN, cell.column)
    assert "no record" in absent.detail
    assert not CellFolder(tmp_path / "runs/cells" / other.signature).path.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"schedule.lr": 0.2},
        {"data.split": "1/4"},
        {"data.split_family": "seed1"},
        {"data.split_dir": f"{NOWHERE}/mine"},
        {"data.val_list": "other.txt"},
        {"data.unlabeled_root": "/more"},
        {"model.weights": "/weights/other.pth"},
        {"seed": 1},
        {"precision": "bf16"},
    ],
)
def test_no_number_is_taken_for_that_of_another_cell(tmp_path: Path, change: dict[str, object]) -> None:
    asked, _ = made(tmp_path / "runs")
    (found, other) = recorded.read([asked, changed(asked, change)])
    assert look(found).state is State.DONE
    assert look(other).state is State.NEVER_RUN
    assert found.signature != other.signature


def test_weights_that_are_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "weights/net.pth"
    write_text(file, "tensors")
    asked, cell = made(tmp_path / "runs", {"model.weights": str(file), "paths.weights": str(file.parent)})
    asked = changed(asked, {"paths.weights": "/gone", "model.weights": "/gone/net.pth"})
    (found,) = recorded.read([asked])
    assert found.signature == cell.signature
    assert "weights " + cell.digests["weights"][:8] in recorded.told([found])
    write_text(tmp_path / "mine/net.pth", "other tensors")
    here = changed(asked, {"paths.weights": str(tmp_path / "mine"), "model.weights": str(tmp_path / "mine/net.pth")})
    with pytest.raises(UserError):  # these weights are at hand, and are not those of the record
        recorded.read([here])


def test_two_that_could_be_meant_are_refused_until_a_list_tells(tmp_path: Path) -> None:
    asked, one = made(tmp_path / "runs")
    _, two = made(tmp_path / "runs", labeled="x")
    with pytest.raises(UserError) as refused:
        recorded.read([asked])
    said = str(refused.value)
    assert one.signature[:8] in said
    assert two.signature[:8] in said
    assert "labeled" in said
    here = {"paths.splits": str(tmp_path / "splits"), "data.split_dir": str(tmp_path / "splits/toy")}
    write_text(tmp_path / "splits/toy/1_8/labeled.txt", "x\n")  # the other lists still are nowhere
    (found,) = recorded.read([changed(asked, here)])
    assert found.signature == two.signature


def test_a_broken_record_is_of_no_cell(tmp_path: Path) -> None:
    asked, cell = made(tmp_path / "runs")
    _, broken = made(tmp_path / "runs", labeled="x")
    broken.folder.identity_file.write_text("{")
    (found,) = recorded.read([asked])
    assert found.signature == cell.signature


def test_lists_alone_tell_the_cell(tmp_path: Path) -> None:
    """Images are asked of who trains: of a grid whose lists are here the cells are exactly known."""
    asked, cell = made(tmp_path / "runs", labeled="x")
    made(tmp_path / "runs")
    asked = changed(asked, {"data.split_dir": str(tmp_path / "lists"), "data.val_list": "{split_dir}/val.txt"})
    for name, item in (("1_8/labeled", "x"), ("1_8/unlabeled", "b\nc"), ("val", "d")):
        write_text(tmp_path / f"lists/{name}.txt", f"{item}\n")
    (found,) = recorded.read([asked])
    assert found.signature == cell.signature
    assert recorded.told([found]) == ""


def test_what_lists_choose_is_told_by_the_record_where_images_are_not_here(tmp_path: Path) -> None:
    """Lists name files by their paths; whether these are other files than their ids say, the images alone tell."""
    mine = changed(made(tmp_path / "others")[0], {"paths.runs": str(tmp_path / "runs")})
    mine = changed(mine, {"paths.splits": str(tmp_path), "data.split_dir": str(tmp_path / "lists")})
    mine = changed(mine, {"data.val_list": "{split_dir}/val.txt"})
    for name, item in (("1_8/labeled", "a"), ("1_8/unlabeled", "b\nc"), ("val", "d")):
        write_text(tmp_path / f"lists/{name}.txt", f"{item}\n")
    plain = Split(labeled=["a"], unlabeled=["b", "c"], val=["d"])
    assert recorded.read([mine])[0].signature == Cell.of(mine, plain).signature
    cell = Cell.of(mine, replace(plain, files="of other masks"))
    cell.write()
    finish(cell)
    before = Cell.of(mine, plain)  # by code that did not look at which files lists choose
    before.write()
    (found,) = recorded.read([mine])
    assert found.signature == cell.signature != before.signature
    assert look(found).state is State.DONE


@pytest.mark.slow
def test_a_copy_of_the_runs_reprints_everything(say: Run, small: list[str], tmp_path: Path) -> None:
    from gta.cli.composing import grid

    words = ["sweep=shapes", *small, "method=supervised,gta", "seed=0", "data.split=1/5"]
    assert say("status", *words).returncode == 0
    _, (first, second) = grid(words)
    for number, cell in enumerate((first, second)):
        cell.write()
        finish(cell, 50.0 + number)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "runs", copy / "runs")
    shutil.rmtree(tmp_path / "splits")
    there = [word for word in words if not word.startswith("paths.")]
    there += [f"paths.{name}={copy / name}" for name in ("data", "splits", "runs", "results")]
    for command in ("status", "table", "report"):
        said = say(command, *there)
        assert said.returncode == 0, said.stderr
        shown = (
            said.stdout if command != "report" else next(copy.glob("results/shapes/variants/*/report.html")).read_text()
        )
        assert "Not at hand: labeled lists, unlabeled lists, val lists" in shown
        assert first.digests["labeled"][:8] in shown
        assert "50.00" in shown
    one, two = (f"{method}/1/5/seed0" for method in ("supervised", "gta"))
    assert "50" in say("show", one, *there).stdout
    assert "50 -> 51" in say("diff", one, two, *there).stdout
    assert json.loads(say("status", *there, "--json").stdout)["counts"] == {"done": 2}
    assert not (copy / "data").exists(), "nothing is generated to read"
    assert not (copy / "splits").exists()
    page = next(copy.glob("results/shapes/variants/*/table.md"))
    assert replace(first, lists=None).column in page.read_text()

    # a copy that has one column of two
    two = [word for word in there if not word.startswith("data.split=")] + ["data.split=1/5,1/4"]
    said = say("table", *two)
    assert said.returncode == 0, said.stderr
    shown = " ".join(said.stdout.split())
    assert "No cell of 1/4 has a record in" in shown
    assert "2 of 4 cells are missing (2 no record here)" in shown
    said = say("report", *two)
    assert said.returncode == 0, said.stderr
    (page,) = set(copy.glob("results/shapes/variants/*/table.md")) - {page}
    assert f"| {replace(first, lists=None).column} | 1/4 |" in page.read_text(), "what nobody knows stands last"
