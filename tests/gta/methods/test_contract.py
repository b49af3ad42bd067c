"""Every method keeps to the contract, also one that starts a network of another name; what is wrong is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from gta.config import MethodConfig
from gta.errors import UserError
from gta.fields import result
from gta.methods import METHODS, Method
from gta.methods.augseg import AugSeg
from gta.methods.cps import CPS
from gta.methods.cutmix import CutMix
from gta.methods.fixmatch import FixMatch
from gta.methods.fully_supervised import FullySupervised
from gta.methods.gta import GTA
from gta.methods.mean_teacher import MeanTeacher
from gta.methods.student_teacher import StudentTeacher
from gta.methods.supervised import Supervised
from gta.methods.u2pl import U2PL
from gta.methods.unimatch import UniMatch
from gta.methods.unimatch_v2 import UniMatchV2
from gta.ops.batch import Labeled, Part, Unlabeled
from gta.ops.losses import cross_entropy
from tests.helpers.method_contract import MethodContract, TeacherContract, same
from tests.helpers.methods import make_method
from tests.helpers.methods import train as run_steps

Make = Callable[..., Method]
Run = Callable[[Method, int, int], list[dict[str, float]]]


class TestSupervised(MethodContract):
    method = Supervised


class TestFullySupervised(MethodContract):
    method = FullySupervised


class TestMeanTeacher(TeacherContract):
    method = MeanTeacher

    def test_dropping_every_pseudo_label_leaves_supervised_loss_alone(self) -> None:
        make = self.make
        self.make = lambda **changes: make(on_labeled=False, **changes)  # type: ignore[method-assign]
        super().test_dropping_every_pseudo_label_leaves_supervised_loss_alone()


class TestCutMix(TeacherContract):
    method = CutMix
    passes = 2  # labeled images, then mixed ones


class TestFixMatch(MethodContract):
    method = FixMatch


class TestUniMatch(MethodContract):
    method = UniMatch


class TestUniMatchV2(TeacherContract):
    method = UniMatchV2
    passes = 2  # labeled images, then strong ones

    def make(self, **changes: Any) -> Method:
        cap = changes.get("schedule", {}).get("ema_decay", 0.9)  # the contract sets it there
        return super().make(**{"teacher_decay": cap, **changes})


class TestAugSeg(TeacherContract):
    method = AugSeg

    def make(self, **changes: Any) -> Method:
        cap = changes.get("schedule", {}).get("ema_decay", 0.9)  # the contract sets it there
        return super().make(**{"teacher_decay": cap, **changes})

    def test_dropping_every_pseudo_label_leaves_supervised_loss_alone(self) -> None:
        """Without labeled boxes, whose labels are learned as well."""
        make = self.make
        self.make = lambda **changes: make(label_injection=False, **changes)  # type: ignore[method-assign]
        super().test_dropping_every_pseudo_label_leaves_supervised_loss_alone()


class TestU2PL(TeacherContract):
    method = U2PL


class TestCPS(MethodContract):
    method = CPS


class TestCPSWithoutCutMix(TestCPS):
    def make(self, **changes: Any) -> Method:
        return super().make(**{"cutmix": False, **changes})


class TestStudentTeacher(TeacherContract):
    method = StudentTeacher


class TestGTA(TeacherContract):
    method = GTA


@dataclass(frozen=True, kw_only=True)
class AssistedConfig(MethodConfig):
    name: str = result("assisted", "A method of this test.")


class Assisted(Method):
    """The student labels, an assistant that starts after the warm-up learns it, and is scored. There is no teacher."""

    Config = AssistedConfig
    uses_unlabeled = True
    scored = ("student", "assistant")
    headline = "assistant"
    reports = ("loss/supervised", "loss/unsupervised")

    def start(self) -> None:
        assistant = self.copy_of_student()
        assistant.auxiliary = None
        self.add("assistant", assistant, trained=True)

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        unlabeled = self.update("assistant", self.assistant_loss, parts)
        return self.supervised_step([labeled for labeled, _ in parts]) | unlabeled

    def assistant_loss(self, labeled: Labeled, unlabeled: Unlabeled) -> tuple[Tensor, dict[str, Tensor]]:
        pseudo, _ = self.pseudo_labels(unlabeled)
        loss = cross_entropy(self.forward("assistant", unlabeled.weak), pseudo, self.schedule.group_size)
        return loss, {"loss/unsupervised": loss}


class TestANetworkOfAnotherName(MethodContract):
    method = Assisted

    def test_the_assistant_learns_from_step_to_step(self) -> None:
        """It was built anew in each step, once: then its momentum would be empty, and it a step from the student."""
        method = self.make()
        run_steps(method, 0, 6)
        begun = self.make()
        begun.load_state_dict(method.state_dict())
        begun.models["assistant"].load_state_dict(begun.models["student"].state_dict())
        assert not same(begun.models["assistant"].state_dict(), method.models["assistant"].state_dict())
        assert all("momentum_buffer" in kept for kept in method.optimizers["assistant"].state.values())


def test_a_headline_that_never_starts_is_said_at_once() -> None:
    class Forgetful(MeanTeacher):
        teacher = False

    method = make_method(Forgetful)
    with pytest.raises(AssertionError, match="Forgetful: its headline teacher never starts"):
        run_steps(method, 0, 3)


def test_every_method_is_held_to_the_contract() -> None:
    held = {found.method for found in (*MethodContract.__subclasses__(), *TeacherContract.__subclasses__())
            if hasattr(found, "method")}  # fmt: skip
    assert set(METHODS.values()) <= held
    assert {key: method.Config.name for key, method in METHODS.items()} == {key: key for key in METHODS}


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
        ("cps", {"cutmix_boxes": "four"}),
        ("unimatch", {"cutmix_boxes": "half"}),
        ("augseg", {"padding": "as_public_code"}),
    ],
)
def test_wrong_settings_are_user_errors(name: str, wrong: dict[str, Any], make: Make) -> None:
    with pytest.raises(UserError, match=f"method.{next(iter(wrong))}"):
        make(name, **wrong)


def test_a_wrong_precision_is_a_user_error(make: Make) -> None:
    with pytest.raises(UserError, match="precision"):
        make("supervised", precision="fp8")
