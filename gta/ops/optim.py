"""What moves weights beside the optimizer: the learning rate by iteration, and moving averages of networks."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def poly(iteration: int, iterations: int, power: float) -> float:
    """Factor of the base learning rate: 1 at iteration 0, falling to 0 at `iterations`."""
    return (1.0 - iteration / iterations) ** power


def ramped_decay(step: int, cap: float) -> float:
    """min(1 - 1/(step + 1), cap), for `step` steps since the warm-up: the first update is a copy."""
    return min(1.0 - 1.0 / (step + 1), cap)


@torch.no_grad()
def ema_update(target: Iterable[Tensor], source: Iterable[Tensor], decay: float) -> None:
    """target <- decay target + (1 - decay) source, in place, tensor by tensor in the given order (floating point)."""
    targets, sources = list(target), list(source)
    assert len(targets) == len(sources), "the two networks do not have the same parameters"
    if targets:  # torch refuses an empty list
        torch._foreach_lerp_(targets, sources, 1.0 - decay)
