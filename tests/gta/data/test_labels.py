"""From what is written in a mask to class indices: which of the settings has the say, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gta.config import DataConfig
from gta.data.dataset import SegmentationDataset
from gta.data.spec import check_layout
from gta.errors import UserError

Tiny = Callable[..., DataConfig]
BLACK, RED, WHITE = [0, 0, 0], [200, 0, 0], [255, 255, 255]


def write(config: DataConfig, values: list[list[int]] | np.ndarray, item: str = "a") -> None:
    Image.fromarray(np.array(values, np.uint8)).save(Path(config.root) / config.masks / f"{item}.png")


def read(config: DataConfig) -> list[list[int]]:
    check_layout(config)
    return SegmentationDataset(config, ["a"]).mask(0).tolist()


def test_a_pair_goes_before_the_ignore_label(tiny: Tiny) -> None:
    binary = tiny(label_map=[[0, 0], [255, 1]])
    write(binary, [[0, 255]])
    assert read(binary) == [[0, 1]]


def test_a_pair_onto_a_class_whose_index_is_the_ignore_label(tiny: Tiny) -> None:
    one_based = tiny(label_map=[[1, 0], [2, 1], [9, 255]], ignore_index=0)
    write(one_based, [[0, 1, 2, 9]])
    assert read(one_based) == [[255, 0, 1, 255]]


def test_a_class_that_is_the_ignore_label_is_refused_with_the_pairs_that_say_it(tiny: Tiny) -> None:
    with pytest.raises(UserError, match=r"ignore_index=0 is also the class 0 \(ground\).*\[\[1, 0\], \[2, 1\]\]"):
        check_layout(tiny(ignore_index=0))


def test_colours_are_classes_by_their_rows(tiny: Tiny) -> None:
    config = tiny(colour_map=[[*BLACK, 0], [*RED, 1], [*WHITE, 255]])
    write(config, [[BLACK, RED, WHITE]])
    assert read(config) == [[0, 1, 255]]
    write(config, np.dstack([np.array([[BLACK, RED, WHITE]]), np.full((1, 3), 128)]))  # with alpha
    assert read(config) == [[0, 1, 255]]
    indexed = Image.fromarray(np.array([[0, 1]], np.uint8))
    indexed.putpalette([*RED, *BLACK] + [7] * 762)
    indexed.save(Path(config.root) / config.masks / "a.png")
    assert read(config) == [[1, 0]], "the colour counts, not the index"
    write(config, [[BLACK, [200, 0, 1]]])
    with pytest.raises(UserError, match=r"a\.png: the colour \[200, 0, 1\] \(1 pixels\) is in no row of data\.colour"):
        read(config)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"colour_map": [[*BLACK, 0], [*BLACK, 1]]}, r"the colour \[0, 0, 0\] is mapped twice"),
        ({"colour_map": [[*BLACK, 0], [*RED, 2]]}, "is no row of red, green and blue"),
        ({"colour_map": [[0, 0, 0], [200, 0, 0]]}, "is no row"),
        ({"colour_map": [[*BLACK, 0], [*RED, 0]]}, r"no colour is mapped to class 1 \(thing\)"),
        ({"colour_map": [[*BLACK, 0], [*RED, 1]], "label_map": [[0, 0], [1, 1]]}, "both say how masks are read"),
        ({"image_range": [0]}, r"image_range is \[0\]"),
        ({"image_range": [1.0, 0.0]}, "the values of black and white"),
    ],
)
def test_settings_that_cannot_be_are_refused(tiny: Tiny, changes: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_layout(tiny(**changes))
