"""A copy of a state in the host's memory, which no later step can change."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from gta.ops.finite import tensors_in

STAGING_BYTES = 2**26


def snapshot(state: dict[str, Any]) -> dict[str, Any]:
    """All that a state of nested mappings and lists holds, its tensors on the CPU. It is whole when this returns.

    A storage that several tensors share is copied once, and they share the copy at the same places: `torch.save` makes
    the same file of it as of a state on the CPU itself. Takes as much memory as that file. From a GPU it is copied
    through a piece of pinned memory (64 MiB, which PyTorch keeps for the next one): in pinned memory of its own each
    storage would take the next power of two, for good.
    """
    tensors = [tensor for _, tensor in tensors_in(state)]
    staging = _staging() if any(tensor.is_cuda for tensor in tensors) else None
    storages: dict[tuple[torch.device, int, int], Tensor] = {}
    copies: dict[int, Any] = {}  # id of a tensor -> its copy, as `copy.deepcopy` looks for it
    for tensor in tensors:
        if type(tensor) in (Tensor, nn.Parameter) and tensor.layout is torch.strided:
            copies[id(tensor)] = _copied(tensor, storages, staging)
    return copy.deepcopy(state, copies)


def _copied(tensor: Tensor, storages: dict[tuple[torch.device, int, int], Tensor], staging: Tensor | None) -> Tensor:
    storage = tensor.untyped_storage()
    place = (storage.device, storage.data_ptr() or id(tensor), storage.nbytes())  # empty ones have no address
    if place not in storages:
        there = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
        storages[place] = copied_bytes(there, staging if there.is_cuda else None)
    shape = tensor.storage_offset(), tensor.size(), tensor.stride()
    made = torch.empty(0, dtype=tensor.dtype).set_(storages[place].untyped_storage(), *shape)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(made, tensor.requires_grad)
    return made.requires_grad_(tensor.requires_grad)


def _staging() -> Tensor | None:
    """Pinned memory, uint8 (STAGING_BYTES); None where the system pins no more: then copies are slower."""
    try:
        return torch.empty(STAGING_BYTES, dtype=torch.uint8, pin_memory=True)
    except RuntimeError:
        return None


def copied_bytes(there: Tensor, staging: Tensor | None) -> Tensor:
    """A copy of uint8 (bytes) on the CPU, piece by piece through `staging` where there is one."""
    here = torch.empty(len(there), dtype=torch.uint8)
    if staging is None:
        return here.copy_(there)
    for piece, target in zip(there.split(len(staging)), here.split(len(staging)), strict=True):
        staged = staging[: len(piece)].copy_(piece)  # returns when it is there: the next piece takes its place
        target.copy_(staged)
    return here
