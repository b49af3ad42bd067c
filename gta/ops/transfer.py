"""From the host to the device without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on `device`; itself where it is there already.

    To a GPU it goes from pinned memory, behind the work that waits there already: from any other memory the host would
    stand still until that is done. PyTorch keeps the pinned memory until the copy is over, and uses it again.
    """
    device = torch.device(device)
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
