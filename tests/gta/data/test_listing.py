"""Data sets with sub-folders and other labels on disk: Cityscapes as it is downloaded, and a user's own."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

import gta
from gta.compose.hydra import schema
from gta.config import DataConfig
from gta.data.check import check_dataset
from gta.data.dataset import SegmentationDataset
from gta.data.listing import image_files, kept, mask_files
from gta.data.spec import check_layout
from gta.data.splits.split import load_split
from gta.errors import UserError
from tests.helpers import layouts

Tiny = Callable[..., DataConfig]
TRAIN, VAL = [f"ulm_{i:06}_000019" for i in range(5)], ["bonn_000000_000019", "bonn_000001_000019"]


def cityscapes(folder: Path, train_ids: bool = False) -> DataConfig:
    """The shipped description, on 5 + 2 tiny images."""
    conf = Path(gta.__file__).parent / "conf/data"
    layouts.cityscapes(folder / "cityscapes", TRAIN, VAL, train_ids)
    lists = folder / "splits/2"
    lists.mkdir(parents=True)
    (lists / "labeled.txt").write_text("\n".join(TRAIN[:2]))
    (lists / "unlabeled.txt").write_text("\n".join(TRAIN[2:]))
    (folder / "splits/val.txt").write_text("\n".join(f"leftImg8bit/val/bonn/{i}_leftImg8bit.png" for i in VAL))
    node = OmegaConf.merge(schema(DataConfig), OmegaConf.load(conf / "cityscapes.yaml"))
    if train_ids:
        changes = OmegaConf.load(conf / "cityscapes_trainids.yaml")
        del changes["defaults"]
        node = OmegaConf.merge(node, changes)
    node.root, node.split, node.split_dir = str(folder / "cityscapes"), "2", str(folder / "splits")
    made = OmegaConf.to_object(node)
    assert isinstance(made, DataConfig)
    return made


def test_labelids_become_the_19_classes(tmp_path: Path) -> None:
    config = cityscapes(tmp_path)
    split = load_split(config)
    assert (split.labeled, split.unlabeled, split.val) == (TRAIN[:2], TRAIN[2:], sorted(VAL))
    dataset = SegmentationDataset(config, [*split.val, *split.labeled])
    on_disk = np.asarray(Image.open(tmp_path / f"cityscapes/gtFine/val/bonn/{VAL[0]}_gtFine_labelIds.png"))
    image, mask = dataset.labeled(0)
    assert image.shape == (30, 40, 3)
    # from Cityscapes' own table of labels: road 7, ..., sky 23, person 24, rider 25, car 26, ..., bicycle 33
    for label, name in ((7, "road"), (8, "sidewalk"), (11, "building"), (20, "traffic_sign"), (24, "person"),
                        (26, "car"), (31, "train"), (33, "bicycle")):  # fmt: skip
        assert set(mask[on_disk == label]) == {config.classes.index(name)}
    for label in (0, 3, 6, 9, 14, 18, 29, 30, 255):
        assert set(mask[on_disk == label]) == {255}
    assert set(np.unique(mask)) == {*range(19), 255}
    assert pickle.loads(pickle.dumps(dataset)).labeled(0)[1].tolist() == mask.tolist(), "as a spawned worker has it"


def test_label_train_ids(tmp_path: Path) -> None:
    config = cityscapes(tmp_path, train_ids=True)
    assert load_split(config).val == sorted(VAL)
    assert set(np.unique(SegmentationDataset(config, VAL).mask(0))) == {*range(19), 255}
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match=r"mask .*gtFine/\*\*/ulm_000000_000019_gtFine_labelIds\.png is not there"):
        load_split(replace(config, mask_suffix="_gtFine_labelIds.png"))


def test_a_label_in_no_pair_is_an_error(tmp_path: Path) -> None:
    config = cityscapes(tmp_path)
    config = replace(config, label_map=[pair for pair in config.label_map if pair[0] != 4])
    with pytest.raises(UserError, match=r"labelIds\.png: label 4 \(\d+ pixels\) is in no pair of data\.label_map"):
        SegmentationDataset(config, TRAIN).mask(0)


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([[0, 0], [1, 1], [0, 1]], "label 0 is mapped twice"),
        ([[0, 0], [1, 2]], r"\[1, 2\] is no pair of a label \(0 to 255\) and a class index \(0 to 1\)"),
        ([[0, 0], [300, 1]], "is no pair"),
        ([[0, 0], [1]], "is no pair"),
        ([[0, 0], [1, 255]], r"no label is mapped to class 1 \(thing\)"),
    ],
)
def test_a_wrong_label_map_is_refused(tiny: Tiny, pairs: list[list[int]], says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_layout(tiny(label_map=pairs))


def test_classes_can_be_merged(tiny: Tiny) -> None:
    config = tiny(label_map=[[0, 1], [1, 1], [9, 0]])
    check_layout(config)
    assert set(np.unique(SegmentationDataset(config, ["a"]).mask(0))) == {1, 255}


def test_any_data_set_may_have_sub_folders(tiny: Tiny) -> None:
    config = tiny(nested=True)
    root = Path(config.root)
    for number, item in enumerate("abcdef"):
        for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
            below = root / folder / f"day{number % 2}" / "left"
            below.mkdir(parents=True, exist_ok=True)
            (root / folder / f"{item}.{suffix}").rename(below / f"{item}.{suffix}")
    assert load_split(config).val == ["f"]
    assert SegmentationDataset(config, ["f"]).labeled(0)[0].shape == (4, 6, 3)
    assert image_files(config)["b"] == "day1/left/b.jpg"
    with pytest.raises(UserError, match=r"the image .*JPEGImages/b\.jpg is not there"):
        load_split(replace(config, nested=False))
    (root / "JPEGImages/day0/left/a.jpg").unlink()
    with pytest.raises(UserError, match=r"the image .*JPEGImages/\*\*/a\.jpg is not there"):
        load_split(config)


def test_two_files_of_one_id_are_refused(tiny: Tiny) -> None:
    config = tiny(nested=True)
    images = Path(config.root) / config.images
    for name in ("less", "more"):
        (images / name).mkdir()
        (images / name / "a.jpg").write_bytes((images / "a.jpg").read_bytes())
    assert image_files(config)["a"] == "a.jpg", "the one where an id without a folder would be"
    (images / "a.jpg").unlink()
    with pytest.raises(UserError, match=r"JPEGImages/less/a\.jpg and .*JPEGImages/more/a\.jpg have one name"):
        load_split(config)


def test_links_are_followed_and_a_link_that_leads_back_ends(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(nested=True)
    images, elsewhere = Path(config.root) / config.images, tmp_path / "elsewhere"
    images.rename(elsewhere)
    images.mkdir()
    (images / "city").symlink_to(elsewhere)
    assert load_split(config).val == ["f"]
    (images / "city").unlink()
    (images / "city").mkdir()
    for name in "abcdef":
        (images / "city" / f"{name}.jpg").symlink_to(elsewhere / f"{name}.jpg")
    assert load_split(config).val == ["f"]
    (images / "city/back").symlink_to(images / "city")
    (images / "city/v1.0").symlink_to(tmp_path / "more")  # a folder, whatever its name looks like
    (tmp_path / "more").mkdir()
    (tmp_path / "more/g.jpg").write_bytes((elsewhere / "a.jpg").read_bytes())
    (tmp_path / "more/back").symlink_to(images)
    assert load_split(config).val == ["f"]
    assert set(image_files(config)) == set("abcdefg")


def test_folders_are_looked_through_however_deep_they_lie(tiny: Tiny) -> None:
    config = tiny(nested=True)
    images = Path(config.root) / config.images
    deep = images / "/".join("abcdefghijkl")
    deep.mkdir(parents=True)
    (images / "f.jpg").rename(deep / "f.jpg")
    assert load_split(config).val == ["f"]


def in_one_folder(tiny: Tiny, **changes: object) -> DataConfig:
    """Images in train/, masks in trainannot/, under the same names, as SegNet's CamVid has them."""
    config = tiny(images=".", masks=".", image_suffix=".png", nested=True, **changes)
    root = Path(config.root)
    for source, target in (("JPEGImages", "train"), ("SegmentationClass", "trainannot")):
        (root / target).mkdir()
        for path in (root / source).iterdir():
            Image.open(path).save(root / target / f"{path.stem}.png")
            path.unlink()
    for path in (*root.rglob("*.txt"), *Path(config.split_dir).rglob("*.txt")):
        path.write_text("".join(f"train/{item}.png trainannot/{item}.png\n" for item in path.read_text().split()))
    return config


