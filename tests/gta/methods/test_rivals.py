"""The losses of a step of fixmatch, unimatch, cps and student_teacher, worked out pixel by pixel apart from them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gta import seeds
from gta.methods import Method
from gta.methods.mixing import cutmix_mask
from gta.models.deeplab import upsample

Make = Callable[..., Method]
GROUPS, PARTNERS = ((0, 1), (2, 3)), (1, 0, 3, 2)


def softmax(logits: Tensor) -> np.ndarray:
    values = logits.detach().double().numpy()
    values = np.exp(values - values.max(1, keepdims=True))
    return values / values.sum(1, keepdims=True)  # type: ignore[no-any-return]


def mixed(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(4, h, w) or (4, C, h, w) with the pixels of the other image of the pair inside the boxes."""
    out = values.copy()
    for i, partner in enumerate(PARTNERS):
        out[i][..., inside[i]] = values[partner][..., inside[i]]
    return out


def boxes(unlabeled: Any, iteration: int, view: int = 0) -> np.ndarray:
    return cutmix_mask(unlabeled, 2, 1.0, seed=0, iteration=iteration, view=view).numpy()


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


def test_fixmatch(make: Make, batch: Callable[..., Any], run: Any) -> None:
    method = make("fixmatch", model={"dropout": 0.0}, threshold=0.27, cutmix_probability=1.0, unsupervised_weight=0.5)
    run(method, 0, 3)
    student = copy.deepcopy(method.networks()["student"])
    labeled, unlabeled = batch(3)
    values = method.step(labeled, unlabeled, 3)

    inside = boxes(unlabeled, 3)
    labels, confidence = (mixed(v, inside) for v in own_labels(student, unlabeled))
    images = torch.from_numpy(mixed(unlabeled.strong.numpy(), inside))
    chances = softmax(student.train()(torch.cat([labeled.image, images])))
    assert 0 < float((confidence >= 0.27).mean()) < 1, "the threshold must matter in this test"
    assert values["loss/supervised"].item() == pytest.approx(mean_loss(chances[:4], labeled.mask.numpy()), rel=1e-5)
    expected = mean_loss(chances[4:], labels, confidence, 0.27)
    assert values["loss/unsupervised"].item() == pytest.approx(expected, rel=1e-5)
    assert set(method.models) == {"student"}


def test_fixmatch_asks_for_sure_labels_and_a_strong_view(make: Make) -> None:
    method = make("fixmatch")
    assert (method.config.threshold, method.strong_views, method.headline) == (0.95, 1, "student")


def test_unimatch(make: Make, batch: Callable[..., Any], run: Any) -> None:
    """Also the view of dropped features: whole planes of the low-level and the last features, by the step's draws."""
    method = make("unimatch", model={"dropout": 0.0}, threshold=0.27, cutmix_probability=1.0)
    run(method, 0, 3)
    model: Any = copy.deepcopy(method.networks()["student"]).train()
    labeled, unlabeled = batch(3)
    values = method.step(labeled, unlabeled, 3)

    insides = boxes(unlabeled, 3), boxes(unlabeled, 3, view=1)
    assert not np.array_equal(*insides), "each strong view has boxes of its own"
    strong = [
        mixed(view.numpy(), box) for view, box in zip((unlabeled.strong, unlabeled.strong2), insides, strict=True)
    ]
    images = torch.cat([labeled.image, *map(torch.from_numpy, strong), unlabeled.weak])
    draws = seeds.dropout(0, "student", 3, 0)
    extractor = model.feature_extractor
    low, _, top = extractor.encoder(images)
    kept = [torch.from_numpy(draws.random((4, x.shape[1], 1, 1), dtype="float32") >= 0.5) for x in (low, top)]
    low, top = (torch.cat([x, 2 * x[-4:] * keep]) for x, keep in zip((low, top), kept, strict=True))
    context = upsample(extractor.head(extractor.aspp(top)), low.shape[2:])
    chances = softmax(upsample(model.mask_predictor(torch.cat([extractor.low_level(low), context], 1)), (24, 24)))
    assert len(chances) == 20

    labels, confidence = chances[12:16].argmax(1), chances[12:16].max(1)
    labels[unlabeled.padding.numpy()] = 255
    expected = 0.5 * mean_loss(chances[16:], labels, confidence, 0.27)
    for view, inside in ((chances[4:8], insides[0]), (chances[8:12], insides[1])):
        expected += 0.25 * mean_loss(view, mixed(labels, inside), mixed(confidence, inside), 0.27)
    assert 0 < float((confidence >= 0.27).mean()) < 1
    assert values["loss/supervised"].item() == pytest.approx(mean_loss(chances[:4], labeled.mask.numpy()), rel=1e-5)
    assert values["loss/unsupervised"].item() == pytest.approx(expected, rel=1e-4)
    assert method.strong_views == 2


def test_unimatch_leaves_the_network_as_it_was(make: Make, run: Any) -> None:
    """The features are dropped within the step alone: scoring and the next method see a plain network."""
    method = make("unimatch")
    run(method, 0, 4)
    student = method.networks()["student"].eval()
    assert student(torch.zeros(2, 3, 24, 24)).shape == (2, 4, 24, 24)


def test_cps(make: Make, batch: Callable[..., Any], run: Any) -> None:
    method = make("cps", model={"dropout": 0.0, "auxiliary": False})
    run(method, 0, 3)
    students = {name: copy.deepcopy(network) for name, network in method.networks().items()}
    labeled, unlabeled = batch(3)
    values = method.step(labeled, unlabeled, 3)

    inside = boxes(unlabeled, 3)
    labels = {name: mixed(own_labels(network, unlabeled)[0], inside) for name, network in students.items()}
    images = torch.cat([labeled.image, torch.from_numpy(mixed(unlabeled.weak.numpy(), inside))])
    assert not np.array_equal(*labels.values())
    for name, other, number in (("student", "student2", ""), ("student2", "student", "2")):
        chances = softmax(students[name].train()(images))
        expected = mean_loss(chances[:4], labeled.mask.numpy()), mean_loss(chances[4:], labels[other])
        found = values[f"loss/supervised{number}"].item(), values[f"loss/unsupervised{number}"].item()
        assert found == pytest.approx(expected, rel=1e-5)


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
    config = {"confidence": "pseudo_label"} if name == "gta" else {}
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
