"""What every method keeps to, whatever it does: the trainer relies on it.

class TestMine(MethodContract):
    method = Mine
"""

from __future__ import annotations

import dataclasses
import io
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from gta.errors import UserError
from gta.fields import describe
from gta.methods import Method
from gta.ops.batch import Labeled, Unlabeled
from tests.helpers.methods import SCHEDULE, make_batch, make_method, train

WARM_UP = SCHEDULE["warm_up"]  # 2 steps


def same(one: Any, other: Any) -> bool:
    """Whether two nested states are equal, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)  # type: ignore[no-any-return]


class MethodContract:
    method: ClassVar[type[Method]]

    def make(self, **changes: Any) -> Method:
        return make_method(self.method, **changes)

    # --- what it says of itself -----------------------------------------------------------------------------

    def test_config_is_frozen_and_explains_its_fields(self) -> None:
        config = self.method.Config
        assert config().name == config.name
        assert all(row["help"] for row in describe(config).values())
        with pytest.raises(dataclasses.FrozenInstanceError):
            config().label = "another"  # type: ignore[misc]

    def test_it_returns_the_values_that_it_reports(self) -> None:
        method = self.make()
        assert all(name.startswith(("loss/", "pseudo/")) for name in method.reports)
        steps = train(method, 0, 4)
        after = WARM_UP if method.uses_unlabeled else 0
        for step in steps[:after]:
            assert set(step) == {name for name in method.reports if name.startswith("loss/supervised")}
        for step in steps[after:]:
            assert set(step) == set(method.reports)
        for step in steps:
            assert "loss/supervised" in step
            assert all(0 <= value <= 1 for name, value in step.items() if name.startswith("pseudo/"))

    def test_values_are_finite_and_the_networks_move(self) -> None:
        method = self.make()
        before = through_a_file(method.state_dict())
        values = train(method, 0, 4)
        assert all(torch.isfinite(torch.tensor(list(step.values()))).all() for step in values)
        assert not same(before, method.state_dict())

    def test_values_carry_no_gradient(self) -> None:
        method = self.make()
        for iteration in (0, WARM_UP):
            for value in method.step(*make_batch(iteration), iteration).values():
                assert not value.requires_grad
                assert value.dim() == 0

    def test_it_needs_no_more_strong_views_than_it_says(self) -> None:
        method = self.make()
        assert 0 <= method.strong_views <= 2
        for iteration in range(WARM_UP + 1):
            labeled, whole = make_batch(iteration)
            strong, second = whole.strong if method.strong_views else None, whole.strong2
            given = Unlabeled(whole.weak, strong, whole.padding, strong2=second if method.strong_views == 2 else None)
            method.step(labeled, given if method.uses_unlabeled else None, iteration)

    def test_it_says_which_pseudo_labels_it_keeps(self) -> None:
        method = self.make()
        train(method, 0, WARM_UP + 1)
        kept = method.kept(torch.rand(50))
        assert (kept.shape, kept.dtype) == ((50,), torch.bool)
        assert method.labeling in method.models

    # --- the networks ---------------------------------------------------------------------------------------

    def test_networks_start_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And are the same objects from then on, whatever they are called."""
        started: list[int] = []
        start = self.method.start
        monkeypatch.setattr(self.method, "start", lambda method: (started.append(1), start(method)))
        method = self.make()
        train(method, 0, WARM_UP)
        assert not started
        train(method, WARM_UP, WARM_UP + 1)
        networks = dict(method.models)
        train(method, WARM_UP + 1, 7)
        assert len(started) == (1 if method.uses_unlabeled else 0)
        assert list(method.models) == list(networks)
        assert all(method.models[name] is network for name, network in networks.items())

    def test_the_headline_is_scored_once_it_is_there(self) -> None:
        method = self.make()
        assert method.headline in method.scored
        train(method, 0, WARM_UP)
        assert method.headline_network() == ("student", method.networks()["student"])
        train(method, WARM_UP, WARM_UP + 1)
        assert method.headline_network() == (method.headline, method.networks()[method.headline])
        assert set(method.networks()) == {name for name in method.scored if name in method.models}

    @pytest.mark.parametrize(("saved_at", "optimizer"), [(1, "sgd"), (WARM_UP, "sgd"), (4, "sgd"), (4, "adamw")])
    @pytest.mark.slow
    def test_a_loaded_state_goes_on_bit_for_bit(self, saved_at: int, optimizer: str) -> None:
        """Before, at and after the end of the warm-up, dropout on."""
        schedule = {"optimizer": optimizer}
        undisturbed = self.make(schedule=schedule)
        first = train(undisturbed, 0, saved_at)
        state = through_a_file(undisturbed.state_dict())
        assert set(state) == {"networks", "optimizers"}
        rest = train(undisturbed, saved_at, 7)
        resumed = self.make(schedule=schedule)
        if saved_at == 1:
            train(resumed, 0, 3)  # loading must also forget what came after
        resumed.load_state_dict(state)
        assert train(resumed, saved_at, 7) == rest
        assert same(resumed.state_dict(), undisturbed.state_dict())
        assert first[0] != rest[0]

    def test_warm_up_is_supervised_training(self) -> None:
        method, supervised = self.make(), make_method("supervised")
        for own, expected in zip(train(method, 0, WARM_UP), train(supervised, 0, WARM_UP), strict=True):
            assert own["loss/supervised"] == expected["loss/supervised"]
        assert same(method.networks()["student"].state_dict(), supervised.networks()["student"].state_dict())
        own, expected = (m.state_dict()["optimizers"]["student"] for m in (method, supervised))
        assert same(own, expected)

    def test_every_optimizer_follows_poly(self) -> None:
        method = self.make()
        for iteration in range(5):
            train(method, iteration, iteration + 1)
            method.load_state_dict(through_a_file(method.state_dict()))  # a resumed lr must not decay twice
            expected = 0.05 * (1 - iteration / 20) ** 0.9
            for optimizer in method.optimizers.values():
                assert [group["lr"] for group in optimizer.param_groups] == [expected, 2 * expected]

    def test_groups_of_learning_rates_hold_every_parameter_once(self) -> None:
        method = self.make()
        student = method.networks()["student"]
        encoder, rest = method.optimizers["student"].param_groups
        assert {id(p) for p in encoder["params"]} == {id(p) for p in student.encoder.parameters()}  # type: ignore[operator, union-attr]
        assert len(encoder["params"]) + len(rest["params"]) == len(list(student.parameters()))

    def test_bf16_trains(self) -> None:
        method = self.make(precision="bf16")
        values = train(method, 0, 4)
        assert all(torch.isfinite(torch.tensor(list(step.values()))).all() for step in values)
        assert all(p.dtype == torch.float32 for p in method.headline_network()[1].parameters())

    def test_auxiliary_head_trains(self) -> None:
        method = self.make(model={"auxiliary": True})
        before = method.networks()["student"].auxiliary[0].weight.clone()  # type: ignore[index, union-attr]
        train(method, 0, 4)
        assert not torch.equal(before, method.networks()["student"].auxiliary[0].weight)  # type: ignore[index, union-attr]

    def test_a_checkpoint_of_another_model_is_refused(self) -> None:
        method = self.make()
        train(method, 0, WARM_UP + 1)
        with pytest.raises(UserError, match="another model"):
            self.make(model={"width": 8}).load_state_dict(method.state_dict())


