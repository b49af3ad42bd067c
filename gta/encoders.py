"""Which encoders there are, and what a network's settings may be: no torch is needed to refuse the others."""

from __future__ import annotations

from dataclasses import dataclass

from gta.config import ModelConfig
from gta.errors import UserError
from gta.fields import check_values
from gta.text import did_you_mean


@dataclass(frozen=True)
class ViTSize:
    """A vision transformer, and the widths of the DPT decoder's four levels over it."""

    width: int  # of a token: D
    depth: int  # blocks
    heads: int
    taps: tuple[int, int, int, int]  # blocks, from 0, behind which features are taken
    levels: tuple[int, int, int, int]  # planes of the levels in the decoder, from fine to coarse
    patch: int = 14  # side of a token's square, in pixels
    grid: int = 37  # rows and columns of the position embedding: 518 pixels


VITS = {
    "dinov2_small": ViTSize(384, 12, 6, (2, 5, 8, 11), (48, 96, 192, 384)),
    "dinov2_base": ViTSize(768, 12, 12, (2, 5, 8, 11), (96, 192, 384, 768)),
    "dinov2_large": ViTSize(1024, 24, 16, (4, 11, 17, 23), (256, 512, 1024, 1024)),
}
DRY_VIT = ViTSize(24, 4, 2, (0, 1, 2, 3), (8, 8, 8, 8))  # stands in for each of these where model.dry asks for it
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
TIMM = "timm:"  # before the name of a backbone that timm makes
ENCODERS = ("tiny", *RESNETS, *VITS)  # gta.models makes them

# Settings that some encoders have no use for, and what they must be there. (A default means: left out.)
_OF_TINY = {"width": 0}
_OF_RESNET = {"stem": "deep"}
_OF_DEEPLAB = {
    "output_stride": 16, "aspp_rates": [6, 12, 18], "auxiliary": False, "dropout": 0.0, "low_level_channels": 0,
    "head_kernel": 3,
}  # fmt: skip
_OF_DINO = {"register_tokens": 0, "recompute": False}
_OF_DPT = {"mask_predictor": "output", **_OF_DINO}
_OF_TIMM = {"patch": 0}


def check_model(config: ModelConfig) -> None:
    """Raise UserError for an unknown encoder, and for a setting that it cannot have. What timm has, it alone knows."""
    check_values(config, "model.")
    if config.encoder not in ENCODERS and not timm_name(config.encoder):
        raise UserError(
            f"model.encoder={config.encoder}: no such encoder; {did_you_mean(config.encoder, list(ENCODERS))}"
        )
    if config.encoder == "tiny" and config.width < 1:
        raise UserError(f"model.width is {config.width}; the tiny encoder needs a width of at least 1 (8, say).")
    if config.dry and config.weights != "random":
        raise UserError(
            f"model.dry=true puts a tiny network in the place of {config.encoder}, which no file of weights is of "
            f"(model.weights={config.weights}): add model.weights=random, as schedule=dry does, or leave model.dry out."
        )


def idle(config: ModelConfig) -> dict[str, object]:
    """Settings of `model` that say nothing of a network over its encoder -> the value that they must have."""
    if timm_name(config.encoder):
        return {**_OF_TINY, **_OF_RESNET, **({**_OF_DEEPLAB, **_OF_DINO} if config.patch else _OF_DPT)}
    if config.encoder in VITS:
        return {**_OF_TINY, **_OF_RESNET, **_OF_DEEPLAB, **_OF_TIMM}
    tiny, resnet = config.encoder == "tiny", config.encoder in RESNETS
    return {**({} if tiny else _OF_TINY), **({} if resnet else _OF_RESNET), **_OF_DPT, **_OF_TIMM}


def timm_name(encoder: str) -> str:
    """What timm calls the encoder; empty for one of ours."""
    return encoder.removeprefix(TIMM) if encoder.startswith(TIMM) else ""


def has_dpt(config: ModelConfig) -> bool:
    """Whether the encoder is a vision transformer, and the decoder DPT; else that is DeepLabV3+."""
    return config.encoder in VITS or config.patch > 0


def vit_size(config: ModelConfig) -> ViTSize:
    """The vision transformer of a config whose encoder is one of ours, or that stands in for one."""
    return DRY_VIT if config.dry else VITS[config.encoder]


def title(config: ModelConfig) -> str:
    """The encoder as it stands beside a number: one that a tiny network stands in for is not it."""
    return f"{config.encoder} (dry)" if config.dry else config.encoder


def patch_size(config: ModelConfig) -> int:
    """The sides of images must be multiples of this, in pixels; 1: they may be any."""
    if not has_dpt(config):
        return 1
    return config.patch if config.patch and not config.dry else vit_size(config).patch


def has_batchnorm(config: ModelConfig) -> bool:
    """Whether what a network makes of an image in training depends on the others of its batch."""
    return not has_dpt(config)
