"""Layouts of a user's own: where an image and its mask are found by suffix, sub-folder and what the lists say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from gta.config import DataConfig
from gta.data.check import check_dataset
from gta.data.dataset import SegmentationDataset
from gta.data.listing import image_files, mask_files
from gta.data.prepare import prepare
from gta.data.splits.split import load_split
from gta.data.stage import needed, stage
from gta.errors import UserError

Tiny = Callable[..., DataConfig]


def moved(config: DataConfig, item: str, image: str, mask: str) -> None:
    """Moves a picture of the tiny data set and its mask to other places below the root."""
    root = Path(config.root)
    for old, new in ((f"JPEGImages/{item}.jpg", image), (f"SegmentationClass/{item}.png", mask)):
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)


def lists(config: DataConfig, train: str, val: str) -> None:
    folder = Path(config.root) / "ImageSets/Segmentation"
    (folder / "train.txt").write_text(train)
    (folder / "val.txt").write_text(val)


def test_images_and_masks_of_one_name_are_told_apart_by_the_paths_in_the_lists(tiny: Tiny, tmp_path: Path) -> None:
    """SegNet's CamVid: train/x.png, trainannot/x.png, and lists that name both, from a root of somebody else."""
    config = tiny(images=".", masks=".", nested=True, image_suffix=".png")
    root = Path(config.root)
    for item in "abcdef":
        Image.open(root / f"JPEGImages/{item}.jpg").save(root / f"JPEGImages/{item}.png")
        (root / f"JPEGImages/{item}.jpg").unlink()
        part = "val" if item == "f" else "train"
        for old, new in (("JPEGImages", part), ("SegmentationClass", f"{part}annot")):
            (root / new).mkdir(exist_ok=True)
            (root / old / f"{item}.png").rename(root / new / f"{item}.png")
    row = "/SegNet/{0}/{1}.png /SegNet/{0}annot/{1}.png\n"
    lists(config, "".join(row.format("train", item) for item in "abcde"), row.format("val", "f"))
    split = load_split(config)
    assert split.labeled == ["a", "b"]
    assert (image_files(config)["f"], mask_files(config)["f"]) == ("val/f.png", "valannot/f.png")
    assert walked(config) == []
    staged_names = needed(config, split)
    assert {"train/a.png", "trainannot/a.png", "ImageSets/Segmentation/train.txt"} <= set(staged_names)
    copy = stage(root, tmp_path / "fast", staged_names)
    assert SegmentationDataset(replace(config, root=str(copy)), ["a"]).labeled(0)[0].shape == (4, 6, 3)
    lists(config, "a\nb\nc\nd\ne\n", "f\n")
    with pytest.raises(UserError, match=r"train/\w\.png and .*trainannot/\w\.png have one name.*data\.ids=path"):
        load_split(config)


def walked(config: DataConfig) -> list[str]:
    return check_dataset(config).problems


def test_two_folders_with_files_of_one_name(tiny: Tiny) -> None:
    config = tiny(ids="path")
    for number, item in enumerate("abcde"):
        moved(config, item, f"JPEGImages/train/{number}.jpg", f"SegmentationClass/train/{number}.png")
    moved(config, "f", "JPEGImages/val/0.jpg", "SegmentationClass/val/0.png")
    lists(config, "".join(f"/x/JPEGImages/train/{number}.jpg\n" for number in range(5)), "JPEGImages/val/0.jpg\n")
    folder = Path(config.split_dir) / config.split
    (folder / "labeled.txt").write_text("train/0\ntrain/1.jpg\n")
    (folder / "unlabeled.txt").write_text("train/2\ntrain/3\ntrain/4\n")
    split = load_split(config)
    assert (split.labeled, split.val) == (["train/0", "train/1"], ["val/0"])
    assert walked(config) == []
    assert SegmentationDataset(config, ["val/0"]).labeled(0)[0][0, 0].tolist() == [200, 200, 200], "that of f"
    (folder / "labeled.txt").write_text("train/0.jpg\ntrain/1.jpg\n")
    (folder / "unlabeled.txt").write_text("train/2.jpg\ntrain/3.jpg\ntrain/4.jpg\n")
    with pytest.raises(UserError, match="0 is also in"):
        load_split(replace(config, ids="name", nested=True))


