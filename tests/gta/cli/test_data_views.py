"""`gta data views`: the picture shows what the loader of a cell makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gta.cli import composing
from gta.cli.main import main
from gta.data.dataset import SegmentationDataset
from gta.data.splits.split import load_split
from gta.train.predictions import palette
from launch.grid.grid import single_config

WORDS = ["data=shapes", "data.generator.train=48", "data.generator.val=2", "data.split=1/4", "seed=3"]


def test_a_row_is_a_labeled_image_with_its_mask_and_an_unlabeled_one_with_two_strong_views(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/augment").mkdir(parents=True)
    (tmp_path / "conf/augment/dark.yaml").write_text(
        "defaults: [plain, _self_]\nweak: [{op: crop}]\nstrong: [{op: brightness, factor: [0.2, 0.8]}]\n"
    )
    assert main(["data", "views", *WORDS, "augment=dark", "--images", "3", "--out", "seen/some.png"]) == 0
    said = capsys.readouterr().out
    assert "a labeled image | its mask | an unlabeled image | its strong view | a second one" in said
    picture = np.asarray(Image.open("seen/some.png"))
    assert picture.shape == (3 * 48, 5 * 48, 3)
    rows = [np.split(row, 5, axis=1) for row in np.split(picture, 3)]

    data = single_config(composing.start(), WORDS).data
    split = load_split(data)
    labeled, unlabeled = SegmentationDataset(data, split.labeled), SegmentationDataset(data, split.unlabeled)
    pictures = {labeled.image(place).tobytes(): place for place in range(len(labeled))}
    others = {unlabeled.image(place).tobytes() for place in range(len(unlabeled))}
    for image, mask, weak, strong, second in rows:
        place = pictures[image.tobytes()]  # whole: a crop of its size, not scaled or flipped by this list
        np.testing.assert_array_equal(mask, palette(data)[labeled.mask(place)])
        assert weak.tobytes() in others
        for made in (strong, second):
            assert 0.15 < made.mean() / weak.mean() < 0.85
        assert not np.array_equal(strong, second)


def test_what_no_cell_could_have_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "views", *WORDS, "data.augment.weak=[{op:crop,colour:blue}]"]) == 2
    assert "colour of crop is 'blue'; it must be mean or black." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main(["settings", "augment.strong"]) == 0
    said = capsys.readouterr().out
    assert "  blur: Gaussian blur. radius: a list of 2 numbers, 0 to 100, the smaller first; probability" in said
    assert "crop:" not in said.split("data.augment.strong_draws")[0]
