"""One function makes the cells of a command line; each has a place of its own in the table."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gta.cli.composing import grid
from gta.errors import UserError


@pytest.fixture
def cells(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    return lambda *words: grid(["sweep=shapes", *small, *words])[1]


def test_the_command_line_replaces_and_widens_the_sweep(cells) -> None:  # type: ignore[no-untyped-def]
    made = cells("method=gta,supervised", "seed=0,1,2")
    assert [(cell.row, cell.config.seed) for cell in made] == [
        (method, seed) for method in ("gta", "supervised") for seed in (0, 1, 2)
    ]
    assert len({cell.signature for cell in made}) == 6
    assert all(cell.config.paths.runs.startswith("/") for cell in made), "a frozen cell does not depend on the folder"


def test_equal_cells_are_one(cells) -> None:  # type: ignore[no-untyped-def]
    assert len(cells("method=gta", "seed=0", "site.workers=0,1")) == 1


def test_rows_say_what_tells_cells_apart(cells) -> None:  # type: ignore[no-untyped-def]
    made = cells("method=supervised,gta", "seed=0", "schedule.lr=0.1,0.2")
    assert [cell.row for cell in made] == ["supervised lr=0.1", "supervised lr=0.2", "gta lr=0.1", "gta lr=0.2"]


def test_methods_of_one_label_are_told_by_their_names(cells) -> None:  # type: ignore[no-untyped-def]
    made = cells("method=supervised,fixmatch,gta", "data.split=1/5", "seed=0", "method.label=a")
    assert [cell.row for cell in made] == ["a method=supervised", "a method=fixmatch", "a method=gta"]


def test_a_network_is_told_by_its_encoder(cells) -> None:  # type: ignore[no-untyped-def]
    """What comes with it goes without saying; what does not is said."""
    words = ["method=gta", "data.split=1/5", "seed=0", "model=resnet18,resnet34", "model.weights=random"]
    assert [cell.row for cell in cells(*words)] == ["gta encoder=resnet18", "gta encoder=resnet34"]
    rows = [cell.row for cell in cells(*words, "model.output_stride=8,16")]
    assert rows[:2] == ["gta encoder=resnet18 output_stride=8", "gta encoder=resnet18 output_stride=16"]
    assert len(set(rows)) == 4
    dry = [cell.row for cell in cells(*words, "schedule=dry")]
    assert dry == ["gta encoder=resnet18", "gta encoder=resnet34"], "a dry run keeps them apart"


def test_folders_of_unlabeled_images_are_told_by_their_names(cells) -> None:  # type: ignore[no-untyped-def]
    pictures = next(Path(cell.config.data.root) for cell in cells("seed=0")) / "JPEGImages"
    for folder, kept in (("a/more", 0), ("b/more", 1), ("b/others", 2)):
        Path(folder).mkdir(parents=True)
        shutil.copy(sorted(pictures.iterdir())[kept], Path(folder) / "x.jpg")
    words = ["method=gta", "data.split=1/5", "seed=0"]
    named = cells(*words, "data.unlabeled_root='',a/more,b/others")
    assert [cell.row for cell in named] == [
        "gta unlabeled_root=none",
        "gta unlabeled_root=more",
        "gta unlabeled_root=others",
    ]
    assert len({cell.column for cell in named}) == 1
    paths = cells(*words, "data.unlabeled_root=a/more,b/more")
    assert [cell.row for cell in paths] == [
        f"gta unlabeled_root={Path(name).absolute()}" for name in ("a/more", "b/more")
    ]


def test_splits_with_the_same_lists_are_one_column_and_that_is_said(cells, capsys) -> None:  # type: ignore[no-untyped-def]
    (cell,) = cells("method=gta", "seed=0", "data.split=1/5")
    folder = Path(cell.config.data.split_dir)
    shutil.copytree(folder / "1_5", folder / "copy")
    capsys.readouterr()
    assert len(cells("method=gta", "seed=0", "data.split=1/5,copy")) == 1
    told = capsys.readouterr().err
    assert "the same lists" in told
    assert "1/5 (seed0) and copy (seed0)" in told
    assert len(cells("method=gta", "seed=0", "data.split=1/5,1/5")) == 1
    assert "the same lists" not in capsys.readouterr().err


@pytest.mark.parametrize("word", ["schedule.lr=interval(0.01,0.1)", "seed=int(interval(0,4))", "method=interval(0,1)"])
def test_an_interval_is_no_grid(cells, word: str) -> None:  # type: ignore[no-untyped-def]
    """On the command line, and in a sweep file."""
    with pytest.raises(UserError, match=r"interval has no end of them; list them"):
        cells(word)
    Path("sweeps").mkdir()
    name, value = word.split("=", 1)
    Path("sweeps/drawn.yaml").write_text(f"hydra: {{sweeper: {{params: {{{name}: '{value}'}}}}}}\n")
    with pytest.raises(UserError, match=r"interval has no end of them; list them"):
        cells("sweep=drawn")


def test_an_empty_grid_is_refused(cells) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="empty"):
        cells("seed=range(0,0)")
