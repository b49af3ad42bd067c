"""GTA: what may flow where, and the unlabeled loss of a step worked out apart from the method."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gta.methods import Method
from gta.methods.gta import GTA
from gta.methods.mixing import cutmix_mask
from tests.helpers.methods import softmax

Make = Callable[..., Method]
Run = Callable[[Method, int, int], list[dict[str, float]]]


def tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


class Watched(GTA):
    """Notes the student and the assistant before the assistant's step and after the transfer."""

    def update(self, name: str, *arguments: Any) -> dict[str, Tensor]:
        if name == "assistant":
            self.before = {n: tensors(self.models[n]) for n in ("student", "assistant")}
        return super().update(name, *arguments)

    def transfer(self, iteration: int) -> None:
        self.stepped = tensors(self.models["assistant"])
        super().transfer(iteration)
        self.after = tensors(self.models["student"])


def test_no_pseudo_label_gradient_reaches_the_students_mask_predictor(make: Make, run: Run) -> None:
    """Bit-equal before and after the assistant's update and the transfer, at every step, auxiliary head too."""
    method = make(Watched, model={"auxiliary": True})
    run(method, 0, 2)
    for iteration in range(2, 7):
        run(method, iteration, iteration + 1)
        moved = changed(method.before["student"], method.after)
        assert moved
        assert all(name.startswith("feature_extractor.") for name in moved), moved
        assert any(n.startswith("mask_predictor.") for n in changed(method.before["assistant"], method.stepped))
        assert not any("running" in name for name in moved), "buffers are not transferred"


def test_transfer_is_the_ramped_ema_towards_the_assistant(make: Make, run: Run) -> None:
    method = make(Watched, transfer_decay=0.55, schedule={"ema_decay": 0.9})
    run(method, 0, 2)
    for iteration, decay in ((2, 0.0), (3, 0.5), (4, 0.55)):
        run(method, iteration, iteration + 1)
        for name in dict(method.networks()["student"].feature_extractor.named_parameters()):
            name = f"feature_extractor.{name}"
            expected = decay * method.before["student"][name] + (1 - decay) * method.stepped[name]
            assert torch.allclose(method.after[name], expected, atol=1e-7), name


def test_transfer_is_capped_by_the_schedule_by_default(make: Make, run: Run) -> None:
    with_null, with_number = make("gta", schedule={"ema_decay": 0.3}), make("gta", transfer_decay=0.3)
    for method in (with_null, with_number):
        run(method, 0, 2)
        method.end_warm_up()
        for p in method.models["assistant"].parameters():
            p.data.zero_()
        before = tensors(method.models["student"])
        method.transfer(10)
        after = tensors(method.models["student"])
        for name in dict(method.models["student"].feature_extractor.named_parameters()):
            assert torch.allclose(after[f"feature_extractor.{name}"], 0.3 * before[f"feature_extractor.{name}"])


def test_the_three_networks_share_no_storage(make: Make, run: Run) -> None:
    method = make("gta")
    run(method, 0, 2)
    method.end_warm_up()
    for iteration in range(2, 5):
        owners: dict[int, str] = {}
        for name, network in method.models.items():
            for tensor in [*network.parameters(), *network.buffers()]:
                place = tensor.untyped_storage().data_ptr()
                assert owners.setdefault(place, name) == name, f"{name} and {owners[place]} share a tensor"
        assert set(owners.values()) == {"student", "teacher", "assistant"}
        run(method, iteration, iteration + 1)


def test_assistant_starts_as_a_copy_and_is_not_reset(make: Make, run: Run) -> None:
    method = make("gta")
    run(method, 0, 2)
    method.end_warm_up()
    student, assistant = tensors(method.models["student"]), tensors(method.models["assistant"])
    assert not changed(student, assistant)
    run(method, 2, 5)
    assert all(
        any(name.startswith(part) for name in changed(assistant, tensors(method.models["assistant"])))
        for part in ("feature_extractor", "mask_predictor")
    )
    predictors = [tensors(method.models[n].mask_predictor) for n in ("student", "assistant")]
    assert changed(*predictors)


