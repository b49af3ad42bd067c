"""Without BatchNorm it is all one whether labeled and unlabeled images pass the student as one batch or apart."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from gta.methods import METHODS
from tests.helpers.methods import make_batch, make_method


def known(name: str) -> set[str]:
    """The method's settings."""
    return {field.name for field in fields(METHODS[name].Config)}


JOINED = [name for name in METHODS if "joint_batches" in known(name)]


@pytest.mark.parametrize("name", JOINED)
def test_one_pass_or_several_are_one_step(name: str) -> None:
    """UniMatch drops no features here: it draws for labeled ones too where these pass beside the weak view."""
    settings: dict[str, float] = {"threshold": 0.3} if "threshold" in known(name) and name != "mean_teacher" else {}
    settings |= {"feature_dropout": 0.0} if "feature_dropout" in known(name) else {}
    ends = []
    for joint in (True, False):
        method = make_method(
            name, {"dropout": 0.0}, {"warm_up": 1}, dtype=torch.float64, dpt="output", joint_batches=joint, **settings
        )
        values = []
        for iteration in range(3):
            labeled, unlabeled = make_batch(iteration)
            labeled.image, unlabeled.weak = labeled.image.double(), unlabeled.weak.double()
            assert unlabeled.strong is not None
            assert unlabeled.strong2 is not None
            unlabeled.strong, unlabeled.strong2 = unlabeled.strong.double(), unlabeled.strong2.double()
            values.append({key: float(value) for key, value in method.step(labeled, unlabeled, iteration).items()})
        ends.append((values, method.networks()["student"].state_dict()))
    (together, one), (apart, other) = ends
    for mine, theirs in zip(together, apart, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-12)
    assert any(values.get("loss/unsupervised", values.get("loss/assistant", 1.0)) > 0 for values in together[1:])
    for key, tensor in one.items():
        torch.testing.assert_close(tensor, other[key], rtol=1e-9, atol=1e-12)


def test_there_are_such_methods() -> None:
    assert {"mean_teacher", "fixmatch", "unimatch", "unimatch_v2", "cps", "gta"} <= set(JOINED)
