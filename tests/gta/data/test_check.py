"""`data check` finds everything that is wrong with a data set, says it in sentences, and writes nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gta.cli.main import main
from gta.config import DataConfig
from gta.data.check import DataReport, check_dataset
from gta.data.lists import digest
from gta.errors import UserError
from tests.helpers.works import whole, works

Tiny = Callable[..., DataConfig]


def walk(config: DataConfig) -> DataReport:
    with works() as kept:
        report = check_dataset(config)
    assert list(whole(kept)) == ["decoding"], "each image is a step"
    return report


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


def test_what_is_no_file_is_not_waited_for(tiny: Tiny) -> None:
    config = tiny()
    root = Path(config.root)
    for path in (
        root / "JPEGImages/a.jpg",
        root / "SegmentationClass/b.png",
        Path(config.split_dir) / config.split / "unlabeled.txt",
    ):
        path.unlink()
        os.mkfifo(path)
    (root / "JPEGImages/c.jpg").unlink()
    (root / "JPEGImages/c.jpg").symlink_to("/dev/zero")
    said = walk(config).problems
    for name, kind in (("a.jpg", "FIFO"), ("b.png", "FIFO"), ("unlabeled.txt", "FIFO"), ("c.jpg", "device")):
        assert any(f"{name} is a {kind}, not a file" in line for line in said), said


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


def said(config: DataConfig) -> tuple[list[str], list[str]]:
    report = walk(config)
    return report.problems, [str(advice) for advice in report.advice]


def masks(config: DataConfig, make: Callable[[np.ndarray], np.ndarray]) -> None:
    """Writes the masks anew: `make` is given labels 0 and 1, of which each row holds all."""
    for item in "abcdef":
        picture = Image.fromarray(make(np.array([[0, 1, 0, 1, 1, 0]] * 4, np.uint8)).astype(np.uint8))
        picture.save(Path(config.root) / config.masks / f"{item}.png")


@pytest.mark.parametrize(
    ("make", "words", "mends"),
    [
        (lambda labels: labels * 255, "masks hold 0 and 255: a binary mask?", {"label_map": [[0, 0], [255, 1]]}),
        (lambda labels: labels * 127, "masks hold 0 and 127: a binary mask?", {"label_map": [[0, 0], [127, 1]]}),
        (lambda labels: labels + 1, "labels that begin with 1?", {"label_map": [[1, 0], [2, 1]]}),
        (
            lambda labels: np.where(np.arange(6) == 0, 0, labels + 1),
            "labels that begin with 1?",
            {"label_map": [[0, 255], [1, 0], [2, 1]]},
        ),
        (lambda labels: labels * 100 + 50, "as many, in this order?", {"label_map": [[50, 0], [150, 1]]}),
        (
            lambda labels: np.dstack([labels * 200, labels, labels]),
            "2 colours: colour masks?",
            {"colour_map": [[0, 0, 0, 0], [200, 1, 1, 1]]},
        ),
        (
            lambda labels: np.dstack([labels] * 3),
            "gray levels in three channels",
            {"colour_map": [[0, 0, 0, 0], [1, 1, 1, 1]]},
        ),
    ],
)
def test_masks_of_another_kind_are_told_and_the_lines_that_are_said_mend_them(
    tiny: Tiny, make: Callable[[np.ndarray], np.ndarray], words: str, mends: dict[str, object]
) -> None:
    config = tiny()
    masks(config, make)
    problems, advice = said(config)
    assert problems
    assert len(advice) == 1
    assert words in advice[0]
    ((name, value),) = mends.items()
    assert f"{name}: {value}" in advice[0]
    assert said(replace(config, **mends)) == ([], [])  # type: ignore[arg-type]


@pytest.mark.parametrize("pairs", [[[0, 0], [255, 1]], [[255, 1], [0, 0]], [[255, 0], [0, 1]]])
def test_a_map_that_is_there_is_no_advice_in_whatever_order(tiny: Tiny, pairs: list[list[int]]) -> None:
    config = tiny(label_map=pairs)
    masks(config, lambda labels: labels * 255)
    assert said(config) == ([], [])


def test_colours_of_the_palette_are_told_by_it(tiny: Tiny) -> None:
    config = tiny(palette=[[200, 0, 0], [0, 0, 0]])
    masks(config, lambda labels: np.dstack([labels * 200, labels * 0, labels * 0]))
    assert "colour_map: [[0, 0, 0, 1], [200, 0, 0, 0]]" in said(config)[1][0]


def test_gray_levels_are_no_labels(tiny: Tiny) -> None:
    config = tiny()
    masks(config, lambda labels: np.arange(24).reshape(4, 6) * 9)
    assert "resized or compressed" in said(config)[1][0]


def test_deep_images_are_told_with_the_range_of_all_of_them(tiny: Tiny) -> None:
    config = tiny(image_suffix=".png")
    for number, item in enumerate("abcdef"):
        picture = Image.fromarray(np.full((4, 6), 800 * number, np.uint16))
        picture.save(Path(config.root) / config.images / f"{item}.png")
    problems, advice = said(config)
    assert len(problems) == 6
    assert advice == ["images hold 0 to 4000: is that a part of the range below? image_range: [0,4095]"]
    assert said(replace(config, image_range=[0, 4095])) == ([], [])


def test_a_class_is_asked_of_each_list(tiny: Tiny) -> None:
    config = tiny()
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(Path(config.root) / config.masks / "f.png")
    assert said(config)[0] == ["The 1 val masks show no pixel of class 1 (thing)."]
    assert said(replace(config, allow_absent_classes=True))[0] == []


def test_an_orientation_is_counted_and_named_where_sizes_differ_by_it(tiny: Tiny) -> None:
    config = tiny()
    picture = Image.fromarray(np.zeros((4, 6, 3), np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 3
    picture.save(Path(config.root) / config.images / "a.jpg", exif=exif)
    assert walk(config).turned == 1
    exif[0x0112] = 6
    picture.save(Path(config.root) / config.images / "a.jpg", exif=exif)
    assert re.search(r"a\.jpg is 4x6, as its EXIF orientation 6 turns it, but .*remove the tag", said(config)[0][0])