@pytest.mark.parametrize("ids", ["name", "path"])
def test_an_image_is_never_its_own_mask_nor_a_mask_its_own_image(tiny: Tiny, ids: str) -> None:
    config = in_one_folder(tiny, ids=ids)
    root = Path(config.root)
    assert len(load_split(config).labeled) == 2
    (root / "trainannot/a.png").rename(root / "kept.png")
    with pytest.raises(UserError, match=r"line 2: the mask of (train/)?a is not there.*/train/a\.png would be"):
        load_split(config)
    problems = check_dataset(config).problems
    assert any("the mask of" in problem for problem in problems), problems
    (root / "kept.png").rename(root / "trainannot/a.png")
    (root / "train/a.png").unlink()
    with pytest.raises(UserError, match=r"labeled\.txt line 2: the image .*a(\.png)? is not there"):
        load_split(config)


def test_images_alone_are_found_where_their_masks_would_be_in_a_sub_folder_that_is_not_there(tiny: Tiny) -> None:
    config = tiny(images=".", masks="masks", nested=True)
    assert set(image_files(config)) == set("abcdef")
    with pytest.raises(UserError, match=r"The folder .*/masks is not there"):
        mask_files(config)


def test_a_folder_that_cannot_be_looked_through_is_a_sentence_that_names_what_is_in_the_way(tiny: Tiny) -> None:
    config = tiny(nested=True)
    images = Path(config.root) / config.images
    (images / "loop").symlink_to("loop")
    with pytest.raises(UserError, match=r"The folder .*/JPEGImages cannot be read \(.*Too many levels.*/loop'\)"):
        image_files(config)
    with pytest.raises(UserError, match=r"The folder .*/loop cannot be read \(.*Too many levels"):
        image_files(replace(config, images="JPEGImages/loop"))


