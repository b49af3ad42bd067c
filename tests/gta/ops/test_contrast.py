"""Which pixels the contrast takes, by hand. Its value: tests/gta/methods/test_u2pl.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gta.ops.contrast import Pixels, Targets, contrast, negatives, pixels_of, targets
from gta.ops.memory import Memory

# logits of five pixels; the ranks of classes 0 to 3 are written beside
LOGITS = torch.tensor(
    [
        [4.0, 3.0, 2.0, 1.0],  # 0 1 2 3
        [1.0, 4.0, 3.0, 2.0],  # 3 0 1 2
        [4.0, 1.0, 3.0, 2.0],  # 0 3 1 2
        [1.0, 2.0, 3.0, 9.0],  # 3 2 1 0
        [2.0, 4.0, 1.0, 3.0],  # 2 0 3 1
    ]
)


def five(label: list[int], low: list[int], high: list[int]) -> Pixels:
    """Two pixels of a labeled image, three of an unlabeled one; each is represented by its number."""
    numbers = torch.arange(5.0)[:, None]
    flags = (torch.tensor(values, dtype=torch.bool) for values in ([1, 1, 0, 0, 0], low, high))
    return Pixels(torch.tensor(label), *flags, LOGITS, numbers)


def listed(found: list[Tensor]) -> list[list[float]]:
    return [one[:, 0].tolist() for one in found]


def test_negatives_of_a_class_are_hardly_of_it() -> None:
    """Labeled: another class that is among the first two; unlabeled: unreliable, the class third or fourth."""
    pixels = five(label=[0, 255, 0, 3, 1], low=[1, 0, 1, 0, 0], high=[1, 0, 0, 1, 1])
    assert listed(negatives(pixels, 2, 4, own_label=False)) == [[3, 4], [0, 3], [4], []]
    assert listed(negatives(pixels, 2, 3, own_label=False)) == [[4], [0, 3], [], []]


def test_as_code_only_pixels_labeled_with_the_class_itself_are_negatives_of_it() -> None:
    pixels = five(label=[1, 2, 0, 1, 2], low=[1, 1, 0, 0, 0], high=[1, 1, 1, 1, 1])
    assert listed(negatives(pixels, 2, 4, own_label=True)) == [[], [3], [4], []]


def test_anchors_are_probable_and_the_centre_is_of_all() -> None:
    pixels = five(label=[0, 1, 1, 3, 255], low=[1, 1, 1, 1, 0], high=[0, 0, 0, 0, 0])
    found = targets(pixels, 0.3)
    assert found.anchor.tolist() == [0, 1, 255, 3, 255]
    assert {label: centre.tolist() for label, centre in found.positives.items()} == {0: [0.0], 1: [1.5], 3: [3.0]}


def test_entropy_splits_unlabeled_pixels_and_labeled_ones_are_in_both() -> None:
    """Padding is in no percentile; masks come to the grid by the nearest pixel."""
    mask = torch.tensor([[[0, 1], [255, 2]]]).repeat_interleave(2, 1).repeat_interleave(2, 2)
    pseudo = torch.tensor([[[3, 255], [1, 0]]]).repeat_interleave(2, 1).repeat_interleave(2, 2)
    entropies = torch.tensor([[[0.1, 9.0], [0.5, 0.9]]]).repeat_interleave(2, 1).repeat_interleave(2, 2)
    found = pixels_of(mask, pseudo, entropies, torch.zeros(2, 4, 2, 2), torch.zeros(2, 3, 2, 2), percent=20.0)
    assert found.label.tolist() == [0, 1, 255, 2, 3, 255, 1, 0]
    assert found.labeled.tolist() == [True] * 4 + [False] * 4
    assert found.low.tolist() == [True, True, False, True, True, False, False, False]
    assert found.high.tolist() == [True, True, False, True, False, False, False, True]


@pytest.mark.parametrize(
    ("present", "remembered"),
    [([2], [2]), ([], []), ([0, 2], [1])],
    ids=["one class", "none", "no memory"],
)
def test_without_a_contrast_it_is_zero_and_can_be_differentiated(present: list[int], remembered: list[int]) -> None:
    memory = Memory((9, 9, 9), 2)
    for label in remembered:
        memory.add(label, torch.ones(4, 2))
    wanted = Targets(torch.tensor([2, 0, 2]), {label: torch.ones(2) for label in present})
    representation = torch.randn(3, 2, requires_grad=True)
    found = contrast(representation, wanted, memory, lambda _: np.random.default_rng(0), 5, 4, 0.5, by_place=False)
    found.backward()
    assert found == 0
    assert representation.grad is not None
    assert not representation.grad.any()
