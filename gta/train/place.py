"""Where a run trains and with what, as its journal says of each start."""

from __future__ import annotations

from typing import Any

import torch

from gta.config import Config
from gta.encoders import timm_name
from gta.ops import distributed
from gta.provenance.environment import version_of


def place(config: Config, device: torch.device, commit: str | None) -> dict[str, Any]:
    """Ranks, device and commit; where there is one, the GPU; where timm's networks are trained, its version."""
    found: dict[str, Any] = {"world_size": distributed.world_size(), "device": str(device), "commit": commit}
    if timm_name(config.model.encoder):
        found["timm"] = version_of("timm")
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found
