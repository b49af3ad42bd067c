"""Mean teacher and CutMix: the losses of a step, worked out apart from the method."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gta.methods import Method
from gta.methods.mixing import cutmix_mask

Make = Callable[..., Method]


def probabilities(logits: Tensor) -> np.ndarray:
    values = np.exp(logits.detach().double().numpy() - logits.detach().double().numpy().max(1, keepdims=True))
    return values / values.sum(1, keepdims=True)


@pytest.mark.parametrize("strong", [False, True])
@pytest.mark.parametrize("name", ["mean_teacher", "cutmix"])
def test_losses_of_a_step(name: str, strong: bool, make: Make, batch: Callable[..., Any], run: Any) -> None:
    mixing = {"cutmix_probability": 1.0} if name == "cutmix" else {}
    method = make(name, model={"dropout": 0.0}, strong=strong, threshold=0.27, unsupervised_weight=0.5, **mixing)
    assert method.strong_views == int(strong)
    run(method, 0, 3)
    student, teacher = (copy.deepcopy(network) for network in method.networks().values())
    labeled, unlabeled = batch(3)
    values = method.step(labeled, unlabeled, 3)

    teacher.eval()
    soft = probabilities(teacher(unlabeled.weak))
    confidence, pseudo = soft.max(1), soft.argmax(1)
    pseudo[unlabeled.padding.numpy()] = 255
    images = (unlabeled.strong if strong else unlabeled.weak).numpy().copy()
    if name == "cutmix":
        inside = cutmix_mask(unlabeled, 2, 1.0, seed=0, iteration=3).numpy()
        was = images.copy(), pseudo.copy(), confidence.copy()
        for i, partner in enumerate((1, 0, 3, 2)):
            images[i][:, inside[i]] = was[0][partner][:, inside[i]]
            pseudo[i][inside[i]] = was[1][partner][inside[i]]
            confidence[i][inside[i]] = was[2][partner][inside[i]]
    student.train()
    chances = probabilities(student(torch.cat([labeled.image, torch.from_numpy(images)])))

    supervised, unsupervised, kept = [], [], []
    for group in ((0, 1), (2, 3)):
        losses, losses_u, valid = [], [], 0
        for i in group:
            for y in range(24):
                for x in range(24):
                    label, guess = int(labeled.mask[i, y, x]), int(pseudo[i, y, x])
                    if label != 255:
                        losses.append(-np.log(chances[i, label, y, x]))
                    if guess != 255:
                        valid += 1
                        if confidence[i, y, x] >= 0.27:
                            losses_u.append(-np.log(chances[4 + i, guess, y, x]))
        supervised.append(np.mean(losses))
        unsupervised.append(np.sum(losses_u) / valid)
        kept.append(len(losses_u) / valid)
    assert 0 < np.mean(kept) < 1, "the threshold must matter in this test"
    assert values["loss/supervised"].item() == pytest.approx(np.mean(supervised), rel=1e-5)
    assert values["loss/unsupervised"].item() == pytest.approx(np.mean(unsupervised), rel=1e-5)
    assert values["pseudo/kept"].item() == pytest.approx(np.mean(kept), rel=1e-5)


def test_pseudo_labels_change_the_student(make: Make, run: Any) -> None:
    with_pseudo, without = make("mean_teacher"), make("mean_teacher", unsupervised_weight=0.0)
    run(with_pseudo, 0, 3)
    run(without, 0, 3)
    weights = [m.networks()["student"].mask_predictor[0].weight for m in (with_pseudo, without)]
    assert not torch.equal(*weights)
