"""Attention, with a gradient that is deterministic where a step asks for deterministic kernels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(B, heads, tokens, D) thrice -> the same: softmax(query key^T / sqrt(D)) value, over all tokens.

    PyTorch's fused kernels for a GPU sum their gradients in a fixed order only where operations without a deterministic
    kernel are refused, and not where they warn (as within a step, `gta.train.kernels`). So for attention alone, forward
    (cuDNN's, which has no such order, is then not chosen) and backward, they are. Not in compiled code, where nothing
    can be set between two operations.
    """
    if torch.compiler.is_compiling() or not _warns():
        return F.scaled_dot_product_attention(query, key, value)
    _refuse()
    try:
        seen = F.scaled_dot_product_attention(query, key, value)
    finally:
        _warn()
    if seen.requires_grad:
        seen.register_hook(_refuse)  # before its backward pass
        for given in (query, key, value):
            if given.requires_grad:
                given.register_hook(_warn)  # behind it
    return seen


def _warns() -> bool:
    return torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()


def _refuse(gradient: Tensor | None = None) -> None:
    torch._C._set_deterministic_algorithms(True, warn_only=False)


def _warn(gradient: Tensor | None = None) -> None:
    torch._C._set_deterministic_algorithms(True, warn_only=True)
