"""The work of a step by hand, and the share of a device's rates that a time makes of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.roofline import Rates, Work, rates_of, work_of
from gta.ops.optim import SGD, ema_update

FLOAT = 4


def test_a_product_both_ways_reads_and_writes_each_matrix_once() -> None:
    weight, x = torch.randn(8, 5, requires_grad=True), torch.randn(3, 8)
    found = work_of(lambda: (x @ weight).relu().sum().backward())
    matrices = 3 * 8 + 8 * 5 + 3 * 5
    assert found == Work(flops=2 * (2 * 3 * 8 * 5), bytes=2 * FLOAT * matrices)


def test_a_convolution_by_hand() -> None:
    layer, x = nn.Conv2d(3, 4, 3, padding=1, bias=False), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        found = work_of(lambda: layer(x))
    assert found.flops == 2 * 2 * 4 * 8 * 8 * 3 * 9
    assert found.bytes == FLOAT * (2 * 3 * 64 + 4 * 3 * 9 + 2 * 4 * 64)


def test_optimizers_and_averages_move_weights() -> None:
    weight = nn.Parameter(torch.randn(100))
    optimizer = SGD([weight], lr=0.1, momentum=0.9, fused=True)
    weight.grad = torch.randn(100)
    optimizer.step()  # makes the momenta
    assert work_of(optimizer.step) == Work(0, FLOAT * 100 * 5), "weight and momentum both ways, the gradient read"
    target = torch.zeros(100)
    assert work_of(lambda: ema_update([target], [weight.detach()], 0.9)) == Work(0, FLOAT * 100 * 3)


def test_shares_are_percent_of_the_devices_rates() -> None:
    arithmetic, moved = Rates(1e12, 1e11, "by hand").shares(Work(5 * 10**11, 10**10), seconds=2.0)
    assert (arithmetic, moved) == pytest.approx((25.0, 5.0))


def test_an_unknown_device_is_measured() -> None:
    rates = rates_of(torch.device("cpu"), "fp32")
    assert rates.source == "a product of matrices and a copy, measured here"
    assert 1e8 < rates.flops < 1e14
    assert 1e7 < rates.bytes < 1e13
