"""The generated data set: the same for the same options, in the VOC layout, with the classes it names."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from gta.config import ShapesConfig
from gta.data.shapes import CLASSES, HUES, generate, picture
from gta.seeds import generator


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_equal_options_give_equal_files_and_more_pictures_leave_the_first_as_they_were(
    tmp_path: Path,
) -> None:
    for name, options in {
        "one": ShapesConfig(train=5, val=3),
        "same": ShapesConfig(train=5, val=3),
        "more": ShapesConfig(train=8, val=4),
        "seed": ShapesConfig(train=5, val=3, seed=1),
    }.items():
        generate(options, tmp_path / name)
    one, same, more, seed = (_files(tmp_path / name) for name in ("one", "same", "more", "seed"))
    assert one == same
    pictures = {name: data for name, data in one.items() if name.endswith(("jpg", "png"))}
    assert len(pictures) == 16
    assert pictures.items() <= more.items()
    assert set(one) == set(seed)
    assert all(seed[name] != data for name, data in pictures.items() if name.endswith("jpg"))
    assert (tmp_path / "one/ImageSets/Segmentation/val.txt").read_text() == "val_00000\nval_00001\nval_00002\n"


def test_masks_are_palette_pictures_of_the_classes(tmp_path: Path) -> None:
    generate(ShapesConfig(train=30, val=2), tmp_path)
    values: set[int] = set()
    for path in sorted((tmp_path / "SegmentationClass").iterdir()):
        picture_on_disk = Image.open(path)
        assert picture_on_disk.mode == "P"
        assert picture_on_disk.size == Image.open(tmp_path / "JPEGImages" / f"{path.stem}.jpg").size == (48, 48)
        values |= set(np.unique(np.asarray(picture_on_disk)).tolist())
    assert values == set(range(len(CLASSES)))


def test_the_class_is_told_by_hue_and_difficulty_is_an_option() -> None:
    clean = ShapesConfig(noise=0.0, hue_spread=0.0, illumination=0.0)
    for number in range(20):
        image, mask = picture(clean, generator(0, "test", number))
        hue = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)[..., 0].astype(float) / 256
        for label, expected in enumerate(HUES, start=1):
            away = np.abs((hue[mask == label] - expected + 0.5) % 1 - 0.5)
            assert (away < 0.02).all()
    noisy, _ = picture(ShapesConfig(noise=0.3, hue_spread=0.0, illumination=0.0), generator(0, "test", 0))
    plain, _ = picture(clean, generator(0, "test", 0))
    assert np.abs(noisy.astype(float) - plain).mean() > 20


def test_the_number_of_objects_is_an_option() -> None:
    for count in (0, 1):
        options = ShapesConfig(min_objects=count, max_objects=max(count, 1))
        labels = [len(np.unique(picture(options, generator(0, "test", n))[1])) - 1 for n in range(30)]
        assert min(labels) == count
        assert max(labels) == 1