def test_assistant_never_learns_from_labels(make: Make, batch: Callable[..., Any], run: Run) -> None:
    """Other labels, same assistant after its step."""
    methods = [make(Watched, model={"dropout": 0.0}) for _ in range(2)]
    for change, method in enumerate(methods):
        run(method, 0, 3)
        labeled, unlabeled = batch(3)
        labeled.mask[labeled.mask < 255] = (labeled.mask[labeled.mask < 255] + change) % 4
        method.step(labeled, unlabeled, 3)
    one, other = methods
    assert not changed(one.stepped, other.stepped)
    assert changed(tensors(one.models["student"]), tensors(other.models["student"]))


def test_student_learns_from_labels_alone_in_its_own_step(make: Make, batch: Callable[..., Any], run: Run) -> None:
    """The gradient of its step is that of the supervised loss on the joint batch."""
    method = make(Watched, model={"dropout": 0.0}, cutmix_probability=0.0)
    run(method, 0, 3)
    labeled, unlabeled = batch(3)
    method.step(labeled, unlabeled, 3)
    student = copy.deepcopy(method.networks()["student"])
    student.load_state_dict(method.after)
    student.zero_grad()
    logits = student.train()(torch.cat([labeled.image, unlabeled.weak]))[:4]
    halves = [nn.functional.cross_entropy(logits[i : i + 2], labeled.mask[i : i + 2], ignore_index=255) for i in (0, 2)]
    ((halves[0] + halves[1]) / 2).backward()
    for own, expected in zip(method.networks()["student"].parameters(), student.parameters(), strict=True):
        assert own.grad is not None
        assert expected.grad is not None
        assert torch.allclose(own.grad, expected.grad, atol=1e-6)


def test_auxiliary_head_is_the_students_alone(make: Make, run: Run) -> None:
    method = make("gta", model={"auxiliary": True})
    run(method, 0, 4)
    assert not any("auxiliary" in name for name in method.models["assistant"].state_dict())
    assert any("auxiliary" in name for name in method.models["student"].state_dict())


@pytest.mark.parametrize("strong", [False, True])
@pytest.mark.parametrize("weighting", ["laplace", "none"])
def test_unlabeled_loss_of_a_step(
    weighting: str, strong: bool, make: Make, batch: Callable[..., Any], run: Run
) -> None:
    """Teacher in eval() labels the weak view; teacher in train() on the joint mixed batch weights; pixel by pixel."""
    settings = {"cutmix_probability": 1.0, "drop_percent": 70.0, "weighting": weighting, "strong": strong}
    method = make("gta", model={"dropout": 0.0}, **settings)
    run(method, 0, 4)
    teacher, assistant = (copy.deepcopy(method.models[name]) for name in ("teacher", "assistant"))
    labeled, unlabeled = batch(4)
    values = method.step(labeled, unlabeled, 4)

    pseudo = softmax(teacher.eval()(unlabeled.weak)).argmax(1)
    pseudo[unlabeled.padding.numpy()] = 255
    images = (unlabeled.strong if strong else unlabeled.weak).numpy().copy()
    inside = cutmix_mask(unlabeled, 2, 1.0, seed=0, iteration=4).numpy()
    was = images.copy(), pseudo.copy()
    for i, partner in enumerate((1, 0, 3, 2)):
        images[i][:, inside[i]] = was[0][partner][:, inside[i]]
        pseudo[i][inside[i]] = was[1][partner][inside[i]]
    joint = torch.cat([labeled.image, torch.from_numpy(images)])
    chances = softmax(assistant.train()(joint))[4:]
    confidence = softmax(teacher.train()(joint))[4:].max(1)

    losses = []
    for group in (slice(0, 2), slice(2, 4)):
        valid = pseudo[group] != 255
        bound = np.percentile(confidence[group][valid], 30)
        above = below = 0.0
        for i, y, x in np.argwhere(valid):
            c, guess = confidence[group][i, y, x], pseudo[group][i, y, x]
            weight = 1 + c if weighting == "laplace" else 1.0
            if c > bound:
                above += weight * -np.log(chances[group][i, guess, y, x])
                below += weight
            else:
                below += 1.0  # confidence 0
        losses.append(above / below)
    assert values["loss/unsupervised"].item() == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_confidence_pass_moves_the_teachers_statistics_and_nothing_else_does(make: Make, run: Run) -> None:
    method = make("gta")
    run(method, 0, 2)
    method.end_warm_up()
    counter = next(b for n, b in method.models["teacher"].named_buffers() if n.endswith("num_batches_tracked"))
    before = int(counter)
    run(method, 2, 5)
    assert int(counter) == before + 3
