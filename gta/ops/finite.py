"""Which tensors hold NaN or infinity: looked at where they lie, with one answer for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from gta.ops.nested import named


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


def tensors_in(state: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of nested dicts and lists, by dotted names."""
    return ((name, value) for name, value in named(state) if isinstance(value, Tensor))