class TeacherContract(MethodContract):
    """Of a method with a teacher: an EMA of the student, which is the headline."""

    passes: ClassVar[int] = 1  # of the student in training mode in a step after the warm-up

    def test_teacher_appears_after_the_warm_up_and_is_the_headline(self) -> None:
        method = self.make()
        assert (method.teacher, method.headline, method.labeling) == (True, "teacher", "teacher")
        train(method, 0, WARM_UP)
        assert set(method.networks()) == {"student"}
        train(method, WARM_UP, WARM_UP + 1)
        assert set(method.networks()) == {"student", "teacher"}

    def test_teacher_starts_as_a_copy_with_buffers(self) -> None:
        method = self.make()
        train(method, 0, WARM_UP)
        method.end_warm_up()
        student, teacher = method.networks().values()
        assert same(student.state_dict(), teacher.state_dict())
        assert "running_mean" in "".join(teacher.state_dict())

    def test_teacher_is_the_ramped_ema_of_the_student(self) -> None:
        """Over parameters; decay 0, 1/2, 2/3 ... up to the cap 0.9 from the end of the warm-up on."""
        method = self.make(schedule={"ema_decay": 0.6})
        train(method, 0, 3)
        student, teacher = method.networks().values()
        expected = [p.detach().clone() for p in student.parameters()]
        for iteration, decay in ((3, 0.5), (4, 0.6), (5, 0.6)):
            train(method, iteration, iteration + 1)
            expected = [decay * e + (1 - decay) * p for e, p in zip(expected, student.parameters(), strict=True)]
            for e, p in zip(expected, teacher.parameters(), strict=True):
                assert torch.allclose(e, p, atol=1e-7)

    def test_no_warm_up_begins_with_copies_of_the_initial_student(self) -> None:
        method = self.make(schedule={"warm_up": 0})
        initial = through_a_file(method.state_dict())["networks"]["student"]
        copied = self.make(schedule={"warm_up": 0})
        copied.end_warm_up()
        assert same(copied.networks()["teacher"].state_dict(), initial)
        assert "loss/unsupervised" in train(method, 0, 1)[0]

    def test_teacher_has_no_optimizer_and_no_gradient(self) -> None:
        method = self.make()
        train(method, 0, 4)
        assert "teacher" not in method.optimizers
        assert all(p.grad is None and not p.requires_grad for p in method.networks()["teacher"].parameters())

    def test_dropping_every_pseudo_label_leaves_supervised_loss_alone(self) -> None:
        """All padding: no pseudo-label is left, and nothing is nan."""
        method = self.make()
        train(method, 0, WARM_UP)
        images, everywhere = torch.randn(4, 3, 24, 24), torch.ones(4, 24, 24, dtype=torch.bool)
        labeled = Labeled(images, torch.zeros(4, 24, 24, dtype=torch.long))
        values = method.step(labeled, Unlabeled(images, images, everywhere, strong2=images), WARM_UP)
        assert values["loss/unsupervised"] == 0
        assert torch.isfinite(values["loss/supervised"])
        assert all(torch.isfinite(p).all() for p in method.headline_network()[1].parameters())

    def test_batchnorm_sees_as_many_batches_as_it_says(self) -> None:
        """Training forwards of the student a step, by the counter of its BatchNorm: one, of labeled and unlabeled."""
        method = self.make()
        train(method, 0, 5)
        norm = next(m for m in method.networks()["student"].modules() if isinstance(m, nn.BatchNorm2d))
        assert norm.num_batches_tracked == WARM_UP + 3 * self.passes