def test_drawn_lists_of_ids_that_are_paths(tiny: Tiny) -> None:
    config = tiny(ids="path", split="1/2", split_family="seed0")
    for item in "abcdef":
        moved(config, item, f"JPEGImages/x/{item}.jpg", f"SegmentationClass/x/{item}.png")
    lists(config, "".join(f"JPEGImages/x/{item}.jpg\n" for item in "abcde"), "x/f.jpg\n")
    prepare(config)
    split = load_split(config)
    assert sorted([*split.labeled, *split.unlabeled]) == [f"x/{item}" for item in "abcde"]


def test_several_suffixes_and_capital_letters(tiny: Tiny) -> None:
    config = tiny(image_suffix=".jpg .png", mask_suffix="_l.png")
    root = Path(config.root)
    for number, item in enumerate("abcdef"):
        name = f"{item}.{('JPG', 'jpg', 'PNG')[number % 3]}"
        (root / f"JPEGImages/{item}.jpg").rename(root / "JPEGImages" / name)
        (root / f"SegmentationClass/{item}.png").rename(root / f"SegmentationClass/{item}_L.PNG")
    assert walked(config) == []
    assert image_files(config)["a"] == "a.JPG"
    assert mask_files(config)["a"] == "a_L.PNG"
    (root / "JPEGImages/c.jpg").write_bytes((root / "JPEGImages/c.PNG").read_bytes())
    assert image_files(config)["c"] == "c.jpg", "the suffix as it is written goes first"
    (root / "JPEGImages/c.PNG").rename(root / "JPEGImages/c.png")
    with pytest.raises(UserError, match=r"c\.jpg and .*c\.png have one name"):
        load_split(config)


def test_a_mask_of_another_name_is_found_by_the_list(tiny: Tiny) -> None:
    config = tiny()
    for item in "abcdef":
        moved(config, item, f"JPEGImages/{item} 1.jpg", f"SegmentationClass/mask of {item}.png")
    row = "JPEGImages/{0} 1.jpg SegmentationClass/mask of {0}.png\n"
    lists(config, "".join(row.format(item) for item in "abcde"), row.format("f"))
    folder = Path(config.split_dir) / config.split
    (folder / "labeled.txt").write_text("a 1\nb 1\n")
    (folder / "unlabeled.txt").write_text("c 1\nd 1\ne 1\n")
    assert load_split(config).labeled == ["a 1", "b 1"]
    assert walked(config) == []


def test_the_mask_that_a_list_names_goes_before_one_of_the_images_name(tiny: Tiny) -> None:
    config = tiny()
    lists(
        config, "JPEGImages/a.jpg SegmentationClass/b.png\nJPEGImages/b.jpg SegmentationClass/a.png\nc\nd\ne\n", "f\n"
    )
    assert {item: mask_files(config)[item] for item in "abc"} == {"a": "b.png", "b": "a.png", "c": "c.png"}


def test_lists_are_drawn_of_ids_that_end_as_a_pictures_name_does(tiny: Tiny) -> None:
    config = tiny(image_suffix=".png", mask_suffix="_L.png", split="1/2", split_family="seed0")
    root = Path(config.root)
    for number, item in enumerate("abcdef"):
        Image.open(root / f"JPEGImages/{item}.jpg").save(root / f"JPEGImages/{number}.jpg.png")
        (root / f"SegmentationClass/{item}.png").rename(root / f"SegmentationClass/{number}.jpg_L.png")
    lists(config, "".join(f"{number}.jpg.png\n" for number in range(5)), "5.jpg.png\n")
    prepare(config)
    split = load_split(config)
    assert sorted([*split.labeled, *split.unlabeled]) == [f"{number}.jpg" for number in range(5)]
    assert walked(config) == []
    assert load_split(config) == split


def test_lists_of_one_column_whose_folder_holds_a_space(tiny: Tiny) -> None:
    config = tiny(images="my images", masks="my masks")
    for item in "abcdef":
        moved(config, item, f"my images/{item}.jpg", f"my masks/{item}.png")
    lists(config, "".join(f"my images/{item}.jpg\n" for item in "abcde"), "my images/f.jpg\n")
    assert load_split(config).val == ["f"]
    assert walked(config) == []


def test_an_id_that_begins_as_those_of_unlabeled_root_do_is_staged_all_the_same(tiny: Tiny) -> None:
    config = tiny()
    moved(config, "a", "JPEGImages/+a.jpg", "SegmentationClass/+a.png")
    (Path(config.split_dir) / config.split / "labeled.txt").write_text("+a\nb\n")
    assert "JPEGImages/+a.jpg" in needed(config, load_split(config))
