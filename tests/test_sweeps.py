"""Every shipped sweep runs two steps at a dry size: its grid expands, and each of its methods trains and scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from gta.commands.common import grid
from gta.compose import sweep_files
from gta.config import ShapesConfig
from gta.data.shapes import generate
from gta.data.splits import read_ids
from launch.cell import Cell
from launch.job import run_cell
from launch.ledger import State, look

DRY = [
    "schedule.iterations=2",
    "schedule.warm_up=1",
    "schedule.eval_every=2",
    "schedule.eval_images=2",
    "schedule.batch_size=2",
    "schedule.group_size=2",
    "data.crop_size=33",
    "model=tiny",
    "model.width=4",
    "site.workers=0",
    "site.device=cpu",
]
# label counts of the public lists that a sweep asks for, and cells in its grid
SIZES = {"voc_blender": ([662, 1323, 2646], 36), "voc_classic": ([92, 183, 366, 732, 1464], 60)}
CELLS = {"shapes": 12, "camvid": 4, **{name: cells for name, (_, cells) in SIZES.items()}}


def made_up_data(sweep: str, folder: Path) -> None:
    """A few pictures in the layout of the sweep's data set, and lists by the names that it asks for."""
    if sweep == "shapes":
        return
    root = folder / "data" / ("camvid" if sweep == "camvid" else "voc")
    generate(ShapesConfig(train=60, val=3), root)
    if sweep == "camvid":
        return
    (root / "SegmentationClass").rename(root / "SegmentationClassAug")
    ids = read_ids(root / "ImageSets/Segmentation/train.txt")
    for place, count in enumerate(SIZES[sweep][0]):
        lists = folder / f"splits/u2pl/pascal/{count}"
        lists.mkdir(parents=True)
        labeled = ids[: 5 + place]
        (lists / "labeled.txt").write_text("\n".join(labeled))
        (lists / "unlabeled.txt").write_text("\n".join(sorted(set(ids) - set(labeled))))


def test_every_sweep_is_tested() -> None:
    assert set(sweep_files()) == set(CELLS)


@pytest.mark.parametrize("sweep", CELLS)
def test_a_sweep_runs_at_a_dry_size(sweep: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made_up_data(sweep, tmp_path)
    _, cells = grid([f"sweep={sweep}", *DRY])
    assert len(cells) == CELLS[sweep]
    one_a_method: dict[str, Cell] = {cell.row: cell for cell in reversed(cells)}
    for cell in one_a_method.values():
        cell.write()
        assert run_cell(cell.folder) == "done"
        assert look(cell).state is State.DONE


@pytest.mark.parametrize(("sweep", "path"), sweep_files().items(), ids=str)
def test_a_sweep_file_begins_with_the_command_that_runs_it(sweep: str, path: Path) -> None:
    assert path.read_text().startswith(f"# python -m gta multirun sweep={sweep}")
