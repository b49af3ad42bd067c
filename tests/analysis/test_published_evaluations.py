"""Shipped sweeps say of their evaluation what the published rows whose recipe they copy say of theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import pytest
import torch

from analysis.published import NOT_STATED, TableProtocol, differences, load_rows
from gta import scoring
from gta.compose import compose
from gta.config import Config
from gta.train import inference

Composed = Callable[..., Config]
BACKGROUND = ["evaluation.protocol=center_crop_padded_background"]
# sweep, settings beside it, data set of the rows, their methods, how their encoders begin, how many rows that is
ALIKE = {
    "voc_dinov2": ("voc_dinov2", [], "voc_classic", "UniMatch V2*", "dinov2_", 7),
    "voc_dinov2, supervised": ("voc_dinov2", [], "voc_classic", "SupOnly (UniMatch V2*", "dinov2_", 6),
    "cityscapes_dinov2": ("cityscapes_dinov2", [], "cityscapes", "UniMatch V2*", "dinov2_", 5),
    "cityscapes_dinov2, supervised": ("cityscapes_dinov2", [], "cityscapes", "SupOnly (UniMatch V2*", "dinov2_", 4),
    "ade20k": ("ade20k", [], "ade20k", "UniMatch V2*", "dinov2_", 6),
    "coco": ("coco", [], "coco", "UniMatch V2*", "dinov2_", 4),
    "voc_augseg": ("voc_augseg", [], "voc_classic", "AugSeg", "resnet101", 1),
    "voc_augseg, supervised": ("voc_augseg", [], "voc_classic", "SupOnly (AugSeg*", "resnet", 2),
    "voc_augseg, blender": ("voc_augseg", ["data=voc_blender"], "voc_blender", "AugSeg", "resnet101", 2),
    "voc_augseg, blender, supervised": ("voc_augseg", [], "voc_blender", "SupOnly (AugSeg*", "resnet", 4),
    "cityscapes": ("cityscapes", [], "cityscapes", "U2PL (CutMix)", "resnet101", 1),
    "voc_classic, padded": ("voc_classic", BACKGROUND, "voc_classic", "U2PL", "resnet101", 1),
    "voc_classic, padded, gta": ("voc_classic", BACKGROUND, "voc_classic", "GTA-Seg", "resnet101", 1),
    "voc_blender, padded": ("voc_blender", BACKGROUND, "voc_blender", "U2PL", "resnet101", 1),
}


@pytest.fixture
def composed(loader) -> Composed:
    """sweep, settings -> the config of one of its cells."""

    def config(sweep: str, settings: Sequence[str] = ()) -> Config:
        words = [f"sweep={sweep}", "method=supervised", "seed=0", *settings]
        return compose.typed(compose.Composer(loader).compose(words))

    return config


def marks(sweep: Config, dataset: str, method: str, encoder: str) -> list[list[str]]:
    """What of each number of these rows is said of its evaluation."""
    here = TableProtocol(dataset, frozenset(), frozenset({scoring.describe(sweep)}), {})
    rows = [row for row in load_rows(dataset) if fnmatchcase(row.method, method) and row.encoder.startswith(encoder)]
    said = ("another evaluation", "the source does not state the evaluation")
    return [
        [text for number in row.numbers.values() for text in differences(number, 0, here) if text.startswith(said)]
        for row in rows
    ]


@pytest.mark.parametrize("name", ALIKE)
def test_a_sweep_is_scored_as_the_rows_whose_recipe_it_copies(composed: Composed, name: str) -> None:
    sweep, settings, dataset, method, encoder, count = ALIKE[name]
    assert marks(composed(sweep, settings), dataset, method, encoder) == [[]] * count


def test_augsegs_windows_are_cut_off_and_ours_are_not(composed: Composed) -> None:
    """The one thing that differs, said at each of its numbers of Cityscapes."""
    own = scoring.describe(composed("cityscapes_augseg"))
    found = [row for row in load_rows("cityscapes") if row.method.startswith(("AugSeg", "SupOnly (AugSeg"))]
    assert len(found) == 3
    theirs = {number.evaluation for row in found for number in row.numbers.values()}
    assert theirs == {f"{own}, windows cut off at the border"}
    (of_row,) = marks(composed("cityscapes_augseg"), "cityscapes", "AugSeg*", "resnet101")
    assert of_row == [f"another evaluation: {own}, windows cut off at the border"] * 4


def test_a_sweep_at_original_size_is_not_scored_as_u2pl_and_gta_seg_are(composed: Composed) -> None:
    for dataset, method in (("voc_classic", "U2PL"), ("voc_classic", "GTA-Seg"), ("voc_blender", "U2PL")):
        (said,) = marks(composed(dataset), dataset, method, "resnet101")
        assert set(said) == {"another evaluation: center crop 513, padding as background (by its code)"}
    (ael,) = [row for row in load_rows("cityscapes") if row.method == "U2PL (AEL)"]
    assert {number.evaluation for number in ael.numbers.values()} == {NOT_STATED}, "its code is not public"


@pytest.mark.parametrize(
    ("sweep", "tops", "lefts"),
    [
        ("cityscapes", [0, 255], [0, 513, 1026, 1279]),  # 769, ceil(2/3 * 769)
        ("cityscapes_dinov2", [0, 226], [0, 532, 1064, 1250]),  # 798, int(798 * 2/3)
        ("cityscapes_augseg", [0, 224], [0, 533, 1066, 1248]),  # 800, int(2/3 * 800)
    ],
)
def test_the_windows_of_cityscapes_take_the_published_steps(
    composed: Composed, sweep: str, tops: list[int], lefts: list[int]
) -> None:
    image = torch.zeros(1, 3, 1024, 2048)
    image[0, 0], image[0, 1] = torch.arange(1024.0)[:, None], torch.arange(2048.0)  # each pixel says where it is
    places = set()

    def network(window: torch.Tensor) -> torch.Tensor:
        places.add(tuple(window[0, :2, 0, 0].tolist()))
        return window

    inference.class_scores(network, image, (1024, 2048), composed(sweep))
    assert places == {(top, left) for top in tops for left in lefts}
