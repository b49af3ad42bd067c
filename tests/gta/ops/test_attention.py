"""Attention refuses kernels without a deterministic way exactly where a step asks for deterministic ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from gta.ops.attention import attention
from gta.train import kernels


class Flags(TorchDispatchMode):
    """Whether each operation ran where others are refused: by whether it is one of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: dict[bool, list[bool]] = {True: [], False: []}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        refuses = torch.are_deterministic_algorithms_enabled()
        refuses &= not torch.is_deterministic_algorithms_warn_only_enabled()
        if func is not torch.ops.aten.detach.default:
            self.refused["attention" in str(func)].append(refuses)
        return func(*args, **(kwargs or {}))


def blocks(x: Tensor, attend: Callable[..., Tensor], recompute: bool) -> Tensor:
    """Two layers of attention, one behind the other, with something before, between and behind."""

    def block(x: Tensor) -> Tensor:
        query, key, value = (part.unflatten(2, (2, -1)).transpose(1, 2) for part in (x * 2).chunk(3, 2))
        return x + attend(query, key, value).transpose(1, 2).flatten(2).repeat(1, 1, 3).sin()

    for _ in range(2):
        x = checkpoint(block, x, use_reentrant=False) if recompute else block(x)
    return x.square().sum()


def gradient(attend: Callable[..., Tensor], recompute: bool = False) -> tuple[Tensor, dict[bool, list[bool]]]:
    x = torch.rand(2, 5, 24, generator=torch.Generator().manual_seed(0), requires_grad=True)
    with Flags() as flags:
        blocks(x, attend, recompute).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return x.grad, flags.refused


@pytest.mark.parametrize("recompute", [False, True])
def test_only_attention_refuses_kernels_that_are_not_deterministic(recompute: bool) -> None:
    with kernels.deterministic():
        found, refused = gradient(attention, recompute)
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert len(refused[True]) >= 4, "two passes, forward and backward"
    assert all(refused[True])
    assert not any(refused[False])
    assert torch.equal(found, gradient(scaled_dot_product_attention)[0])


def test_elsewhere_it_is_pytorchs_own() -> None:
    found, refused = gradient(attention)
    assert not any(refused[True])
    assert torch.equal(found, gradient(scaled_dot_product_attention)[0])
    assert not torch.are_deterministic_algorithms_enabled()


def test_without_gradients_nothing_is_left_behind() -> None:
    query, key, value = torch.rand(3, 1, 2, 5, 4)
    with kernels.deterministic():
        assert torch.equal(attention(query, key, value), scaled_dot_product_attention(query, key, value))
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        some = attention(query, key, value.requires_grad_())
        some.sum().backward()  # type: ignore[no-untyped-call]
        assert torch.is_deterministic_algorithms_warn_only_enabled()
