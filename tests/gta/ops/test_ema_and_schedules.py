"""The EMA's ramp and update, and the poly factor."""

from __future__ import annotations

import pytest
import torch

from gta.ops.optim import ema_update, poly, ramped_decay


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
