"""A class that no labeled or no validation mask shows, and a validation list with nothing to score."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gta.config import CROP, Config, DataConfig, EvaluationConfig
from gta.data.dataset import SegmentationDataset
from gta.data.present import AT_ONCE, check_present, check_scored
from gta.data.splits.split import Split, load_split
from gta.errors import UserError

Tiny = Callable[..., DataConfig]


def fill(config: DataConfig, items: str, *labels: int) -> None:
    for item in items:
        mask = np.resize(np.array(labels, np.uint8), (4, 6))
        Image.fromarray(mask).save(Path(config.root) / config.masks / f"{item}.png")


def test_masks_that_show_all_classes(tiny: Tiny) -> None:
    config = tiny()
    check_present(config, load_split(config), 1)


@pytest.mark.parametrize(("items", "name", "count"), [("ab", "labeled", 2), ("f", "validation", 1)])
def test_a_class_that_a_list_does_not_show(tiny: Tiny, items: str, name: str, count: int) -> None:
    config = tiny()
    fill(config, items, 0, 255)
    with pytest.raises(UserError, match=rf"The {count} {name} masks show no pixel of class 1 \(thing\)") as error:
        check_present(config, load_split(config))
    assert "label_map: [[0, 0], [255, 1]]" in str(error.value), "what they look like"
    fill(config, items, 0)
    with pytest.raises(UserError, match=r"data\.allow_absent_classes=true"):
        check_present(config, load_split(config))
    check_present(replace(config, allow_absent_classes=True), load_split(config))


def test_nothing_to_score_is_refused_in_any_case(tiny: Tiny) -> None:
    config = tiny(allow_absent_classes=True)
    fill(config, "f", 255)
    with pytest.raises(UserError, match="The 1 validation masks show no pixel of any class"):
        check_present(config, load_split(config))
    fill(config, "e", 0, 1)
    split = Split(labeled=["a", "b"], unlabeled=["c"], val=["d", "e", "f"])
    fill(config, "d", 255)
    check_present(config, split)
    with pytest.raises(
        UserError, match=r"The 1 validation masks that are scored hold no labeled pixel: .*schedule\.eval_images"
    ):
        check_present(config, split, 1)
    check_present(config, split, 2)
    Image.fromarray(np.array([[1, 255, 255, 255, 255, 0]] * 4, np.uint8)).save(
        Path(config.root) / config.masks / "f.png"
    )
    check_scored(Config(data=config), load_split(config))
    for side, there in ((2, False), (4, False), (6, True), (99, True)):
        scored = Config(data=config, evaluation=EvaluationConfig(protocol=CROP, crop=side))
        with nullcontext() if there else pytest.raises(UserError, match=rf"center crops of {side} pixels"):
            check_scored(scored, load_split(config))


def test_an_image_that_cannot_be_read_is_said_before_training(tiny: Tiny) -> None:
    config = tiny(image_suffix=".png")
    for item in "abcdef":
        Image.fromarray(np.full((4, 6), 4000, np.uint16)).save(Path(config.root) / config.images / f"{item}.png")
    with pytest.raises(UserError, match=r"16-bit values \(4000 to 4000\)"):
        check_present(config, load_split(config))
    check_present(replace(config, image_range=[0, 4095]), load_split(config))


def test_masks_are_read_until_every_class_was_seen(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny()
    read: list[int] = []
    whole = SegmentationDataset.counted
    monkeypatch.setattr(SegmentationDataset, "counted", lambda self, i: (read.append(i), whole(self, i))[1])
    ids = [f"x{number}" for number in range(4 * AT_ONCE)]
    for item in ids:
        for folder, name in ((config.images, "a.jpg"), (config.masks, "a.png")):
            link = Path(config.root) / folder / name.replace("a", item)
            link.hardlink_to(Path(config.root) / folder / name)
    split = Split(labeled=ids, unlabeled=["b"], val=["f"])
    check_present(config, split)
    assert 2 <= (count := len(read)) <= AT_ONCE + 1
    check_present(config, split)
    assert len(read) == count, "the cells of a grid share their lists"
