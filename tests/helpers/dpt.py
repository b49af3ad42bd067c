"""A very small vision transformer with the DPT decoder, and its tensors as public files name them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gta.encoders import ViTSize
from gta.models import SegmentationModel
from gta.models.dpt import DPT
from gta.models.vit import VisionTransformer

SIZE = ViTSize(width=12, depth=5, heads=3, taps=(0, 1, 3, 4), levels=(4, 6, 8, 10), patch=4, grid=5)
PLANES = 6


def small_dpt(classes: int, cut: str = "output", registers: int = 0) -> SegmentationModel:
    return DPT(VisionTransformer(SIZE, registers), classes, PLANES, SIZE.levels, cut)


def shuffled(model: nn.Module, seed: int) -> nn.Module:
    """The network with random numbers in every tensor: the initial ones are zeros and ones in part."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(0.4 * torch.randn(tensor.shape, generator=generator))
    return model


def encoder_shapes(size: ViTSize = SIZE, registers: int = 0) -> dict[str, tuple[int, ...]]:
    """Names and shapes of Meta's file of such an encoder."""
    width = size.width
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width), "pos_embed": (1, 1 + size.grid**2, width), "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 3, size.patch, size.patch), "patch_embed.proj.bias": (width,),
        "norm.weight": (width,), "norm.bias": (width,),
    }  # fmt: skip
    for i in range(size.depth):
        layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width),
                  "mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}  # fmt: skip
        for layer, shape in layers.items():
            shapes |= {f"blocks.{i}.{layer}.weight": shape, f"blocks.{i}.{layer}.bias": shape[:1]}
        for norm in ("norm1", "norm2"):
            shapes |= {f"blocks.{i}.{norm}.weight": (width,), f"blocks.{i}.{norm}.bias": (width,)}
        shapes |= {f"blocks.{i}.{scale}.gamma": (width,) for scale in ("ls1", "ls2")}
    return shapes | ({"register_tokens": (1, registers, width)} if registers else {})


def head_shapes(size: ViTSize, planes: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the head in UniMatch V2's checkpoints."""
    shapes: dict[str, tuple[int, ...]] = {}
    for i, level in enumerate(size.levels):
        shapes |= {f"projects.{i}.weight": (level, size.width, 1, 1), f"projects.{i}.bias": (level,)}
        shapes[f"scratch.layer{i + 1}_rn.weight"] = (planes, level, 3, 3)
    for i, side in ((0, 4), (1, 2), (3, 3)):
        level = size.levels[i]
        shapes |= {f"resize_layers.{i}.weight": (level, level, side, side), f"resize_layers.{i}.bias": (level,)}
    for i in range(1, 5):
        convolutions = {f"resConfUnit{unit}.conv{conv}": 3 for unit in (1, 2) for conv in (1, 2)} | {"out_conv": 1}
        for name, side in convolutions.items():
            name = f"scratch.refinenet{i}.{name}"
            shapes |= {f"{name}.weight": (planes, planes, side, side), f"{name}.bias": (planes,)}
    for i, outputs, side in ((0, planes, 3), (2, classes, 1)):
        name = f"scratch.output_conv.{i}"
        shapes |= {f"{name}.weight": (outputs, planes, side, side), f"{name}.bias": (outputs,)}
    return shapes


def drawn(shapes: dict[str, tuple[int, ...]], seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Random tensors of these shapes."""
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.4 * torch.randn(shape, generator=generator, dtype=dtype) for name, shape in shapes.items()}


def public_state(classes: int, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """A network as UniMatch V2's code saves it, under DDP."""
    shapes = {f"module.backbone.{name}": shape for name, shape in encoder_shapes().items()}
    shapes |= {f"module.head.{name}": shape for name, shape in head_shapes(SIZE, PLANES, classes).items()}
    return drawn(shapes, seed, dtype)
