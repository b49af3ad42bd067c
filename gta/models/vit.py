"""DINOv2's vision transformer as an encoder: four maps of its blocks, all as fine as its patches.

Tensors have the names of Meta's files (facebookresearch/dinov2), so that these load as they are.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gta.encoders import ViTSize
from gta.models.region import Region
from gta.ops.attention import attention

EPS = 1e-6
OFFSET = 0.1  # of a patch: how DINOv2 asks for another size of the position embedding


class VisionTransformer(nn.Module):
    """(B, 3, h, w), sides multiples of the patch -> four maps (B, D, h / patch, w / patch), each behind its block and
    the last LayerNorm.

    `channels` are the planes of these four. A class token goes through all blocks with the patches, and so do
    `registers` register tokens, which have no position; neither is in the maps. `mask_token` is in Meta's files and
    used in pretraining alone: it is kept, and never trained.

    `recompute`: for the backward pass a block keeps its input alone and passes once more (Chen et al., 2016, "Training
    deep nets with sublinear memory cost"): the same numbers, as nothing in it is random and there is no BatchNorm.
    """

    def __init__(self, size: ViTSize, registers: int = 0, recompute: bool = False) -> None:
        super().__init__()
        self.recompute = recompute
        width = size.width
        self.patch, self.grid, self.taps = size.patch, size.grid, size.taps
        self.channels = (width,) * len(size.taps)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + size.grid**2, width))
        self.register_tokens = nn.Parameter(torch.zeros(1, registers, width)) if registers else None
        self.mask_token = nn.Parameter(torch.zeros(1, width), requires_grad=False)
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, size.patch, stride=size.patch)})
        self.blocks = nn.ModuleList(Block(width, size.heads) for _ in range(size.depth))
        self.norm = nn.LayerNorm(width, eps=EPS)
        self._initialise()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        patches = self.patch_embed["proj"](x)
        rows, columns = patches.shape[2:]
        if x.shape[2] != rows * self.patch or x.shape[3] != columns * self.patch:
            raise ValueError(f"sides {tuple(x.shape[2:])} are no multiples of the patch, {self.patch} pixels")
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        tokens = tokens + self.positions(rows, columns)
        if self.register_tokens is not None:
            registers = self.register_tokens.expand(len(x), -1, -1)
            tokens = torch.cat([tokens[:, :1], registers.to(tokens.dtype), tokens[:, 1:]], dim=1)
        maps = []
        for number, block in enumerate(self.blocks):
            tokens = self._passed(block, tokens)
            if number in self.taps:
                seen = self.norm(tokens)[:, -rows * columns :]
                maps.append(seen.transpose(1, 2).unflatten(2, (rows, columns)))
        return tuple(maps)

    def _passed(self, block: nn.Module, tokens: Tensor) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return cast(Tensor, checkpoint(block, tokens, use_reentrant=False, preserve_rng_state=False))
        return cast(Tensor, block(tokens))

    def positions(self, rows: int, columns: int) -> Tensor:
        """The position embedding (1, 1 + rows x columns, D): that of the file, its grid resized where it is another.

        Bicubic: without registers by the factors that ask for `OFFSET` of a patch more, with registers to the size
        itself and antialiased. So each kind was used by its authors.
        """
        if (rows, columns) == (self.grid, self.grid):
            return self.pos_embed
        grid = self.pos_embed[:, 1:].unflatten(1, (self.grid, self.grid)).permute(0, 3, 1, 2)
        size, offset = (rows, columns), OFFSET if self.register_tokens is None else None
        # a GPU sums the gradient of bicubic resizing in any order
        exact = torch.are_deterministic_algorithms_enabled()
        grid = cast(Tensor, _Resized.apply(grid, size, offset)) if exact else resized(grid, size, offset)
        return torch.cat([self.pos_embed[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)

    def _initialise(self) -> None:
        """Small normal weights and no biases, as vision transformers start where no file is given."""
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=0.02)
                nn.init.zeros_(part.bias)
        nn.init.normal_(self.pos_embed, std=0.02)
        for token in (self.cls_token, self.register_tokens):
            if token is not None:
                nn.init.normal_(token, std=1e-6)


def resized(grid: Tensor, size: tuple[int, int], offset: float | None) -> Tensor:
    """(N, D, h, w) -> (N, D, *size), bicubic: by the factors that ask for `offset` more, or (None) antialiased."""
    if offset is None:
        return F.interpolate(grid, size=size, mode="bicubic", antialias=True)
    factors = [(to + offset) / length for to, length in zip(size, grid.shape[2:], strict=True)]
    return F.interpolate(grid, scale_factor=factors, mode="bicubic")


class _Resized(torch.autograd.Function):
    """`resized`; its gradient by two matrix products, which are deterministic: the rows are a linear map of the rows,
    the columns of the columns.
    """

    @staticmethod
    def forward(ctx: Any, grid: Tensor, size: tuple[int, int], offset: float | None) -> Tensor:
        ctx.lengths, ctx.size, ctx.offset = grid.shape[2:], size, offset
        return resized(grid, size, offset)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        maps = []
        for length, to in zip(ctx.lengths, ctx.size, strict=True):
            unit = torch.eye(length, dtype=gradient.dtype, device=gradient.device)
            # of as many columns, all alike: with one column PyTorch's antialiasing on a CPU is wrong
            alike = unit[None, :, :, None].expand(1, length, length, length).contiguous()
            maps.append(resized(alike, (to, length), ctx.offset)[0, :, :, 0])  # (length, to)
        rows, columns = maps
        return rows @ gradient @ columns.T, None, None


class Block(Region):
    """x + gamma1 attention(norm1(x)), then x + gamma2 mlp(norm2(x)); (B, tokens, D) -> the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = MLP(width)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class Attention(nn.Module):
    """Self-attention of all tokens in `heads` parts of the width; rows of `qkv` are queries, keys, values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, 2))
        return self.proj(attention(query, key, value).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two layers with GELU between, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """A factor for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma
