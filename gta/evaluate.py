"""Scoring networks on the validation list: original size, each image once, padding nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gta import distributed, metrics
from gta.config import Config
from gta.data.loaders import val_samples
from gta.data.spec import IGNORE

EVALUATION = "original size"


@dataclass(frozen=True)
class Score:
    """mIoU and per-class IoU of one network, in percent; None for a class that occurs nowhere."""

    iteration: int
    miou: float
    iou: list[float | None]

    def as_dict(self) -> dict[str, Any]:
        return {"iteration": self.iteration, "miou": self.miou, "iou": self.iou}


@torch.no_grad()
def confusion_matrices(
    networks: Mapping[str, nn.Module], config: Config, ids: list[str], device: torch.device
) -> dict[str, Tensor]:
    """Confusion matrix (C, C) int64 of each network, rows truth, summed over the ranks.

    Images go through the network one by one at `data.input_scale` of their size; logits are brought to the original
    size (bilinear) before the argmax. No image is padded or seen twice, so the sums are the same on any ranks.
    """
    classes = len(config.data.classes)
    totals = {name: torch.zeros(classes, classes, dtype=torch.int64, device=device) for name in networks}
    modes = {name: network.training for name, network in networks.items()}
    for network in networks.values():
        network.eval()
    chosen = ids[: config.schedule.eval_images] if config.schedule.eval_images else ids
    for _, image, mask in val_samples(config, chosen, distributed.rank(), distributed.world_size()):
        image, mask = image.to(device), mask.to(device)
        for name, network in networks.items():
            logits = network(image)
            if logits.shape[-2:] != mask.shape:
                logits = F.interpolate(logits, size=mask.shape, mode="bilinear", align_corners=True)
            totals[name] += metrics.confusion(logits.argmax(1)[0], mask, classes, IGNORE)
    for name, network in networks.items():
        network.train(modes[name])
    return {name: distributed.all_reduce_sum(total).cpu() for name, total in totals.items()}


def score(confusion: Tensor, iteration: int) -> Score:
    """mIoU over the classes that occur, in percent, from a confusion matrix."""
    per_class = [100 * value for value in metrics.iou(confusion).tolist()]
    return Score(iteration, metrics.miou(confusion), [None if value != value else value for value in per_class])


def evaluate(
    networks: Mapping[str, nn.Module], config: Config, ids: list[str], device: torch.device, iteration: int
) -> dict[str, Score]:
    """The score of each network on the images `ids`, the same on every rank."""
    matrices = confusion_matrices(networks, config, ids, device)
    return {name: score(matrix, iteration) for name, matrix in matrices.items()}
