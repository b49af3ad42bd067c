"""Finds, on a CPU, the operations that would wait for a GPU: what is read back, or has a size only the device knows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

READ_BACK = ("_local_scalar_dense", "is_nonzero", "equal")
SIZED_BY_DATA = (
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
    "nonzero_numpy",
)
INDEXED = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")


class Watched(TorchDispatchMode):
    """Counts the operations that would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name in INDEXED and any(one is not None and one.dtype in (torch.bool, torch.uint8) for one in args[1])
        if name in READ_BACK or name in SIZED_BY_DATA or by_mask:
            self.found[name] += 1
        if name == "repeat_interleave" and func._overloadname == "Tensor":
            self.found[name] += 1
        return func(*args, **(kwargs or {}))
