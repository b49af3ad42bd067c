"""A copy of a state in the host's memory, which no later step can change."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from gta.ops.finite import tensors_in


def snapshot(state: dict[str, Any]) -> dict[str, Any]:
    """All that a state of nested mappings and lists holds, its tensors on the CPU (from a GPU: in pinned memory). It is
    whole when this returns.

    A storage that several tensors share is copied once, and they share the copy at the same places: `torch.save` makes
    the same file of it as of a state on the CPU itself. Takes as much memory as that file.
    """
    storages: dict[tuple[torch.device, int, int], Tensor] = {}
    copies: dict[int, Any] = {}  # id of a tensor -> its copy, as `copy.deepcopy` looks for it
    devices = set()
    for _, tensor in tensors_in(state):
        if type(tensor) in (Tensor, nn.Parameter) and tensor.layout is torch.strided:
            copies[id(tensor)] = _copied(tensor, storages)
            devices.add(tensor.device)
    for device in devices:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return copy.deepcopy(state, copies)


def _copied(tensor: Tensor, storages: dict[tuple[torch.device, int, int], Tensor]) -> Tensor:
    storage = tensor.untyped_storage()
    place = (storage.device, storage.data_ptr() or id(tensor), storage.nbytes())  # empty ones have no address
    if place not in storages:
        storages[place] = _bytes(storage)
    shape = tensor.storage_offset(), tensor.size(), tensor.stride()
    made = torch.empty(0, dtype=tensor.dtype).set_(storages[place].untyped_storage(), *shape)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(made, tensor.requires_grad)
    return made.requires_grad_(tensor.requires_grad)


def _bytes(storage: torch.UntypedStorage) -> Tensor:
    """A copy of a storage, uint8 (bytes); from a GPU it may still be under way."""
    there = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    if there.device.type == "cuda":
        try:
            return torch.empty(len(there), dtype=torch.uint8, pin_memory=True).copy_(there, non_blocking=True)
        except RuntimeError:  # the system pins no more: a slower copy
            pass
    return torch.empty(len(there), dtype=torch.uint8).copy_(there)
