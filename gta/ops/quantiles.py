"""Percentiles and ranks of those values of a tensor that count, without waiting for a GPU.

How many values count is known on the device alone. On a CPU they are taken out and the rank is selected, which is four
times as fast as sorting them; on any other device that would stop the host until all work is done, so all values are
sorted, what does not count at the end, and the place is found there. Both give the same number, bit for bit.
"""

from __future__ import annotations

import torch
from torch import Tensor


def percentile(values: Tensor, percent: float) -> Tensor:
    """The percentile of a 1-d tensor with linear interpolation, as numpy defines it.

    By selection, not by sorting: several times as fast as torch.quantile, which also refuses large inputs.
    """
    position = (values.numel() - 1) * percent / 100.0
    below = int(position)
    low = values.kthvalue(below + 1).values
    if position == below:
        return low
    high = values.kthvalue(below + 2).values
    return low + (high - low) * (position - below)


def percentile_of(values: Tensor, counted: Tensor, percent: float) -> Tensor:
    """The percentile, a scalar tensor, of the values where `counted` (bool, of one shape) holds.

    Where it holds nowhere, a number without a meaning.
    """
    if _on_host(values):
        chosen = values[counted]
        return percentile(chosen, percent) if chosen.numel() else values.new_zeros(())
    ordered, number = _ordered(values, counted)
    # A GPU divides by a number of Python's as it multiplies by its reciprocal, which may be another last bit.
    hundred = torch.full((), 100.0, dtype=torch.float64, device=values.device)
    position = (number - 1).clamp(min=0).double() * percent / hundred
    below = position.long()
    above = torch.minimum(below + 1, (number - 1).clamp(min=0))
    low, high = ordered.gather(0, torch.stack([below, above]))
    return low + (high - low) * (position - below).to(values.dtype)


def smallest_of(values: Tensor, counted: Tensor, rank: int) -> Tensor:
    """The `rank`-th smallest (from 1), a scalar tensor, of the values where `counted` holds.

    The largest of them, where they are fewer, and where it holds nowhere, a number without a meaning.
    """
    if _on_host(values):
        chosen = values[counted]
        return chosen.kthvalue(min(rank, chosen.numel())).values if chosen.numel() else values.new_zeros(())
    ordered, number = _ordered(values, counted)
    return ordered.gather(0, (number.clamp(min=1, max=rank) - 1)[None])[0]


def _ordered(values: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """All values as (n), those that count first and in order, NaN behind them; and how many count, int64 ()."""
    return values.masked_fill(~counted, torch.nan).flatten().sort().values, counted.sum()


def _on_host(values: Tensor) -> bool:
    return values.device.type == "cpu"
