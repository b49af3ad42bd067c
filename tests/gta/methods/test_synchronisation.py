"""A step does not wait for its device: nothing in it is read back, nor has a size that only the device knows.

On a CPU the operations that would wait are looked for as they go by, on the paths that a GPU takes; on a GPU PyTorch
itself refuses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from gta.methods import METHODS, Method
from gta.ops import quantiles
from tests.helpers.methods import SCHEDULE, make_batch, make_method
from tests.helpers.waits import Watched

WARM_UP = SCHEDULE["warm_up"]
# U2PL draws anchors and negatives by NumPy, which has to know how many there are; all other methods wait for nothing.
WAITS = "u2pl"
SCHEDULES: dict[str, dict[str, Any]] = {
    "plain": {},
    "parts, hard pixels, adamw": {
        "accumulate": 2,
        "ohem_threshold": 0.3,
        "ohem_min_kept": 50,
        "optimizer": "adamw",
        "lr_schedule": "cosine",
    },
}


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantiles, "_on_host", lambda values: False)


def made(name: str, schedule: str, **special: Any) -> Method:
    """Past its warm-up."""
    ranks = {"low_rank": 1, "high_rank": 4} if name == WAITS else {}
    method = make_method(
        name, model={"dropout": 0.2, "auxiliary": True}, schedule=SCHEDULES[schedule], **special, **ranks
    )
    method.end_warm_up()
    return method


def waits(method: Method, iteration: int) -> dict[str, int]:
    batch = make_batch(iteration)
    with Watched() as watched:
        method.step(*batch, iteration)
    return dict(watched.found)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", METHODS)
def test_nothing_in_a_step_waits(name: str, schedule: str, as_on_a_gpu: None) -> None:
    method = made(name, schedule)
    assert waits(method, 0) == {}, "of the warm-up"
    after = waits(method, WARM_UP)
    if name != WAITS:
        assert after == {}
        return
    groups, looks = 2, sum(waits(method, WARM_UP + 1).values())
    assert 0 < looks < 12 * groups, "a few for each group, and not for each class"


def test_what_waits_is_found(as_on_a_gpu: None) -> None:
    values = torch.rand(5, requires_grad=True)

    def waiting() -> Iterator[object]:
        yield values.sum().item()
        yield bool(values.sum() > 0)
        yield values[values > 0.5]
        yield values[values > 0.5].sum().backward()
        yield (values > 0.5).nonzero()
        yield values.unique()
        yield torch.arange(3).repeat_interleave(torch.tensor([1, 2, 0]))

    steps, count = waiting(), 0
    with Watched() as watched:
        for _ in steps:
            assert sum(watched.found.values()) > count
            count = sum(watched.found.values())
        quantiles.percentile_of(values.detach(), values > 0.5, 30.0)
    assert sum(watched.found.values()) == count


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", [name for name in METHODS if name != WAITS])
def test_pytorch_sees_no_step_wait_for_a_gpu(name: str, precision: str) -> None:
    method = made(name, "plain", precision=precision, device="cuda")

    def on_gpu(iteration: int) -> tuple[Any, Any]:
        labeled, unlabeled = make_batch(iteration)
        return labeled.to("cuda"), unlabeled.to("cuda")

    for iteration in (0, WARM_UP):  # kernels are chosen, states are made
        method.step(*on_gpu(iteration), iteration)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        values: dict[str, Tensor] = method.step(*on_gpu(WARM_UP + 1), WARM_UP + 1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(torch.isfinite(value) for value in values.values())
