"""DINOv2 and DPT once more, from their description: numpy, float64, one image, loops over taps of a kernel and tokens.

`State` has the names of UniMatch V2's checkpoints, without `module.`. Nothing is shared with what is tested.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from gta.encoders import ViTSize

Array = np.ndarray
State = dict[str, Tensor]


class Reference:
    """One image (3, h, w) -> logits (C, h, w)."""

    def __init__(self, state: State, size: ViTSize) -> None:
        self.state = {name: tensor.detach().double().numpy() for name, tensor in state.items()}
        self.size = size

    def logits(self, image: Array) -> Array:
        levels = self.levels(self.taps(image))
        path = self.unit(levels[3], "refinenet4.resConfUnit2")
        for number in (4, 3, 2, 1):
            if number < 4:
                path = path + self.unit(levels[number - 1], f"refinenet{number}.resConfUnit1")
                path = self.unit(path, f"refinenet{number}.resConfUnit2")
            height, width = levels[number - 2].shape[1:] if number > 1 else (2 * path.shape[1], 2 * path.shape[2])
            path = self.conv(bilinear(path, height, width), f"head.scratch.refinenet{number}.out_conv")
        hidden = np.maximum(self.conv(path, "head.scratch.output_conv.0", padding=1), 0)
        return bilinear(self.conv(hidden, "head.scratch.output_conv.2"), *image.shape[1:])

    def taps(self, image: Array) -> list[Array]:
        """The four maps (D, rows, columns)."""
        patch, width = self.size.patch, self.size.width
        rows, columns = image.shape[1] // patch, image.shape[2] // patch
        kernel, bias = self.state["backbone.patch_embed.proj.weight"], self.state["backbone.patch_embed.proj.bias"]
        positions = self.positions(rows, columns)
        tokens = [self.state["backbone.cls_token"][0, 0] + self.state["backbone.pos_embed"][0, 0]]
        registers = self.state.get("backbone.register_tokens")
        if registers is not None:
            tokens += list(registers[0])
        for y in range(rows):
            for x in range(columns):
                square = image[:, y * patch : (y + 1) * patch, x * patch : (x + 1) * patch]
                tokens.append((kernel * square).sum((1, 2, 3)) + bias + positions[y, x])
        stream, maps = np.stack(tokens), []
        for i in range(self.size.depth):
            name = f"backbone.blocks.{i}"
            seen = self.norm(stream, f"{name}.norm1")
            stream = stream + self.state[f"{name}.ls1.gamma"] * self.attention(seen, f"{name}.attn")
            seen = gelu(self.linear(self.norm(stream, f"{name}.norm2"), f"{name}.mlp.fc1"))
            stream = stream + self.state[f"{name}.ls2.gamma"] * self.linear(seen, f"{name}.mlp.fc2")
            if i in self.size.taps:
                found = self.norm(stream, "backbone.norm")[-rows * columns :]
                maps.append(found.reshape(rows, columns, width).transpose(2, 0, 1))
        return maps

    def positions(self, rows: int, columns: int) -> Array:
        """(rows, columns, D)."""
        grid = self.size.grid
        given = self.state["backbone.pos_embed"][0, 1:].reshape(grid, grid, self.size.width)
        if (rows, columns) == (grid, grid):
            return given
        by_row = cubic(rows, grid, (rows + 0.1) / grid)
        by_column = cubic(columns, grid, (columns + 0.1) / grid)
        return np.einsum("ya,xb,abd->yxd", by_row, by_column, given)

    def attention(self, x: Array, name: str) -> Array:
        width, heads = self.size.width, self.size.heads
        each = width // heads
        projected = self.linear(x, f"{name}.qkv")
        out = np.zeros_like(x)
        for head in range(heads):
            q, k, v = (projected[:, part * width + head * each : part * width + (head + 1) * each] for part in range(3))
            for token in range(len(x)):
                scores = k @ q[token] * each**-0.5
                weights = np.exp(scores - scores.max())
                out[token, head * each : (head + 1) * each] = weights @ v / weights.sum()
        return self.linear(out, f"{name}.proj")

    def levels(self, maps: list[Array]) -> list[Array]:
        """Four maps of F planes, four, two, one and half times as fine."""
        found = []
        for i, x in enumerate(maps):
            x = self.conv(x, f"head.projects.{i}")
            name = f"head.resize_layers.{i}"
            if i < 2:
                x = self.transposed(x, name, (4, 2)[i])
            elif i == 3:
                x = self.conv(x, name, padding=1, stride=2)
            found.append(self.conv(x, f"head.scratch.layer{i + 1}_rn", padding=1))
        return found

    def unit(self, x: Array, name: str) -> Array:
        hidden = self.conv(np.maximum(x, 0), f"head.scratch.{name}.conv1", padding=1)
        return x + self.conv(np.maximum(hidden, 0), f"head.scratch.{name}.conv2", padding=1)

    def linear(self, x: Array, name: str) -> Array:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
        return scaled * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def conv(self, x: Array, name: str, padding: int = 0, stride: int = 1) -> Array:
        kernel, side = self.state[f"{name}.weight"], self.state[f"{name}.weight"].shape[2]
        framed = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
        height, width = ((n + 2 * padding - side) // stride + 1 for n in x.shape[1:])
        out = np.zeros((len(kernel), height, width))
        for dy in range(side):
            for dx in range(side):
                seen = framed[:, dy : dy + stride * height : stride, dx : dx + stride * width : stride]
                out += np.tensordot(kernel[:, :, dy, dx], seen[:, :height, :width], 1)
        return out + self.state.get(f"{name}.bias", np.zeros(len(kernel)))[:, None, None]

    def transposed(self, x: Array, name: str, side: int) -> Array:
        """Kernel and stride of one side: each pixel becomes a square of its own."""
        kernel, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        out = np.zeros((kernel.shape[1], side * x.shape[1], side * x.shape[2]))
        for dy in range(side):
            for dx in range(side):
                out[:, dy::side, dx::side] = np.tensordot(kernel[:, :, dy, dx].T, x, 1)
        return out + bias[:, None, None]


def gelu(x: Array) -> Array:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def bilinear(x: Array, height: int, width: int) -> Array:
    """The corners of both grids are the same points."""

    def weights(outputs: int, inputs: int) -> Array:
        table = np.zeros((outputs, inputs))
        for i in range(outputs):
            place = i * (inputs - 1) / (outputs - 1) if outputs > 1 else 0.0
            below = min(int(place), inputs - 1)
            table[i, below] += 1 - (place - below)
            table[i, min(below + 1, inputs - 1)] += place - below
        return table

    return np.einsum("ya,xb,cab->cyx", weights(height, x.shape[1]), weights(width, x.shape[2]), x)


def cubic(outputs: int, inputs: int, factor: float) -> Array:
    """Cubic convolution (a = -0.75) at (i + 0.5) / factor - 0.5; beyond the border stands the border."""
    a, table = -0.75, np.zeros((outputs, inputs))
    for i in range(outputs):
        place = (i + 0.5) / factor - 0.5
        for tap in range(math.floor(place) - 1, math.floor(place) + 3):
            d = abs(place - tap)
            if d <= 1:
                weight = (a + 2) * d**3 - (a + 3) * d**2 + 1
            else:
                weight = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
            table[i, min(max(tap, 0), inputs - 1)] += weight
    return table
