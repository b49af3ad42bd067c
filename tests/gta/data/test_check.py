"""`data check` finds everything that is wrong with a data set, says it in sentences, and writes nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gta.cli.main import main
from gta.config import DataConfig
from gta.data.check import DataReport, check_dataset
from gta.data.splits.lists import digest
from gta.errors import UserError

Tiny = Callable[..., DataConfig]


def walk(config: DataConfig) -> DataReport:
    def progress(steps: Iterator[None], total: int) -> None:
        assert len(list(steps)) == total

    return check_dataset(config, progress)


def test_a_whole_data_set(tiny: Tiny) -> None:
    report = walk(tiny())
    assert report.problems == []
    assert {name: len(ids) for name, ids in report.lists.items()} == {
        "train": 5, "val": 1, "labeled": 2, "unlabeled": 3,
    }  # fmt: skip
    assert (report.images, report.masks, report.without_mask, report.sizes) == (6, 6, 0, {(4, 6)})
    assert report.pixels.tolist() == [6 * 12, 6 * 8, 6 * 4]
    assert report.shown.tolist() == [6, 6, 6]


def test_everything_that_is_wrong_is_said(tiny: Tiny) -> None:
    config = tiny()
    root = Path(config.root)
    images, masks = root / "JPEGImages", root / "SegmentationClass"
    (images / "a.jpg").unlink()
    (masks / "b.png").unlink()  # labeled: missed
    (masks / "c.png").unlink()  # unlabeled: not
    (images / "d.jpg").write_bytes((images / "d.jpg").read_bytes()[:200])
    Image.fromarray(np.full((4, 6), 9, np.uint8)).save(masks / "e.png")
    Image.fromarray(np.zeros((6, 4), np.uint8)).save(masks / "f.png")
    lists = Path(config.split_dir) / config.split
    (lists / "unlabeled.txt").write_text("b\nc\nd\n")
    said = walk(config).problems
    for part in (
        "the image .*a.jpg is not there",
        "the mask .*b.png is not there",
        "d.jpg is corrupt",
        "e.png: label 9",
        "f.jpg is 6x4 but its mask .* is 4x6",
        "1 images are in both .*/labeled.txt and .*/unlabeled.txt, b for one",
        "labeled and unlabeled are not together .*train.txt",
    ):
        assert any(re.search(part, line) for line in said), (part, said)
    assert len(said) == 7
    assert walk(config).without_mask == 2


def test_without_lists_of_a_split_what_there_is_is_walked(tiny: Tiny) -> None:
    config = tiny()
    (Path(config.root) / "SegmentationClass/e.png").unlink()
    report = walk(replace(config, split_dir="/nowhere"))
    assert report.images == 6
    assert sorted(line.split(" ")[0] for line in report.problems) == ["The", "The", "the"]
    assert any("e.png" in line for line in report.problems), "without a split every training image needs its mask"
    with pytest.raises(UserError, match="is expected to look like this"):
        walk(replace(config, root="/nowhere"))


@pytest.mark.slow
def test_the_command(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(generated.rglob("*"))
    assert main(["data", "check", "data=shapes", f"paths.data={generated}"]) == 0
    said = capsys.readouterr().out
    assert "nothing is missing or broken" in said
    assert digest([f"val_{number:05d}" for number in range(6)])[:16] in said
    assert "46 images, 48 to 48 pixels wide" in said
    assert sorted(generated.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []

    copy = tmp_path / "data/shapes"
    shutil.copytree(generated / "shapes", copy)
    for path in (copy / "SegmentationClass").glob("train_0000*.png"):
        path.write_bytes(b"no picture")
    for path in (copy / "JPEGImages").glob("train_0001*.jpg"):
        path.unlink()
    (copy / "JPEGImages/val_00000.jpg").unlink()
    assert main(["data", "check", "data=shapes"]) == 2
    said = capsys.readouterr().out
    assert said.count("BROKEN") == 20
    assert "... and 1 more" in said
    assert "shapes: 21 problems" in said
    assert main(["data", "check", "data=shapes", "--all"]) == 2
    assert capsys.readouterr().out.count("BROKEN") == 21
    assert main(["data", "check", "data=voc_blender"]) == 2
    assert "MISSING" in capsys.readouterr().err