def test_two_names_of_one_folder_are_one(tiny: Tiny) -> None:
    """A gray image has gray levels that may all be labels."""
    config = tiny(masks="labels", mask_suffix=".jpg")
    (Path(config.root) / "labels").symlink_to("JPEGImages")
    with pytest.raises(UserError, match=r"the mask of b is not there: .*b\.jpg would be its image and its mask"):
        load_split(config)


def test_cityscapes_is_shown_as_it_must_look(tmp_path: Path) -> None:
    config = cityscapes(tmp_path)
    with pytest.raises(UserError) as error:
        check_layout(replace(config, root=str(tmp_path / "nowhere"), split_dir=str(tmp_path / "none")))
    for part in ("nowhere/leftImg8bit/**/ID_leftImg8bit.png", "gtFine/**/ID_gtFine_labelIds.png", "none/val.txt"):
        assert f"MISSING  {tmp_path}" in str(error.value)
        assert part in str(error.value)


def test_a_whole_cityscapes_checks_out(tmp_path: Path) -> None:
    report = check_dataset(cityscapes(tmp_path))
    assert report.problems == []
    assert (report.images, report.masks, report.sizes) == (7, 7, {(30, 40)})
    assert report.shown.tolist() == [7] * 20


def test_what_is_listed_once_is_listed_again_where_the_folder_or_a_list_changes(tiny: Tiny) -> None:
    config = tiny()
    images = kept(image_files, config)
    assert kept(image_files, config) is images
    assert set(kept(mask_files, config)) == set(mask_files(config))
    folder = Path(config.root) / config.images
    (folder / "more.jpg").write_bytes(next(folder.iterdir()).read_bytes())
    os.utime(folder, (2e9, 2e9))  # the clock of a file system may stand still for some milliseconds
    assert set(kept(image_files, config)) == {*images, "more"}
    assert kept(image_files, replace(config, image_suffix=".JPG .jpg")).keys() == {*images, "more"}
    labeled = Path(config.split_dir) / "mine/labeled.txt"
    labeled.write_text(f"{config.images}/b.jpg {config.masks}/f.png\na\n")
    assert kept(mask_files, config)["b"] == mask_files(config)["b"] == "f.png"


