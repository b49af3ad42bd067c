"""What every method keeps to, whatever it does: the trainer relies on it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from gta.errors import UserError
from gta.fields import describe
from gta.methods import METHODS, Method

Make = Callable[..., Method]
Run = Callable[[Method, int, int], list[dict[str, float]]]
WITH_TEACHER = [name for name in METHODS if METHODS[name].headline == "teacher"]


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


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_values_are_finite_and_the_networks_move(self, name: str, make: Make, run: Run) -> None:
        method = make(name)
        before = through_a_file(method.state_dict())
        values = run(method, 0, 4)
        assert all(torch.isfinite(torch.tensor(list(step.values()))).all() for step in values)
        assert all("loss/supervised" in step for step in values)
        assert not same(before, method.state_dict())

    def test_values_carry_no_gradient(self, name: str, make: Make, batch: Callable[..., Any]) -> None:
        method = make(name)
        for iteration in (0, 2):
            for value in method.step(*batch(iteration), iteration).values():
                assert not value.requires_grad
                assert value.dim() == 0

    @pytest.mark.parametrize("saved_at", [1, 4])
    def test_a_loaded_state_goes_on_bit_for_bit(self, name: str, saved_at: int, make: Make, run: Run) -> None:
        """Before and after the warm-up (2 steps), dropout on."""
        undisturbed = make(name)
        first = run(undisturbed, 0, saved_at)
        state = through_a_file(undisturbed.state_dict())
        rest = run(undisturbed, saved_at, 7)
        resumed = make(name)
        if saved_at == 1:
            run(resumed, 0, 3)  # loading must also forget what came after
        resumed.load_state_dict(state)
        assert run(resumed, saved_at, 7) == rest
        assert same(resumed.state_dict(), undisturbed.state_dict())
        assert first[0] != rest[0]

    def test_warm_up_is_supervised_training(self, name: str, make: Make, run: Run) -> None:
        method, supervised = make(name), make("supervised")
        for own, expected in zip(run(method, 0, 2), run(supervised, 0, 2), strict=True):
            assert own["loss/supervised"] == expected["loss/supervised"]
        assert same(method.networks()["student"].state_dict(), supervised.networks()["student"].state_dict())
        own, expected = (m.state_dict()["optimizers"]["student"] for m in (method, supervised))
        assert same(own, expected)

    def test_every_optimizer_follows_poly(self, name: str, make: Make, run: Run) -> None:
        method = make(name)
        for iteration in range(5):
            run(method, iteration, iteration + 1)
            method.load_state_dict(through_a_file(method.state_dict()))  # a resumed lr must not decay twice
            expected = 0.05 * (1 - iteration / 20) ** 0.9
            for optimizer in method.optimizers.values():
                assert [group["lr"] for group in optimizer.param_groups] == [expected, 2 * expected]

    def test_bf16_trains(self, name: str, make: Make, run: Run) -> None:
        method = make(name, precision="bf16")
        values = run(method, 0, 4)
        assert all(torch.isfinite(torch.tensor(list(step.values()))).all() for step in values)
        assert all(p.dtype == torch.float32 for p in method.headline_network()[1].parameters())

    def test_auxiliary_head_trains(self, name: str, make: Make, run: Run) -> None:
        method = make(name, model={"auxiliary": True})
        before = method.networks()["student"].auxiliary[0].weight.clone()
        run(method, 0, 4)
        assert not torch.equal(before, method.networks()["student"].auxiliary[0].weight)

    def test_a_checkpoint_of_another_model_is_refused(self, name: str, make: Make, run: Run) -> None:
        method = make(name)
        run(method, 0, 3)
        with pytest.raises(UserError, match="another model"):
            make(name, model={"width": 8}).load_state_dict(method.state_dict())

    def test_config_names_the_method_and_explains_its_fields(self, name: str, make: Make) -> None:
        config = METHODS[name].Config
        assert config().name == name
        assert all(row["help"] for row in describe(config).values())

    def test_groups_of_learning_rates_hold_every_parameter_once(self, name: str, make: Make) -> None:
        method = make(name)
        student = method.networks()["student"]
        encoder, rest = method.optimizers["student"].param_groups
        assert {id(p) for p in encoder["params"]} == {id(p) for p in student.encoder.parameters()}
        assert len(encoder["params"]) + len(rest["params"]) == len(list(student.parameters()))


@pytest.mark.parametrize("name", WITH_TEACHER)
class TestEveryTeacher:
    def test_teacher_appears_after_the_warm_up_and_is_the_headline(self, name: str, make: Make, run: Run) -> None:
        method = make(name)
        run(method, 0, 2)
        assert set(method.networks()) == {"student"}
        assert method.headline_network()[1] is method.networks()["student"]
        run(method, 2, 3)
        assert set(method.networks()) == {"student", "teacher"}
        assert method.headline_network()[1] is method.networks()["teacher"]

    def test_teacher_starts_as_a_copy_with_buffers(self, name: str, make: Make, run: Run) -> None:
        method = make(name)
        run(method, 0, 2)
        method.end_warm_up()
        student, teacher = method.networks().values()
        assert same(student.state_dict(), teacher.state_dict())
        assert "running_mean" in "".join(teacher.state_dict())

    def test_teacher_is_the_ramped_ema_of_the_student(self, name: str, make: Make, run: Run) -> None:
        """Over parameters; decay 0, 1/2, 2/3 ... up to the cap 0.9 from the end of the warm-up on."""
        method = make(name, schedule={"ema_decay": 0.6})
        run(method, 0, 3)
        student, teacher = method.networks().values()
        expected = [p.detach().clone() for p in student.parameters()]
        for iteration, decay in ((3, 0.5), (4, 0.6), (5, 0.6)):
            run(method, iteration, iteration + 1)
            expected = [decay * e + (1 - decay) * p for e, p in zip(expected, student.parameters(), strict=True)]
            for e, p in zip(expected, teacher.parameters(), strict=True):
                assert torch.allclose(e, p, atol=1e-7)

    def test_no_warm_up_begins_with_copies_of_the_initial_student(self, name: str, make: Make, run: Run) -> None:
        method = make(name, schedule={"warm_up": 0})
        initial = through_a_file(method.state_dict())["networks"]["student"]
        copied = make(name, schedule={"warm_up": 0})
        copied.end_warm_up()
        assert same(copied.networks()["teacher"].state_dict(), initial)
        assert "loss/unsupervised" in run(method, 0, 1)[0]

    def test_teacher_has_no_optimizer_and_no_gradient(self, name: str, make: Make, run: Run) -> None:
        method = make(name)
        run(method, 0, 4)
        assert "teacher" not in method.optimizers
        assert all(p.grad is None and not p.requires_grad for p in method.networks()["teacher"].parameters())

    def test_dropping_every_pseudo_label_leaves_supervised_loss_alone(self, name: str, make: Make, run: Run) -> None:
        """All padding: no pseudo-label is left, and nothing is nan."""
        method = make(name)
        run(method, 0, 2)
        values = method.step(*all_padding(), 2)
        assert values["loss/unsupervised"] == 0
        assert torch.isfinite(values["loss/supervised"])
        assert all(torch.isfinite(p).all() for p in method.headline_network()[1].parameters())


def all_padding() -> tuple[Any, Any]:
    from gta.ops.batch import Labeled, Unlabeled

    images = torch.randn(4, 3, 24, 24)
    everywhere = torch.ones(4, 24, 24, dtype=torch.bool)
    return Labeled(images, torch.zeros(4, 24, 24, dtype=torch.long)), Unlabeled(images, images, everywhere)


def test_a_checkpoint_of_another_method_is_refused(make: Make, run: Run) -> None:
    gta = make("gta")
    run(gta, 0, 3)
    with pytest.raises(UserError, match="another method"):
        make("mean_teacher").load_state_dict(gta.state_dict())
    with pytest.raises(UserError, match="another method"):
        make("supervised").load_state_dict(gta.state_dict())


def test_same_seed_same_initial_weights_whatever_was_drawn_before(make: Make) -> None:
    torch.manual_seed(5)
    one = make("gta").state_dict()
    torch.randn(3)
    state = torch.get_rng_state()
    other = make("supervised").state_dict()
    assert same(one, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("gta", {"weighting": "log"}),
        ("gta", {"drop_percent": 120.0}),
        ("gta", {"cutmix_probability": -0.1}),
        ("cutmix", {"cutmix_probability": 1.1}),
        ("mean_teacher", {"threshold": 95.0}),
        ("gta", {"transfer": "decoder"}),
        ("gta", {"confidence": "student"}),
        ("gta", {"teacher_decay": 1.5}),
        ("student_teacher", {"weighting": "log"}),
        ("unimatch", {"feature_dropout": 2.0}),
        ("fixmatch", {"threshold": -1.0}),
        ("cps", {"cutmix_probability": 3.0}),
    ],
)
def test_wrong_settings_are_user_errors(name: str, wrong: dict[str, Any], make: Make) -> None:
    with pytest.raises(UserError, match=f"method.{next(iter(wrong))}"):
        make(name, **wrong)


def test_a_wrong_precision_is_a_user_error(make: Make) -> None:
    with pytest.raises(UserError, match="precision"):
        make("supervised", precision="fp8")


def test_batchnorm_sees_labeled_and_unlabeled_as_one_batch(make: Make, run: Run) -> None:
    """One training forward of the student a step: the counter of its BatchNorm says so."""
    for name in WITH_TEACHER:
        method = make(name)
        run(method, 0, 5)
        norm = next(m for m in method.networks()["student"].modules() if isinstance(m, nn.BatchNorm2d))
        assert norm.num_batches_tracked == 5
