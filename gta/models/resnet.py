"""Dilated residual encoders, ResNet-18/34/50/101: with the deep stem of GTA-Seg and U2PL, or the plain one."""

from __future__ import annotations

from torch import Tensor, nn

from gta.models.region import Stage


def conv3x3(inputs: int, planes: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, planes, 3, stride, padding=dilation, dilation=dilation, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the dilation is that of both."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, planes, stride, dilation)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes, 1, dilation)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride and the dilation) and 1x1 to four times the planes, beside a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int, dilation: int) -> None:
        super().__init__()
        outputs = planes * self.expansion
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes, stride, dilation)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """A projection where the block changes size or planes, else None (the identity)."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def deep_stem() -> nn.Module:
    """Three 3x3 convolutions to 128 planes at stride 2; BatchNorm and ReLU of the last one follow outside."""
    return Stage(
        conv3x3(3, 64, stride=2),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        conv3x3(64, 64),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        conv3x3(64, 128),
    )


def plain_stem() -> nn.Module:
    """One 7x7 convolution to 64 planes at stride 2."""
    return nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)


class ResNet(nn.Module):
    """(B, 3, h, w) -> features of layer1 (stride 4), layer3 and layer4 (both at the output stride at most).

    `channels` are the planes of these three. At output stride 8, layer3 is dilated by 2 and layer4 by 4
    instead of strided, at 16 layer4 by 2 only; layer4's blocks multiply that by `multi_grid`. The first block
    of a dilated layer keeps the dilation of the layer before. Module names are those of the usual weight files:
    of the deep-stem ones with the stem `deep`, of torchvision and timm with `plain`.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        output_stride: int,
        stem: str = "deep",
        multi_grid: tuple[int, ...] = (2, 2, 4),
    ) -> None:
        super().__init__()
        self.stem = stem
        self.conv1, planes = (deep_stem(), 128) if stem == "deep" else (plain_stem(), 64)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=stem == "deep")
        self._planes, self._dilation = planes, 1  # of the last block made so far
        self.layer1 = self._layer(block, 64, depths[0])
        self.layer2 = self._layer(block, 128, depths[1], stride=2)
        self.layer3 = self._layer(block, 256, depths[2], stride=2, dilate=output_stride == 8)
        self.layer4 = self._layer(block, 512, depths[3], stride=2, dilate=True, grid=multi_grid)
        self.channels = (64 * block.expansion, 256 * block.expansion, 512 * block.expansion)
        initialise(self)
        zero_last_batchnorm(self)

    def _layer(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        planes: int,
        depth: int,
        stride: int = 1,
        dilate: bool = False,
        grid: tuple[int, ...] = (),
    ) -> Stage:
        before = self._dilation
        if dilate:
            self._dilation, stride = before * stride, 1
        grid = grid[:depth] + (1,) * (depth - len(grid))
        blocks = []
        for i in range(depth):
            dilation = (before if i == 0 else self._dilation) * grid[i]
            blocks.append(block(self._planes, planes, stride if i == 0 else 1, dilation))
            self._planes = planes * block.expansion
        return Stage(*blocks)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        low = self.layer1(x)
        middle = self.layer3(self.layer2(low))
        return low, middle, self.layer4(middle)


def initialise(module: nn.Module) -> None:
    """He initialisation of an encoder's convolutions, with the fan that keeps the gradient's scale."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def zero_last_batchnorm(module: nn.Module) -> None:
    """Each residual block starts as its shortcut."""
    for part in module.modules():
        if isinstance(part, (BasicBlock, Bottleneck)):
            last = part.bn3 if isinstance(part, Bottleneck) else part.bn2
            nn.init.zeros_(last.weight)
