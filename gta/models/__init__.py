"""Segmentation networks: encoders by name, and the decoder over each, DeepLabV3+ or DPT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from gta.config import ModelConfig
from gta.encoders import VITS, check_model, has_dpt, timm_name, vit_size
from gta.models.deeplab import DeepLabV3Plus
from gta.models.dpt import DPT
from gta.models.pointwise import make_pointwise
from gta.models.resnet import BasicBlock, Bottleneck, ResNet
from gta.models.segmentation import SegmentationModel
from gta.models.timm import TimmEncoder
from gta.models.tiny import TinyEncoder
from gta.models.vit import VisionTransformer
from gta.models.weights import WeightsReport, check_initial_weights, load_initial_weights

__all__ = [
    "ENCODERS",
    "SegmentationModel",
    "WeightsReport",
    "build_model",
    "check_model",
    "check_weights",
    "load_initial_weights",
]

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def _vit(config: ModelConfig) -> VisionTransformer:
    return VisionTransformer(vit_size(config), config.register_tokens, config.recompute)


# An encoder has `channels` and maps (B, 3, h, w) to features of these: three (low, middle, top) for DeepLabV3+, four of
# one size for DPT.
ENCODERS: dict[str, Callable[[ModelConfig], nn.Module]] = {
    "tiny": lambda config: TinyEncoder(config.width, config.output_stride),
    "resnet18": lambda config: ResNet(BasicBlock, (2, 2, 2, 2), config.output_stride, config.stem),
    "resnet34": lambda config: ResNet(BasicBlock, (3, 4, 6, 3), config.output_stride, config.stem),
    "resnet50": lambda config: ResNet(Bottleneck, (3, 4, 6, 3), config.output_stride, config.stem),
    "resnet101": lambda config: ResNet(Bottleneck, (3, 4, 23, 3), config.output_stride, config.stem),
    **dict.fromkeys(VITS, _vit),
}


def check_weights(config: ModelConfig) -> None:
    """Raise UserError unless `model.weights` is random, or a file that fills the encoder, and for an encoder that timm
    cannot make. A file is looked at once.
    """
    if config.dry or (config.weights == "random" and not timm_name(config.encoder)):
        return
    status = Path(config.weights).stat() if Path(config.weights).is_file() else None
    known = (
        config.encoder,
        config.width,
        config.stem,
        config.register_tokens,
        config.patch,
        config.output_stride,
        config.weights,
        status and status.st_mtime_ns,
    )
    if known not in _CHECKED:
        with torch.random.fork_rng(devices=[]):  # an encoder draws its own initial values
            encoder = _encoder(config)
        if config.weights != "random":
            check_initial_weights(encoder, config.weights)
        _CHECKED.add(known)


_CHECKED: set[tuple[object, ...]] = set()


def build_model(config: ModelConfig, num_classes: int) -> SegmentationModel:
    """A network as configured, on the CPU, with random weights from torch's generator.

    Initial weights from a file are the caller's to load (`load_initial_weights`): a network that a checkpoint
    fills next does not need them. Raises what `check_model` raises.
    """
    check_model(config)
    config = _dry(config) if config.dry else config
    network = _decoded(_encoder(config), config, num_classes)
    if config.memory_format == "channels_last":  # the format of large networks: in the tiny one it costs time
        make_pointwise(network)
    # images need no conversion: a convolution's output follows its weights
    return network.to(memory_format=MEMORY_FORMATS[config.memory_format])  # type: ignore[call-overload,no-any-return]


def _dry(config: ModelConfig) -> ModelConfig:
    """The tiny network that stands in for a large one of the same kind."""
    if has_dpt(config):
        return replace(config, decoder_channels=8)
    return replace(config, encoder="tiny", width=4, output_stride=8, decoder_channels=8, aspp_rates=[1, 2, 3])


def _encoder(config: ModelConfig) -> nn.Module:
    if has_dpt(config) and config.dry:
        return _vit(config)
    return TimmEncoder(config) if timm_name(config.encoder) else ENCODERS[config.encoder](config)


def _decoded(encoder: nn.Module, config: ModelConfig, num_classes: int) -> SegmentationModel:
    """The encoder with its decoder."""
    if has_dpt(config):
        levels = _levels(config, encoder)
        return DPT(encoder, num_classes, config.decoder_channels, levels, config.mask_predictor)
    return DeepLabV3Plus(
        encoder,
        num_classes,
        planes=config.decoder_channels,
        rates=list(config.aspp_rates),
        dropout=config.dropout,
        auxiliary=config.auxiliary,
        low_level_planes=config.low_level_channels,
        head_kernel=config.head_kernel,
    )


def _levels(config: ModelConfig, encoder: nn.Module) -> tuple[int, int, int, int]:
    """Planes of the decoder's levels; over a vision transformer of timm as DINOv2-S and -B have them."""
    if config.dry or config.encoder in VITS:
        return vit_size(config).levels
    width = cast(tuple[int, ...], encoder.channels)[0]
    return (width // 8, width // 4, width // 2, width)
