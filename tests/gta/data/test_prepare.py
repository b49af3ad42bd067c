"""Preparing a data set: generated once, never overwritten, shown when it is absent, drawn when it is ours."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gta.config import DataConfig, ShapesConfig
from gta.data.prepare import make_shapes, prepare
from gta.data.spec import check_layout
from gta.data.splits.split import load_split
from gta.errors import UserError
from tests.helpers.program import Run

Tiny = Callable[..., DataConfig]


def _snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def _fresh(shapes_data: DataConfig, folder: Path) -> DataConfig:
    return replace(shapes_data, root=str(folder / "data" / "shapes"), split_dir=str(folder / "splits"))


def test_generated_once_and_then_left_alone(shapes_data: DataConfig, tmp_path: Path) -> None:
    config = _fresh(shapes_data, tmp_path)
    prepare(config)
    before = _snapshot(tmp_path)
    assert load_split(config).ratio == "1/4"
    prepare(config)
    assert _snapshot(tmp_path) == before
    assert sorted(entry.name for entry in (tmp_path / "data").iterdir()) == ["shapes"]  # no temporary folder stays


def test_what_is_generated_is_said_and_no_path_is_made_for_it(
    shapes_data: DataConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shapes_data.generator is not None
    root = tmp_path / "data/shapes"
    with pytest.raises(UserError, match=f"in {root}/a, and not even {tmp_path}/data is there: make {root}, or name"):
        make_shapes(shapes_data.generator, root / "a")
    assert list(tmp_path.iterdir()) == []
    for said in (f"Made the generated data set in {root}.\n", ""):
        make_shapes(shapes_data.generator, root)
        assert capsys.readouterr().err == said


def test_other_options_are_refused_and_named(shapes_data: DataConfig) -> None:
    assert shapes_data.generator is not None
    other = replace(shapes_data, generator=replace(shapes_data.generator, noise=0.3, val=8))
    with pytest.raises(UserError, match=r"other options \(noise 0.15 there, 0.3 wanted, val 7 there, 8 wanted\)"):
        prepare(other)


def test_somebody_elses_folder_is_not_touched(shapes_data: DataConfig, tmp_path: Path) -> None:
    config = _fresh(shapes_data, tmp_path)
    Path(config.root).mkdir(parents=True)
    (Path(config.root) / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="was not made by this program"):
        prepare(config)
    assert list(_snapshot(tmp_path)) == ["data/shapes/thesis.txt"]


def test_impossible_options_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"min_objects=5 is above data\.generator\.max_objects=2"):
        make_shapes(ShapesConfig(min_objects=5, max_objects=2), tmp_path / "shapes")
    assert list(tmp_path.iterdir()) == []


def test_processes_that_prepare_at_once_agree(shapes_data: DataConfig, tmp_path: Path) -> None:
    config = _fresh(shapes_data, tmp_path)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.map(prepare, [config] * 3, chunksize=1)
    assert load_split(config) == load_split(shapes_data)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob("*/*")) == ["data/shapes", "splits/1_4"]


def test_a_data_set_that_is_not_generated_is_never_written_to(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(split="1_2", split_family="seed0", split_dir=str(tmp_path / "drawn"))
    before = _snapshot(Path(config.root))
    prepare(config)
    assert _snapshot(Path(config.root)) == before
    split = load_split(config)
    assert (len(split.labeled), len(split.unlabeled)) == (2, 3)


def test_a_missing_data_set_is_shown_as_it_must_look(tmp_path: Path) -> None:
    config = DataConfig(
        name="voc",
        root=str(tmp_path / "voc"),
        classes=["a", "b"],
        split="662",
        split_family="u2pl",
        split_dir=str(tmp_path),
    )
    with pytest.raises(UserError) as error:
        prepare(config)
    lines = str(error.value).splitlines()
    assert lines[0] == f"Data set voc: the folder {tmp_path}/voc is not there. It is expected to look like this:"
    for part in (
        "voc/JPEGImages/ID.jpg",
        "voc/SegmentationClass/ID.png",
        "val.txt",
        "662/labeled.txt",
        "662/unlabeled.txt",
    ):
        assert any(line.startswith(f"  MISSING  {tmp_path}/") and part in line for line in lines)
    assert "data.root=FOLDER" in lines[-1]
    assert len(lines) < 10
    assert list(tmp_path.iterdir()) == []


def test_only_the_missing_part_is_marked(tiny: Tiny) -> None:
    config = tiny()
    check_layout(config)
    (Path(config.split_dir) / "mine" / "unlabeled.txt").unlink()
    with pytest.raises(UserError, match="parts of it are not there") as error:
        check_layout(config)
    marked = [line for line in str(error.value).splitlines() if "MISSING" in line]
    assert len(marked) == 1
    assert "mine/unlabeled.txt" in marked[0]


def test_all_labels_without_unlabeled_images_are_another_method(tiny: Tiny) -> None:
    with pytest.raises(UserError, match=r"unlabeled_root=FOLDER\. To train on all .* method=fully_supervised") as error:
        check_layout(tiny(split="all"))
    assert "splits import" not in str(error.value)


def test_a_list_that_this_program_draws_need_not_be_there(tiny: Tiny) -> None:
    check_layout(tiny(split="1_2", split_family="seed7"))


def test_classes_must_be_named(tiny: Tiny) -> None:
    with pytest.raises(UserError, match=r"data\.classes"):
        check_layout(tiny(classes=[]))


def test_what_was_trained_is_still_read_after_the_train_list_changed(
    say: Run, small: list[str], generated: Path, tmp_path: Path
) -> None:
    """Nothing else is: whoever asks for a run is told."""
    shutil.copytree(generated / "shapes", tmp_path / "data/shapes")
    words = ["sweep=shapes", "method=supervised", "seed=0", *small, f"paths.data={tmp_path / 'data'}"]
    assert say("plan", *words).returncode == 0
    train = tmp_path / "data/shapes/ImageSets/Segmentation/train.txt"
    train.write_text("\n".join(train.read_text().split()[1:]))
    for command in ("plan", "multirun"):
        said = say(command, *words)
        assert said.returncode == 2
        assert "train.txt as it is now (1 of theirs are not in it): put the train list back" in said.stderr
    status = say("status", *words)
    assert (status.returncode, "never run" in status.stdout) == (0, True)
