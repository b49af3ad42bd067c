"""A GPU that computes nothing, in a PyTorch built for CPUs: tensors of "cuda" have shapes, types, a device, no values.

PyTorch's fake tensors are of any device, and refuse to be mixed; its autograd asks for a device's guard and hooks,
which a few lines of C++ give (with PyTorch's own stand-in for a guard). Autocast and fused optimizers are those of a
GPU. What is on the CPU is real. Seen at each operation: tensors of two devices; what would make the host wait.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

import gta
from gta.train import count
from tests.helpers.waits import INDEXED, READ_BACK, SIZED_BY_DATA

aten = torch.ops.aten
COPIES = (aten._to_copy.default, aten.copy_.default)
GUARD = """
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/FakeGuardImpl.h>
namespace c10::impl { C10_REGISTER_GUARD_IMPL(CUDA, FakeGuardImpl<DeviceType::CUDA>) }
namespace at {
struct CUDAHooks final : CUDAHooksInterface {
  CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  int getNumGPUs() const override { return 1; }
  DeviceIndex current_device() const override { return 0; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(DeviceIndex) const override {}
  DeviceIndex exchangeDevice(DeviceIndex) const override { return 0; }
  DeviceIndex maybeExchangeDevice(DeviceIndex) const override { return 0; }
};
REGISTER_CUDA_HOOKS(CUDAHooks)
}
"""


def compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "g++"))


def command(folder: Path, module: str) -> list[str]:
    """Runs `main` of a module in a process of its own, which has that GPU: it must be there before torch is."""
    source, library, root = folder / "guard.cpp", folder / "guard.so", Path(torch.__file__).parent
    source.write_text(GUARD)
    places = [f"-I{root / 'include'}", f"-L{root / 'lib'}", f"-Wl,-rpath,{root / 'lib'}"]
    options = ["-O0", "-std=c++20", "-shared", "-fPIC", *places, "-lc10", "-ltorch_cpu"]
    subprocess.run([str(compiler()), str(source), "-o", str(library), *options], check=True, timeout=300)
    return [sys.executable, "-c", f"import ctypes; ctypes.CDLL({str(library)!r}); import {module} as m; m.main()"]


def install() -> None:
    """What of PyTorch's Python asks for a real GPU; in such a process, and for good."""
    torch.cuda.amp.common.amp_definitely_not_available = lambda: False  # else autocast is left out
    torch.cuda.is_bf16_supported = lambda including_emulation=True: True
    moved = nn.Module.to

    def to(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        """PyTorch's own would swap tensors, which fake ones refuse."""
        device, dtype, *_ = torch._C._nn._parse_to(*args, **kwargs)
        if device is None or device.type != "cuda":
            return moved(module, *args, **kwargs)
        for part in module.modules():
            for name, value in part._parameters.items():
                if value is not None:
                    part._parameters[name] = nn.Parameter(value.detach().to(device, dtype), value.requires_grad)
            for name, value in part._buffers.items():
                if value is not None:
                    part._buffers[name] = value.to(device, dtype if value.is_floating_point() else None)
        return module

    nn.Module.to = to  # type: ignore[method-assign,assignment]


class FakeGpu(count._Counter):
    """`mixed` and `waits`: operations on tensors of two devices, and those that would make the host wait, with the
    place in gta that asked for them; `seen`: how often each operation was asked of the GPU; `types`: what convolutions
    and matrix products compute in. What is asked of values is answered as in `gta.train.count`, a number by `number`.
    """

    def __init__(self, number: int = 1) -> None:
        super().__init__()
        self.number = number
        self.mixed: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.types: set[torch.dtype] = set()
        self.pinned: Any = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.prim.device.default:  # PyTorch asks again and again
            return args[0].fake_device
        kwargs = kwargs or {}
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        asked = kwargs.get("device")
        if not any(one.is_cuda for one in tensors) and (asked is None or torch.device(asked).type != "cuda"):
            return self._on_host(func, args, kwargs)
        name = func.overloadpacket.__name__
        self.seen[name] += 1
        if name in ("convolution", "mm", "addmm", "bmm"):
            self.types.add(tensors[0].dtype)
        if func in COPIES and (answer := self._copied(func, args, kwargs)) is not None:
            return answer
        here = [one for one in tensors if one.device.type == "cpu"]
        if func not in COPIES and any(one.dim() or name in INDEXED for one in here):
            self.mixed[f"{name} {_place()}"] += 1
        by_mask = name in INDEXED and any(one is not None and one.dtype == torch.bool for one in args[1])
        sized = name in (*READ_BACK, *SIZED_BY_DATA) or (name == "repeat_interleave" and func._overloadname == "Tensor")
        if by_mask or sized:
            self.waits[f"{name} {_place()}"] += 1
        if name == "_local_scalar_dense":
            return True if args[0].dtype == torch.bool else self.number
        if name == "_fused_sgd_":  # in place; it has no fake kernel
            return None
        if by_mask or sized or name == "split_with_sizes":
            return super().__torch_dispatch__(func, types, args, kwargs)
        return func(*args, **kwargs)

    def _on_host(self, func: Any, args: Any, kwargs: Any) -> Any:
        with unset_fake_temporarily():
            if func is aten._pin_memory.default:
                made = args[0].clone()
                self.pinned[made.untyped_storage()] = True
                return made
            return func(*args, **kwargs)

    def _copied(self, func: Any, args: Any, kwargs: Any) -> Tensor | None:
        """What comes to the host, of which no value is known: ones. None: a copy to the GPU, or within it."""
        into = func is aten.copy_.default
        source, late = (args[1], len(args) > 2 and args[2]) if into else (args[0], kwargs.get("non_blocking", False))
        to = args[0].device if into else torch.device(kwargs.get("device") or source.device)
        if to.type == source.device.type:
            return None
        if not (late and source.untyped_storage() in self.pinned):
            self.waits[f"copy {source.device.type} to {to.type} {_place()}"] += 1
        if to.type == "cuda":
            return None
        with unset_fake_temporarily():
            ones = torch.ones(source.shape, dtype=kwargs.get("dtype") or source.dtype)
            return args[0].copy_(ones) if into else ones


def _place() -> str:
    """Where in gta an operation was asked for; of a backward pass, its caller."""
    root = str(Path(gta.__file__).parent)
    frames = [frame for frame in traceback.extract_stack() if frame.filename.startswith(root)]
    frames = [frame for frame in frames if not frame.filename.endswith("train/count.py")]
    return f"{Path(frames[-1].filename).relative_to(root)}:{frames[-1].lineno}" if frames else "test"


@contextmanager
def fake_gpu(number: int = 1) -> Iterator[FakeGpu]:
    """While entered, there is a GPU, as PyTorch's tensors go; after `install`."""
    with FakeTensorMode(allow_non_fake_inputs=True), FakeGpu(number) as gpu:
        yield gpu
