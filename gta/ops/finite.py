"""Which tensors hold NaN or infinity: looked at where they lie, with one answer for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that hold a number that is not finite. The device is waited for once, not for each."""
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel()}
    if not floating:
        return []
    device = next(iter(floating.values())).device
    # the extremes: NaN is one where there is one, and no tensor of the full size is made
    extremes = [end.to(device) for tensor in floating.values() for end in torch.aminmax(tensor)]
    sound = torch.stack(extremes).isfinite().view(-1, 2).all(1)
    return [name for name, one in zip(floating, sound.tolist(), strict=True) if not one]


def tensors_in(state: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of nested dicts and lists, by dotted names."""
    if isinstance(state, Tensor):
        yield name, state
    pairs: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(state, Mapping):
        pairs = iter(state.items())
    elif isinstance(state, Sequence) and not isinstance(state, str):
        pairs = iter(enumerate(state))
    for key, inner in pairs:
        yield from tensors_in(inner, f"{name}.{key}" if name else str(key))
