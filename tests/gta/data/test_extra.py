"""data.unlabeled_root: images without masks from any folder, without a list."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gta.cell import Cell
from gta.compose.paths import absolute
from gta.config import Config, DataConfig
from gta.data.check import check_dataset
from gta.data.dataset import SegmentationDataset
from gta.data.prepare import prepare
from gta.data.splits.split import load_split
from gta.data.stage import needed
from gta.errors import UserError
from gta.methods import METHODS

Tiny = Callable[..., DataConfig]


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """Pictures of several kinds in sub-folders, and a text."""
    folder = tmp_path / "more"
    for number, name in enumerate(("x.jpg", "day 1/x.PNG", "day 1/y.tif", "day 2/a/z.bmp")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((5, 7, 3), 20 * number, np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("", {"x.jpg", "day 1/x.PNG", "day 1/y.tif", "day 2/a/z.bmp"}),
        ("/**", {"x.jpg", "day 1/x.PNG", "day 1/y.tif", "day 2/a/z.bmp"}),
        ("/*", {"x.jpg"}),
        ("/*/*", {"day 1/x.PNG", "day 1/y.tif"}),
        ("/**/*.[tb]??", {"day 1/y.tif", "day 2/a/z.bmp"}),
        ("/day 1/*.tif", {"y.tif"}),
        ("/**/*.png", {"day 1/x.PNG"}),
        ("/**/[!x]*", {"day 1/y.tif", "day 2/a/z.bmp"}),
    ],
)
def test_a_folder_or_a_glob_is_unlabeled_too(tiny: Tiny, more: Path, glob: str, found: set[str]) -> None:
    config = tiny(unlabeled_root=f"{more}{glob}")
    split = load_split(config)
    assert set(split.unlabeled) == {"c", "d", "e", *(f"+{name}" for name in found)}
    assert (split.labeled, split.val) == (["a", "b"], ["f"])
    dataset = SegmentationDataset(config, split.unlabeled)
    assert [dataset.image(place).shape for place in range(len(found))] == [(5, 7, 3)] * len(found)
    assert not any("more" in name for name in needed(config, split)), "they are not copied to the nodes"


def test_the_train_list_is_labeled_and_these_alone_are_unlabeled(tiny: Tiny, more: Path) -> None:
    config = tiny(unlabeled_root=str(more), split="all")
    prepare(config)
    split = load_split(config)
    assert (split.labeled, len(split.unlabeled), split.val) == (list("abcde"), 4, ["f"])
    report = check_dataset(config)
    assert report.problems == []
    assert (report.images, report.masks, len(report.lists["unlabeled_root"])) == (10, 6, 4)
    with pytest.raises(UserError, match=r"all/labeled\.txt"):
        prepare(replace(config, unlabeled_root=""))


def test_what_the_lists_name_is_left_out(tiny: Tiny) -> None:
    """The folder of the images itself: every image that is in no list, and no validation image."""
    config = tiny(split="all")
    root = Path(config.root)
    Image.new("RGB", (6, 4)).save(root / "JPEGImages/g.jpg")
    (root.parent / "link").symlink_to(root)
    config = replace(config, unlabeled_root=str(root.parent / "link/JPEGImages"))
    assert load_split(config).unlabeled == ["+g.jpg"]
    (root / "JPEGImages/g.jpg").unlink()
    with pytest.raises(UserError, match="nothing but images that the lists name"):
        load_split(config)


def test_no_folder_and_no_picture(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    config = tiny()
    for place, says in (("nowhere", "nowhere is not there"), ("empty", "there is no picture")):
        with pytest.raises(UserError, match=says):
            load_split(replace(config, unlabeled_root=str(tmp_path / place)))


def test_a_glob_that_is_none_is_a_sentence(tiny: Tiny, more: Path) -> None:
    with pytest.raises(UserError, match=r"data\.unlabeled_root: \[z-a\]\*\.jpg is no glob \(bad character range z-a"):
        load_split(tiny(unlabeled_root=f"{more}/[z-a]*.jpg"))


def test_the_signature_sees_them_and_their_place_does_not_count(
    tiny: Tiny, more: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = Config(data=tiny(), method=METHODS["supervised"].Config())

    def signature(place: str) -> str:
        made = absolute(replace(config, data=replace(config.data, unlabeled_root=place)))
        return Cell.of(replace(made, model=replace(made.model, weights="random")), load_split(made.data)).signature

    first = signature("more")
    assert first == signature(str(more)) == signature(f"{more}/**")
    assert len({first, signature(""), signature("more/*")}) == 3
    more.rename(tmp_path / "moved")
    assert signature("moved") == first


def test_the_signature_sees_other_pictures_under_the_same_names(tiny: Tiny, more: Path, tmp_path: Path) -> None:
    config = tiny(unlabeled_root=str(more))

    def digest() -> str:
        return load_split(config).digests()["unlabeled"]

    first = digest()
    assert digest() == first
    Image.fromarray(np.full((9, 7, 3), 0, np.uint8)).save(more / "x.jpg")
    other_size = digest()
    Image.fromarray(np.full((5, 7, 3), 1, np.uint8)).save(more / "day 2/a/z.bmp")  # as many bytes as before
    os.utime(more / "day 2/a/z.bmp", (1, 1))  # a file system's clock may stand still for some milliseconds
    assert len({first, other_size, digest()}) == 3
    (more / "x.jpg").unlink()
    os.mkfifo(more / "x.jpg")
    with pytest.raises(UserError, match=r"x\.jpg is a FIFO"):
        digest()


def test_copies_of_validation_images_are_left_out(tiny: Tiny, more: Path) -> None:
    """And links to listed images; a picture of the same size with other contents stays."""
    config = tiny(unlabeled_root=str(more))
    before = set(load_split(config).unlabeled)
    images = Path(config.root) / "JPEGImages"
    content = (images / "f.jpg").read_bytes()
    (more / "copy of f.jpg").write_bytes(content)
    os.link(images / "f.jpg", more / "day 1/hard.jpg")
    os.link(images / "a.jpg", more / "labeled.jpg")
    (more / "soft.jpg").symlink_to(images / "f.jpg")
    (more / "as large.jpg").write_bytes(content[:-1] + b"x")
    assert set(load_split(config).unlabeled) - before == {"+as large.jpg"}
    assert check_dataset(config).left_out == 4
