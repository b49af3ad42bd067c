"""Segmentation networks: encoders by name, and DeepLabV3+ over any of them."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable

from torch import nn

from gta.config import ModelConfig
from gta.errors import UserError
from gta.models.deeplab import SegmentationModel
from gta.models.resnet import BasicBlock, Bottleneck, ResNet
from gta.models.tiny import TinyEncoder
from gta.models.weights import WeightsReport, load_initial_weights

__all__ = ["ENCODERS", "SegmentationModel", "WeightsReport", "build_model", "load_initial_weights"]

log = logging.getLogger(__name__)

# An encoder has `channels` (low, middle, top) and maps (B, 3, h, w) to features of these three.
ENCODERS: dict[str, Callable[[ModelConfig], nn.Module]] = {
    "tiny": lambda config: TinyEncoder(config.width, config.output_stride),
    "resnet18": lambda config: ResNet(BasicBlock, (2, 2, 2, 2), config.output_stride),
    "resnet34": lambda config: ResNet(BasicBlock, (3, 4, 6, 3), config.output_stride),
    "resnet50": lambda config: ResNet(Bottleneck, (3, 4, 6, 3), config.output_stride),
    "resnet101": lambda config: ResNet(Bottleneck, (3, 4, 23, 3), config.output_stride),
}


def build_model(config: ModelConfig, num_classes: int, initial_weights: bool = True) -> SegmentationModel:
    """A network as configured, on the CPU, with its initial weights: random ones from torch's generator, then the
    encoder's from `config.weights` unless that is `random`.

    initial_weights: False where a checkpoint is loaded next; the file of initial weights need not be there then.
    Raises UserError for an unknown encoder, a setting it cannot have, and weights that are absent or match nothing.
    """
    if config.encoder not in ENCODERS:
        near = difflib.get_close_matches(config.encoder, ENCODERS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(ENCODERS)}."
        raise UserError(f"There is no encoder '{config.encoder}'; {hint}")
    model = SegmentationModel(
        ENCODERS[config.encoder](config),
        num_classes,
        planes=config.decoder_channels,
        rates=list(config.aspp_rates),
        dropout=config.dropout,
        auxiliary=config.auxiliary,
    )
    if initial_weights and config.weights != "random":
        log.info("%s: %s", config.weights, load_initial_weights(model, config.weights))
    return model
