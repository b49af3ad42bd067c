"""Small data sets on disk for the tests of gta.data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gta.config import AugmentConfig, Config, DataConfig, ScheduleConfig, ShapesConfig, SiteConfig
from gta.data.prepare import prepare

SHAPES = ShapesConfig(train=24, val=7, size=24)


@pytest.fixture(scope="session")
def shapes_data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """A prepared tiny shapes data set, 6 labeled of 24 (never written to by a test)."""
    folder = tmp_path_factory.mktemp("shapes")
    config = DataConfig(
        name="shapes",
        root=str(folder / "data" / "shapes"),
        classes=["background", "red", "green", "cyan", "violet"],
        split="1_4",
        split_dir=str(folder / "splits"),
        crop_size=20,
        augment=AugmentConfig(weak_brightness=0.1),
        generator=SHAPES,
    )
    prepare(config)
    return config


@pytest.fixture
def shapes_config(shapes_data: DataConfig) -> Config:
    """A cell on the tiny shapes data set: 5 iterations of 8 + 8 images in groups of 2, loaded in this process."""
    schedule = ScheduleConfig(iterations=5, batch_size=8, group_size=2)
    return Config(data=replace(shapes_data), schedule=schedule, site=SiteConfig(workers=0), seed=3)


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., DataConfig]:
    """Makes a hand-written data set: 6x4 pictures a to f, labels 0, 1, 255; a and b labeled, f for val."""

    def make(**changes: object) -> DataConfig:
        root = tmp_path / "tiny"
        for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
            (root / folder).mkdir(parents=True)
        for number, item in enumerate("abcdef"):
            image = np.full((4, 6, 3), 40 * number, np.uint8)
            mask = np.array([[0, 1, 0, 1, 255, 0]] * 4, np.uint8)
            Image.fromarray(image).save(root / "JPEGImages" / f"{item}.jpg")
            Image.fromarray(mask).save(root / "SegmentationClass" / f"{item}.png")
        lists = root / "ImageSets/Segmentation"
        (lists / "train.txt").write_text("a\nb\nc\nd\ne\n")
        (lists / "val.txt").write_text("f\n")
        split = tmp_path / "splits" / "mine"
        split.mkdir(parents=True)
        (split / "labeled.txt").write_text("b\na\n")
        (split / "unlabeled.txt").write_text("c\nd\ne\n")
        config = DataConfig(
            name="tiny",
            root=str(root),
            classes=["ground", "thing"],
            split="mine",
            split_family="custom",
            split_dir=str(tmp_path / "splits"),
            crop_size=4,
        )
        return replace(config, **changes)  # type: ignore[arg-type]

    return make
