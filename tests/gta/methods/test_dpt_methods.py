"""Every method over a vision transformer with DPT: it trains, resumes, and keeps what it says of its parts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gta.methods import METHODS
from gta.ops.batch import Labeled
from tests.helpers.method_contract import same, through_a_file
from tests.helpers.methods import SCHEDULE, doubles, make_batch, make_method, train

WARM_UP = SCHEDULE["warm_up"]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_over_it_and_goes_on_bit_for_bit(name: str) -> None:
    method = make_method(name, dpt="output")
    values = train(method, 0, WARM_UP + 1)
    assert set(values[-1]) == set(method.reports)
    state = through_a_file(method.state_dict())
    rest = train(method, WARM_UP + 1, WARM_UP + 2)
    assert all(torch.isfinite(torch.tensor(list(step.values()))).all() for step in [*values, *rest])
    student = method.networks()["student"]
    before = state["networks"]["student"]
    moved = {key for key, tensor in student.state_dict().items() if not torch.equal(tensor, before[key])}
    assert moved == {key for key, p in student.named_parameters() if p.requires_grad}
    resumed = make_method(name, dpt="output")
    resumed.load_state_dict(state)
    assert train(resumed, WARM_UP + 1, WARM_UP + 2) == rest
    assert same(resumed.state_dict(), method.state_dict())


def steps(name: str, schedule: dict[str, Any] | None = None, **config: Any) -> tuple[list[dict[str, Tensor]], Any]:
    """Two steps after the warm-up, in float64, and the student's weights behind them."""
    method = make_method(name, dpt="output", dtype=torch.float64, schedule=schedule, **config)
    values = []
    for iteration in range(WARM_UP, WARM_UP + 2):
        values.append(method.step(*doubles(*make_batch(iteration)), iteration))
    return values, method.networks()["student"].state_dict()


@pytest.mark.parametrize("name", ["gta", "mean_teacher", "fixmatch", "unimatch", "unimatch_v2", "cps"])
def test_without_batchnorm_one_pass_or_several_are_alike(name: str) -> None:
    """UniMatch's dropped planes aside, whose draws are those of the pass that they are drawn in."""
    dropped = {"unimatch": {"feature_dropout": 0.0}}.get(name, {})
    threshold = {} if name in ("gta", "mean_teacher", "cps") else {"threshold": 0.0}
    (one, network), (other, second) = (
        steps(name, joint_batches=joint, **threshold, **dropped) for joint in (True, False)
    )
    for a, b in zip(one, other, strict=True):
        for key in a:
            assert a[key].item() == pytest.approx(b[key].item(), rel=1e-9), key
    assert network.keys() == second.keys()
    assert all(torch.allclose(tensor, second[key], rtol=1e-9, atol=1e-11) for key, tensor in network.items())


def test_without_batchnorm_a_batch_in_parts_learns_the_same() -> None:
    (one, network), (other, second) = (steps("unimatch_v2", {"accumulate": parts}, threshold=0.0) for parts in (1, 2))
    assert [step["loss/unsupervised"].item() for step in one] == pytest.approx(
        [step["loss/unsupervised"].item() for step in other], rel=1e-9
    )
    assert all(torch.allclose(tensor, second[key], rtol=1e-9, atol=1e-11) for key, tensor in network.items())


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        ("classifier", ["classifier"]),
        ("output", ["output", "classifier"]),
        ("fusion", ["fusion1", "output", "classifier"]),
        ("decoder", ["reassemble", "fusion4", "fusion3", "fusion2", "fusion1", "output", "classifier"]),
    ],
)
def test_the_student_of_gta_takes_over_all_before_the_cut(cut: str, kept: list[str]) -> None:
    """At the first step after the warm-up alpha is 0: the student's feature extractor becomes the assistant's."""
    method = make_method("gta", dpt=cut)
    train(method, 0, WARM_UP)
    method.end_warm_up()
    assistant, student = method.models["assistant"], method.networks()["student"]
    with torch.no_grad():
        for parameter in assistant.parameters():
            parameter.add_(1.0)
    method.transfer(WARM_UP)  # type: ignore[attr-defined]
    theirs = assistant.state_dict()
    taken = {key for key, tensor in student.state_dict().items() if torch.equal(tensor, theirs[key])}
    others = set(theirs) - taken
    assert {key.split(".")[0] for key in taken} == {"feature_extractor"}
    assert {key.split(".")[0] for key in others} == {"mask_predictor"}
    assert list(dict.fromkeys(key.split(".")[1] for key in theirs if key in others)) == kept


def test_the_four_taps_of_a_view_lose_the_same_planes() -> None:
    """And the other view of that image loses those that it keeps; half of a group's images keep all."""
    method = make_method("unimatch_v2", dpt="output")
    encoder = method.networks()["student"].encoder
    images = torch.randn(4, 3, 24, 24)
    plain = [x.detach() for x in encoder(images)]  # type: ignore[operator]
    method.draws = type(method.draws)(0, 5, method.schedule, [Labeled(images, images[:, 0])])
    with method.complements(8), method.draws.of_pass("student"):  # type: ignore[attr-defined]
        dropped = [x.detach() for x in encoder(torch.cat([images, images]))]  # type: ignore[operator]
    factors = [torch.stack([(lost / kept).mean((1, 2)) for lost, kept in zip(x, torch.cat([y, y]), strict=True)])
               for x, y in zip(dropped, plain, strict=True)]  # fmt: skip
    for found in factors:
        assert torch.allclose(found, factors[0], atol=1e-4)
    first, second = factors[0].round().split(4)
    assert torch.equal(first + second, torch.full_like(first, 2.0))
    whole = (first == 1).all(1)
    assert whole.view(2, 2).sum(1).tolist() == [1, 1]
    assert set(first[~whole].flatten().tolist()) == {0.0, 2.0}
