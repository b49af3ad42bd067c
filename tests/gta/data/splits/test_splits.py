"""Splits: the checks on loading, ratios, and class-balanced drawing."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gta.config import DataConfig
from gta.data.check import read_lists
from gta.data.lists import read_ids
from gta.data.splits.balance import balanced_order, shown_classes
from gta.data.splits.draw import DRAWN, check_drawn, draw
from gta.data.splits.split import Split, load_split
from gta.errors import UserError

Tiny = Callable[..., DataConfig]


def test_ratio_and_order() -> None:
    split = Split(labeled=[str(i) for i in range(662)], unlabeled=[f"u{i}" for i in range(9920)], val=["b", "a"])
    assert split.ratio == "1/16"
    assert Split(split.labeled[:92], split.unlabeled, ["a"], ratio_base=1464).ratio == "1/16", (
        "classic, as papers count"
    )
    assert Split(split.labeled[:92], ["b"], ["a"], ratio_base=92).ratio == "full"
    assert split.val == ["a", "b"]
    shuffled = Split(random.Random(0).sample(split.labeled, 662), split.unlabeled, ["a", "b"])
    assert shuffled == split  # equal digests are equal lists, whatever the order in the files
    assert shuffled.digests() == split.digests()


def test_a_good_split_loads(tiny: Tiny) -> None:
    split = load_split(tiny())
    assert (split.labeled, split.unlabeled, split.val) == (["a", "b"], ["c", "d", "e"], ["f"])


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("labeled.txt", "a\nc\n", "unlabeled.txt line 1: c is also in .*labeled.txt \\(line 2\\)"),
        ("unlabeled.txt", "c\nf\n", "val.txt line 1: f is also in .*unlabeled.txt \\(line 2\\)"),
        ("labeled.txt", "a\n\nz\n", "labeled.txt line 3: the image .*JPEGImages/z.jpg is not there"),
        ("unlabeled.txt", "c\nz\n", "unlabeled.txt line 2: the image .*JPEGImages/z.jpg is not there"),
        ("labeled.txt", "", "labeled.txt is empty"),
        ("labeled.txt", "a\na\n", "labeled.txt line 2: a is there twice"),
        ("labeled.txt", "../a\n", "labeled.txt line 1: '../a' is no image id"),
    ],
)
def test_a_bad_split_is_refused(tiny: Tiny, file: str, text: str, says: str) -> None:
    config = tiny()
    (Path(config.split_dir) / config.split / file).write_text(text)
    with pytest.raises(UserError, match=says):
        load_split(config)


def test_a_published_list_without_the_rest_of_its_training_set_is_refused(shared: Path, tiny: Tiny) -> None:
    config = tiny()
    folder = Path(config.split_dir) / config.split
    lists = {name: read_ids(shared / f"splits/u2pl/pascal/92/{name}.txt") for name in ("labeled", "unlabeled")}
    for item in {*lists["labeled"], *lists["unlabeled"]}:
        for kind, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
            (Path(config.root) / kind / f"{item}.{suffix}").touch()
    for name, ids in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(ids))
    assert load_split(config).ratio == "1/115"
    (folder / "unlabeled.txt").write_text("\n".join(lists["unlabeled"][1:]))
    with pytest.raises(UserError, match=r"is u2pl 92 \(VOC classic, 1/16\), but .* are 10581 images, not the 10582"):
        load_split(config)
    (folder / "labeled.txt").write_text("\n".join(lists["labeled"][1:]))  # a list of one's own may use what it likes
    assert len(load_split(config).labeled) == 91


def test_masks_are_asked_of_labeled_and_validation_images_only(tiny: Tiny) -> None:
    config = tiny()
    masks = Path(config.root) / config.masks
    (masks / "c.png").unlink()
    assert "c" in load_split(config).unlabeled
    (masks / "f.png").unlink()
    with pytest.raises(UserError, match=r"val\.txt line 1: the mask .*f\.png is not there"):
        load_split(config)


def test_a_file_that_vanishes_between_two_loads_is_noticed(tiny: Tiny) -> None:
    config = tiny()
    load_split(config)
    (Path(config.root) / config.images / "a.jpg").unlink()
    with pytest.raises(UserError, match=r"a\.jpg is not there"):
        load_split(config)


def test_drawn_lists_are_nested_complete_and_repeatable(shapes_data: DataConfig, tmp_path: Path) -> None:
    config = replace(shapes_data, split_dir=str(tmp_path / "one"))
    folders = draw(config, ["1/8", "1/4"], seed=0)
    assert [folder.name for folder in folders] == ["1_8", "1_4"]
    small, large = (load_split(replace(config, split=folder.name)) for folder in folders)
    assert (len(small.labeled), len(large.labeled)) == (3, 6)
    assert set(small.labeled) < set(large.labeled)
    assert sorted(small.labeled + small.unlabeled) == sorted(large.labeled + large.unlabeled)
    assert len(small.labeled + small.unlabeled) == 24
    other = replace(config, split_dir=str(tmp_path / "two"))
    draw(other, ["1/4"], seed=0)
    assert load_split(replace(other, split="1_4")).labeled == large.labeled
    draw(replace(other, split_family="seed1", split_dir=str(tmp_path / "three")), ["1/4"], seed=1)
    assert load_split(replace(other, split_dir=str(tmp_path / "three"))).labeled != large.labeled


def test_a_drawn_list_that_is_there_is_left_alone_and_another_is_refused(
    shapes_data: DataConfig, tmp_path: Path
) -> None:
    config = replace(shapes_data, split_dir=str(tmp_path))
    with ThreadPoolExecutor(4) as pool:  # four at once: one writes, the others find it equal
        list(pool.map(lambda _: draw(config, ["1/4"], seed=0), range(4)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["1_4"]
    before = (tmp_path / "1_4" / "labeled.txt").stat()
    draw(config, ["1/4"], seed=0)
    assert (tmp_path / "1_4" / "labeled.txt").stat() == before
    mine = (tmp_path / "1_4" / "labeled.txt").read_text().replace("train_0", "other_0", 1)
    (tmp_path / "1_4" / "labeled.txt").write_text(mine)
    with pytest.raises(UserError, match="holds other lists than the new ones"):
        draw(config, ["1/4"], seed=0)
    assert (tmp_path / "1_4" / "labeled.txt").read_text() == mine
    with pytest.raises(UserError, match=r"belong in data\.split_family=seed1"):
        draw(config, ["1/4"], seed=1)


@pytest.mark.parametrize("ratio", ["0/1", "2/1", "1/0", "0.125", "eighth", "23/24000000000/2", "47/48", "1/97"])
def test_a_ratio_that_is_none_is_refused(shapes_data: DataConfig, tmp_path: Path, ratio: str) -> None:
    with pytest.raises(UserError, match="ratio"):
        draw(replace(shapes_data, split_dir=str(tmp_path)), [ratio], seed=0)
    assert list(tmp_path.iterdir()) == []


def test_balanced_order_evens_out_rare_classes() -> None:
    rng = np.random.default_rng(0)
    shown = rng.random((400, 5)) < [1.0, 0.6, 0.3, 0.1, 0.05]
    for seed in range(5):
        order = balanced_order(shown, seed)
        assert sorted(order) == list(range(400))
        counts = shown[order[:20]].sum(axis=0)
        at_random = shown[np.random.default_rng(seed).permutation(400)[:20]].sum(axis=0)
        assert counts[1:].min() >= 5 > at_random.min()  # the class of 5% of the images is in a quarter of the labels
    assert balanced_order(shown, 0)[:20] != balanced_order(shown, 1)[:20]
    assert balanced_order(shown, 0) == balanced_order(shown, 0)


def test_camvid_draw(shared: Path, tmp_path: Path) -> None:
    root = shared / "datasets" / "camvid"
    classes = (root / "classes.txt").read_text().split()
    config = DataConfig(
        name="camvid", root=str(root), classes=classes, split="1_16", split_dir=str(tmp_path), crop_size=160
    )
    draw(config, ["1/16"], seed=0)
    split = load_split(config)
    assert (len(split.labeled), len(split.unlabeled), len(split.val), split.ratio) == (23, 344, 101, "1/16")
    shown = shown_classes(config, split.labeled).sum(axis=0)
    assert shown.min() >= 10, dict(zip(classes, shown, strict=True))  # a bicyclist is in one of three pictures


def test_missing_train_list(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny()
    (Path(config.root) / config.train_list).unlink()
    with pytest.raises(UserError, match=r"The list .*train\.txt is not there"):
        draw(config, ["1/2"], seed=0)


def test_lists_that_were_drawn_before_the_train_list_changed_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(split="1_2", split_family="seed0", split_dir=str(tmp_path / "drawn"))
    draw(config, ["1/2"], 0)
    train = Path(config.root) / "ImageSets/Segmentation/train.txt"
    train.write_text("e\nb\n\na\nd\nc\n")
    check_drawn(config)  # the same images
    check_drawn(replace(config, split="mine", split_family="custom"))  # not ours
    for text, told in (("a\nb\nc\n", "2 of theirs are not in it"), ("a\nb\nc\nd\ne\nf\n", "1 of its images are in")):
        train.write_text(text)
        with pytest.raises(UserError, match=f"1_2 were not drawn from .*train.txt as it is now .{told}"):
            check_drawn(config)
    train.unlink()
    check_drawn(config)  # a copy of the lists, without what they were drawn from


def test_drawn_lists_that_were_edited_go_by_another_name(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(split="1_2", split_family="seed0", split_dir=str(tmp_path / "seed0"))
    (folder,) = draw(config, ["1/2"], 0)
    check_drawn(config)
    labeled, unlabeled = (folder / name for name in ("labeled.txt", "unlabeled.txt"))
    text, rest = labeled.read_text(), unlabeled.read_text()
    labeled.write_text("\n".join(reversed(text.split())))
    check_drawn(config)  # in another order
    one, other = text.split()[0], rest.split()[0]
    labeled.write_text(text.replace(one, other))
    unlabeled.write_text(rest.replace(other, one))
    mine = tmp_path / "mine/1_2"
    says = f"1_2 were edited .labeled.txt is .{{8}}, and was drawn as .* move the folder to {mine} and say data.split"
    with pytest.raises(UserError, match=says):
        check_drawn(config)
    problems: list[str] = []
    read_lists(config, problems)
    assert ["were edited" in problem for problem in problems] == [True]
    mine.parent.mkdir()
    folder.rename(mine)
    check_drawn(replace(config, split_family="mine", split_dir=str(mine.parent)))


def test_lists_of_an_earlier_version_get_their_record_where_they_are_drawn_anew(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(split="1_2", split_family="seed0", split_dir=str(tmp_path / "seed0"))
    (folder,) = draw(config, ["1/2"], 0)
    record = (folder / DRAWN).read_text()
    (folder / DRAWN).unlink()
    check_drawn(config)
    draw(config, ["1/2"], 0)
    assert (folder / DRAWN).read_text() == record


def test_lists_of_paths_are_compared_as_they_are_read(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(split="1_2", split_family="seed0", split_dir=str(tmp_path / "drawn"), ids="path")
    train = Path(config.root) / "ImageSets/Segmentation/train.txt"
    names = [f"tiny/JPEGImages/{item}.jpg" for item in "abcde"]
    train.write_text("\n".join(names))
    folder = tmp_path / "drawn/1_2"
    folder.mkdir(parents=True)
    (folder / "labeled.txt").write_text("\n".join(names[:2]))
    (folder / "unlabeled.txt").write_text("\n".join(names[2:]))
    check_drawn(config)
    assert load_split(config).labeled == ["a", "b"]
