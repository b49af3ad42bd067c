"""Percentiles and ranks as a GPU takes them, by sorting, are those of a CPU, by selecting: bit for bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gta.ops import quantiles
from gta.ops.losses import ohem_cross_entropy, weighted_cross_entropy


def example(count: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Values with ties, and which of them count."""
    generator = torch.Generator().manual_seed(count)
    values = torch.rand(count, generator=generator, dtype=dtype)
    values[::3] = values[0]
    return values, torch.rand(count, generator=generator) < 0.7


def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantiles, "_on_host", lambda values: False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 2, 7, 1001])
def test_both_ways_give_the_same_bits(count: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    values, counted = example(count, dtype)
    counted[0] = True
    percents, ranks = (0.0, 12.5, 33.3, 80.0, 100.0), (1, 2, count, 5 * count)
    selected = [quantiles.percentile_of(values, counted, percent) for percent in percents]
    selected += [quantiles.smallest_of(values, counted, rank) for rank in ranks]
    as_on_a_gpu(monkeypatch)
    ordered = [quantiles.percentile_of(values, counted, percent) for percent in percents]
    ordered += [quantiles.smallest_of(values, counted, rank) for rank in ranks]
    assert [value.item() for value in ordered] == [value.item() for value in selected]
    assert ordered[0] == values[counted].min()
    assert all(value.shape == () and value.dtype == dtype for value in ordered + selected)


def test_a_group_of_padding_alone_costs_nothing_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, mask = torch.randn(2, 3, 4, 4), torch.full((2, 4, 4), 255)
    mask[1] = 1

    def losses() -> list[float]:
        unsupervised, kept = weighted_cross_entropy(logits, mask, torch.rand_like(logits[:, 0]).round(), 1, 80.0)
        return [value.item() for value in (unsupervised, kept, ohem_cross_entropy(logits, mask, 1, 0.5, 3))]

    torch.manual_seed(0)
    here = losses()
    as_on_a_gpu(monkeypatch)
    torch.manual_seed(0)
    assert losses() == here
    assert here[2] > 0
