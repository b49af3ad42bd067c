"""What a checkpoint holds, by name: digests of all of it, and how far two differ."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from gta.ops.nested import named

ASIDE = ("seconds", "commits")  # of a checkpoint: a time; the code, which the certificate names


def contents(state: dict[str, Any]) -> dict[str, Any]:
    """Everything in a checkpoint by its name, but what is aside; those of the method without `method.` before each."""
    return {name.removeprefix("method."): value for name, value in named(state) if name.partition(".")[0] not in ASIDE}


def digests(state: dict[str, Any]) -> dict[str, str]:
    """Name -> digest of the kind, the shape and every bit of each tensor; of anything else, its text."""
    return {name: _digest(value) for name, value in contents(state).items()}


def _digest(value: Any) -> str:
    if not isinstance(value, Tensor):
        return repr(value)
    plain = value.detach().cpu().contiguous().reshape(-1)
    bits = plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(bits).hexdigest()[:32]}"


def apart(one: Any, other: Any) -> str:
    """How far two values of one name are apart, in words."""
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return f"{one!r:.60} and {other!r:.60}"
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype} {tuple(one.shape)} and {other.dtype} {tuple(other.shape)}"
    far = (one.double() - other.double()).abs()
    return f"{int((far > 0).sum())} of {far.numel()} values, by up to {float(far.max()):.1e}"


def farthest(one: dict[str, Any], other: dict[str, Any]) -> tuple[float, str]:
    """How far the network that is farthest apart is, as the norm of deviations over that of values; and its name."""
    far: dict[str, list[float]] = {}
    for name, value in one.items():
        kind, _, rest = name.partition(".")
        if kind == "networks" and isinstance(value, Tensor) and value.is_floating_point():
            sums = far.setdefault(rest.partition(".")[0], [0.0, 0.0])
            sums[0] += float((value.double() - other[name].double()).square().sum())
            sums[1] += float(value.double().square().sum())
    found = {name: (apart / (whole or 1.0)) ** 0.5 for name, (apart, whole) in far.items()}
    return max((value, name) for name, value in found.items())
