"""How far a step is from what its device could do: arithmetic and bytes of the step, and the device's rates.

Arithmetic is that of convolutions, matrix products and attention, by PyTorch's own counter, both ways. Bytes are the
least that these must move: each reads its operands and writes its result once, all that lies between (BatchNorm, ReLU,
losses) being part of them, and weights are read and written as optimizers and moving averages do. So what a step takes
longer is what is not fused, waited for, or slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

# FLOP/s of dense products in float32, in float32 by TF32, and in bf16, and bytes/s of the memory: NVIDIA's data sheets.
KNOWN = {
    "NVIDIA H200": (67e12, 494e12, 989e12, 4.8e12),
    "H100 80GB HBM3": (67e12, 494e12, 989e12, 3.35e12),  # SXM
    "A100-SXM4-80GB": (19.5e12, 156e12, 312e12, 2.039e12),
    "A100-SXM4-40GB": (19.5e12, 156e12, 312e12, 1.555e12),
}
SIDE, BYTES, TIMES = 1024, 2**27, 3  # of the product and the copy by which any other device is measured
UPDATE = ("_fused_sgd_", "_fused_adamw_", "_foreach_lerp_")  # optimizers and moving averages, in place


@dataclass(frozen=True)
class Work:
    flops: int
    bytes: int


@dataclass(frozen=True)
class Rates:
    """Of a device: FLOP/s, bytes/s, and where they are from."""

    flops: float
    bytes: float
    source: str

    def shares(self, work: Work, seconds: float) -> tuple[float, float]:
        """Percent of both that a step reaches which takes so many seconds."""
        return 100 * work.flops / self.flops / seconds, 100 * work.bytes / self.bytes / seconds


def work_of(step: Callable[[], object]) -> Work:
    """What one call does. It is run, and takes longer than by itself."""
    with FlopCounterMode(display=False) as flops, _Moved() as moved:
        step()
    return Work(flops.get_total_flops(), moved.bytes)


class _Moved(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if func.overloadpacket in flop_registry:
            self.bytes += _size((args, kwargs)) + _size(made)
        elif name in UPDATE:  # all is read, and all but the gradients (what an average follows) is written
            self.bytes += 2 * _size((args, kwargs)) - _size(args[1])
        return made


def _size(values: object) -> int:
    return sum(value.nbytes for value in tree_leaves(values) if isinstance(value, Tensor))


def rates_of(device: torch.device, precision: str) -> Rates:
    """By the data sheet where the device is known, else measured: a product of matrices in that precision, a copy."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for known, (fp32, tf32, bf16, memory) in KNOWN.items():
            if known in name:
                by_tf32 = torch.backends.cudnn.allow_tf32
                kind = "bf16" if precision == "bf16" else "TF32" if by_tf32 else "fp32"
                return Rates({"bf16": bf16, "TF32": tf32, "fp32": fp32}[kind], memory, f"{kind}, data sheet of {known}")
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = torch.randn(2, SIDE, SIDE, device=device).to(dtype)
    many = torch.zeros(BYTES, dtype=torch.uint8, device=device)
    flops = 2 * SIDE**3 / _seconds(lambda: one @ other, device)
    return Rates(flops, 2 * BYTES / _seconds(many.clone, device), "a product of matrices and a copy, measured here")


def _seconds(act: Callable[[], object], device: torch.device) -> float:
    """The quickest of a few."""
    taken = []
    for _ in range(TIMES + 1):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        began = time.perf_counter()
        act()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return min(taken[1:])
