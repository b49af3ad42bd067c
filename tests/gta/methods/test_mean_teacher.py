"""Mean teacher and CutMix-Seg: what they are by default, and what the levelled rows make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from gta.methods import Method

Make = Callable[..., Method]


def test_what_the_teacher_says_changes_the_student(make: Make, run: Any) -> None:
    taught, alone = make("mean_teacher"), make("mean_teacher", unsupervised_weight=0.0)
    run(taught, 0, 4)  # (at the first step past the warm-up the teacher is the student)
    run(alone, 0, 4)
    weights = [m.networks()["student"].mask_predictor[0].weight for m in (taught, alone)]
    assert not torch.equal(*weights)


@pytest.mark.parametrize("name", ["mean_teacher", "cutmix"])
def test_the_teacher_predicts_in_training_mode_unless_told_otherwise(
    name: str, make: Make, batch: Callable[..., Any], run: Any
) -> None:
    for training in (True, False):
        method = make(name, training_labels=training)
        run(method, 0, 3)
        modes: list[bool] = []
        method.models["teacher"].register_forward_pre_hook(lambda module, _, modes=modes: modes.append(module.training))
        method.step(*batch(3), 3)
        assert modes == [training]
    assert make(name).config.training_labels


def test_hard_labels_of_little_confidence_are_left_out_and_squares_keep_all(make: Make) -> None:
    confidence = torch.tensor([0.2, 0.5, 0.9])
    for consistency, kept in (("cross_entropy", [False, True, True]), ("sum_square", [True, True, True])):
        assert make("cutmix", threshold=0.5, consistency=consistency).kept(confidence).tolist() == kept


def test_strong_views_are_asked_for_where_the_student_sees_them(make: Make) -> None:
    assert [make(name, strong=strong).strong_views for name in ("mean_teacher", "cutmix") for strong in (True, False)
            ] == [1, 0, 1, 0]  # fmt: skip
    assert (make("mean_teacher").strong_views, make("cutmix").strong_views) == (1, 0)
