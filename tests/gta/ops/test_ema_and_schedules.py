"""The EMA's ramp and update, and the poly factor."""

from __future__ import annotations

import pytest
import torch

from gta.config import ScheduleConfig
from gta.ops.optim import ema_update, encoder_lr, lr_factor, optimizer_of, poly, ramped_decay


def test_the_ramp_starts_as_a_copy_and_stops_at_the_cap() -> None:
    assert [ramped_decay(k, 0.999) for k in (0, 1, 3)] == [0.0, 0.5, 0.75]
    assert ramped_decay(997, 0.999) < 0.999
    assert ramped_decay(5000, 0.999) == 0.999
    assert ramped_decay(5000, 0.5) == 0.5


def test_update_mixes_in_place_and_leaves_the_source() -> None:
    target, source = [torch.tensor([1.0, 2.0]), torch.tensor(4.0)], [torch.tensor([3.0, 2.0]), torch.tensor(0.0)]
    first = target[0]
    ema_update(target, source, 0.75)
    assert target[0] is first
    assert target[0].tolist() == [1.5, 2.0]
    assert target[1].item() == 3.0
    assert source[0].tolist() == [3.0, 2.0]


def test_decay_zero_is_an_exact_copy_of_its_own() -> None:
    target, source = torch.randn(100), torch.randn(100)
    ema_update([target], [source], 0.0)
    assert torch.equal(target, source)
    source += 1
    assert not torch.equal(target, source)


def test_networks_of_different_shape_are_refused() -> None:
    with pytest.raises(AssertionError):
        ema_update([torch.zeros(1)], [torch.zeros(1), torch.zeros(1)], 0.5)


def test_poly() -> None:
    assert poly(0, 100, 0.9) == 1.0
    assert poly(100, 100, 0.9) == 0.0
    assert poly(50, 100, 0.9) == pytest.approx(0.5**0.9)
    assert poly(50, 100, 1.0) == 0.5


def schedule(**changes: object) -> ScheduleConfig:
    given = {"iterations": 100, "batch_size": 2, "group_size": 2, "lr": 0.02, "eval_every": 100, **changes}
    return ScheduleConfig(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "factors"),
    [
        ({}, {0: 1.0, 50: 0.5**0.9, 99: 0.01**0.9}),
        ({"power": 1.0}, {0: 1.0, 50: 0.5, 99: 0.01}),
        ({"lr_schedule": "constant"}, {0: 1.0, 50: 1.0, 99: 1.0}),
        ({"lr_schedule": "cosine"}, {0: 1.0, 25: (1 + 0.5**0.5) / 2, 50: 0.5, 75: (1 - 0.5**0.5) / 2}),
        ({"lr_schedule": "constant", "lr_warm_up": 10}, {0: 0.1, 8: 0.9, 9: 1.0, 10: 1.0, 99: 1.0}),
        ({"power": 1.0, "lr_warm_up": 10}, {0: 0.1, 4: 0.5 * 0.96, 10: 0.9, 50: 0.5}),
    ],
    ids=str,
)
def test_the_learning_rate_by_iteration(changes: dict[str, object], factors: dict[int, float]) -> None:
    made = schedule(**changes)
    for iteration, factor in factors.items():
        assert lr_factor(made, iteration) == pytest.approx(factor, abs=1e-12)
        assert encoder_lr(made, iteration) == pytest.approx(0.02 * factor, abs=1e-12)


def test_adamw_is_that_of_the_paper() -> None:
    """Loshchilov and Hutter, algorithm 2, in plain numbers: the decay beside the gradient, all parameters alike."""
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    mine = [torch.nn.Parameter(weights.clone()), torch.nn.Parameter(weights.clone())]
    made = schedule(optimizer="adamw", weight_decay=0.1, lr=0.02)
    optimizer = optimizer_of(mine[:1], mine[1:], made)
    optimizer.param_groups[1]["lr"] = 0.2
    expected = [[*weights.tolist()] for _ in mine]
    moments = [[(0.0, 0.0)] * 3 for _ in mine]
    for step in range(1, 6):
        for parameter in mine:
            parameter.grad = parameter.detach() ** 2 - step
        for values, sums, lr in zip(expected, moments, (0.02, 0.2), strict=True):
            for i, value in enumerate(values):
                gradient = value**2 - step
                first, second = 0.9 * sums[i][0] + 0.1 * gradient, 0.999 * sums[i][1] + 0.001 * gradient**2
                sums[i] = first, second
                ratio = first / (1 - 0.9**step) / ((second / (1 - 0.999**step)) ** 0.5 + 1e-8)
                values[i] = value - lr * 0.1 * value - lr * ratio
        optimizer.step()
    for parameter, values in zip(mine, expected, strict=True):
        assert parameter.tolist() == pytest.approx(values, rel=1e-12)
