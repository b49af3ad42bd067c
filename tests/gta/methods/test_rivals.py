"""What is the rivals' own; the losses of student_teacher by loops. (Those of the others: test_reference_rivals.py.)"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gta.methods import Method
from gta.methods.mixing import cutmix_mask
from tests.helpers.methods import softmax

Make = Callable[..., Method]
GROUPS, PARTNERS = ((0, 1), (2, 3)), (1, 0, 3, 2)


def mixed(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(4, h, w) or (4, C, h, w) with the pixels of the other image of the pair inside the boxes."""
    out = values.copy()
    for i, partner in enumerate(PARTNERS):
        out[i][..., inside[i]] = values[partner][..., inside[i]]
    return out


def boxes(unlabeled: Any, iteration: int) -> np.ndarray:
    return cutmix_mask(unlabeled, 2, 1.0, seed=0, iteration=iteration).numpy()


def mean_loss(
    chances: np.ndarray, labels: np.ndarray, confidence: np.ndarray | None = None, threshold: float = 0.0
) -> float:
    """Mean over the pairs of: sum of the CE of sure pixels over the number of pixels that have a label."""
    means = []
    for group in GROUPS:
        total, count = 0.0, 0
        for i in group:
            for y, x in np.argwhere(labels[i] != 255):
                count += 1
                if confidence is None or confidence[i, y, x] >= threshold:
                    total -= np.log(chances[i, labels[i, y, x], y, x])
        means.append(total / count)
    return float(np.mean(means))


def own_labels(network: nn.Module, unlabeled: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labels (255 where padded) and confidences of a network in eval() on the weak view."""
    soft = softmax(network.eval()(unlabeled.weak))
    labels = soft.argmax(1)
    labels[unlabeled.padding.numpy()] = 255
    return labels, soft.max(1)


def test_fixmatch_asks_for_sure_labels_and_a_strong_view(make: Make) -> None:
    method = make("fixmatch")
    assert (method.config.threshold, method.strong_views, method.headline) == (0.95, 1, "student")


def test_cps_makes_its_labels_in_training_mode_before_a_student_moves(make: Make, batch: Callable[..., Any]) -> None:
    """Four passes a student's part of the step: labels, mixed images, labeled images; each a BatchNorm batch."""
    method = make("cps", schedule={"warm_up": 0})
    seen: list[tuple[bool, bool, int]] = []
    method.models["student"].register_forward_pre_hook(
        lambda module, images: seen.append((module.training, torch.is_grad_enabled(), len(images[0])))
    )
    method.step(*batch(0), 0)
    assert seen == [(True, False, 4), (True, True, 4), (True, True, 4)]


@pytest.mark.parametrize(("cutmix", "passes"), [(True, 3), (False, 2)])
def test_without_cutmix_cps_takes_its_labels_from_the_same_pass(
    cutmix: bool, passes: int, make: Make, batch: Callable[..., Any]
) -> None:
    method = make("cps", schedule={"warm_up": 0}, cutmix=cutmix)
    method.step(*batch(0), 0)
    norm = next(m for m in method.networks()["student2"].modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.num_batches_tracked == passes


def test_unimatch_leaves_the_network_as_it_was(make: Make, run: Any) -> None:
    """The features are dropped within the step alone: scoring and the next method see a plain network."""
    method = make("unimatch")
    run(method, 0, 4)
    student = method.networks()["student"].eval()
    assert student(torch.zeros(2, 3, 24, 24)).shape == (2, 4, 24, 24)


def test_cps_has_two_students_of_different_weights_and_both_are_scored(make: Make, run: Any) -> None:
    method = make("cps")
    networks = method.networks()
    assert list(networks) == ["student", "student2"]
    assert method.headline_network()[1] is networks["student"]
    assert not torch.equal(*(n.encoder.stage1[0].weight for n in networks.values()))
    before = {name: copy.deepcopy(network.state_dict()) for name, network in networks.items()}
    run(method, 0, 1)
    for name, network in method.networks().items():
        assert any(not torch.equal(before[name][key], value) for key, value in network.state_dict().items()), name


def test_student_teacher_is_gta_whose_student_learns_the_pseudo_labels(
    make: Make, batch: Callable[..., Any], run: Any
) -> None:
    """Its unlabeled loss by loops; and pseudo-labels do reach its mask predictor."""
    method = make("student_teacher", model={"dropout": 0.0}, cutmix_probability=1.0)
    run(method, 0, 4)
    student, teacher = (copy.deepcopy(network) for network in method.networks().values())
    labeled, unlabeled = batch(4)
    values = method.step(labeled, unlabeled, 4)

    inside = boxes(unlabeled, 4)
    labels = mixed(own_labels(teacher, unlabeled)[0], inside)
    images = torch.cat([labeled.image, torch.from_numpy(mixed(unlabeled.weak.numpy(), inside))])
    chances = softmax(student.train()(images))
    confidence = softmax(teacher.train()(images))[4:].max(1)
    means = []
    for group in (slice(0, 2), slice(2, 4)):
        valid = labels[group] != 255
        bound = np.percentile(confidence[group][valid], 20)
        above = below = 0.0
        for i, y, x in np.argwhere(valid):
            c = confidence[group][i, y, x]
            kept = c > bound
            below += 1 + c if kept else 1
            above -= (1 + c) * np.log(chances[4:][group][i, labels[group][i, y, x], y, x]) if kept else 0
        means.append(above / below)
    assert values["loss/supervised"].item() == pytest.approx(mean_loss(chances[:4], labeled.mask.numpy()), rel=1e-5)
    assert values["loss/unsupervised"].item() == pytest.approx(np.mean(means), rel=1e-4)

    predictors = []
    for weight in (1.0, 0.0):
        other = make("student_teacher", unsupervised_weight=weight)
        run(other, 0, 3)
        predictors.append(other.networks()["student"].mask_predictor[0].weight)
    assert not torch.equal(*predictors)


@pytest.mark.parametrize("name", ["mean_teacher", "cutmix", "gta"])
def test_a_teacher_without_warm_up_gets_statistics_to_label_with(name: str, make: Make, run: Any) -> None:
    """A teacher that is only run in eval() would keep mean 0 and variance 1 of an untrained network for ever."""
    config = {"confidence": "pseudo_label"} if name == "gta" else {"training_labels": False}
    method = make(name, schedule={"warm_up": 0, "ema_decay": 0.5}, **config)
    run(method, 0, 3)
    student, teacher = (
        dict(method.networks()[n].named_buffers())["feature_extractor.encoder.stage1.1.running_mean"]
        for n in ("student", "teacher")
    )
    assert teacher.abs().max() > 0
    before = student.clone(), teacher.clone()
    run(method, 3, 4)
    assert torch.allclose(teacher, 0.5 * before[1] + 0.5 * student, atol=1e-7)
    assert not torch.equal(before[0], student)