def test_the_digests_see_which_file_a_list_chooses(tiny: Tiny) -> None:
    """A list may name another mask, or one of two images; where it names the usual ones, digests are those of ids."""
    config = tiny()
    root, split = Path(config.root), Path(config.split_dir) / "mine"
    plain = load_split(config).digests()
    assert set(plain) == {"labeled", "unlabeled", "val"}
    (split / "labeled.txt").write_text("JPEGImages/a.jpg SegmentationClass/a.png\nb\n")
    assert load_split(config).digests() == plain
    masks = root / "SegmentationClass"
    for name in ("a_alt", "f_alt", "c_alt"):
        (masks / f"{name}.png").write_bytes((masks / "b.png").read_bytes())
    seen = []
    for file, line in (
        (split / "labeled.txt", "a.jpg SegmentationClass/a_alt.png\nb\n"),
        (root / config.val_list, "f.jpg SegmentationClass/f_alt.png\n"),
        (root / config.train_list, "a\nb\nc.jpg SegmentationClass/c_alt.png\nd\ne\n"),  # no list of the split
    ):
        before = file.read_text()
        file.write_text(line)
        digests = load_split(config).digests()
        assert {name: digests[name] for name in plain} == plain
        seen.append(digests["files"])
        file.write_text(before)
    assert len(set(seen)) == 3
    assert load_split(config).digests() == plain


def test_the_digests_see_which_of_two_images_a_list_means(tiny: Tiny) -> None:
    config = tiny(nested=True)
    images = Path(config.root) / "JPEGImages"
    seen = []
    for folder in ("one", "two"):
        (images / folder).mkdir()
        (images / folder / "f.jpg").write_bytes((images / "a.jpg").read_bytes())
    (images / "f.jpg").unlink()
    for folder in ("one", "two"):
        (Path(config.root) / config.val_list).write_text(f"JPEGImages/{folder}/f.jpg\n")
        seen.append(load_split(config).digests())
    assert seen[0]["val"] == seen[1]["val"]
    assert "files" not in seen[0], "the first: had the other never been there, it would be the same cell"
    assert seen[1]["files"]


def test_a_file_that_nothing_reads_makes_no_other_cell(tiny: Tiny) -> None:
    """A second file of an id, beside the one that the list names and that is read without it."""
    config = tiny(image_suffix=".jpg .png")
    images = Path(config.root) / "JPEGImages"
    (Path(config.split_dir) / "mine/labeled.txt").write_text("JPEGImages/a.jpg\nJPEGImages/b.jpg\n")
    plain = load_split(config).digests()
    Image.open(images / "c.jpg").save(images / "b.png")
    assert load_split(config).digests() == plain
    (Path(config.split_dir) / "mine/labeled.txt").write_text("JPEGImages/a.jpg\nJPEGImages/b.png\n")
    assert "files" in load_split(config).digests()
