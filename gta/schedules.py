"""The learning rate as a function of the iteration."""

from __future__ import annotations


def poly(iteration: int, iterations: int, power: float) -> float:
    """Factor of the base learning rate: 1 at iteration 0, falling to 0 at `iterations`."""
    return (1.0 - iteration / iterations) ** power
