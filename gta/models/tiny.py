"""The encoder for machines without a GPU: four convolutions whose planes are multiples of `width`."""

from __future__ import annotations

from torch import Tensor, nn

from gta.models.region import Stage
from gta.models.resnet import conv3x3, initialise


class TinyEncoder(nn.Module):
    """(B, 3, h, w) -> low-level features, those of stage 3 (stride 8), and those of stage 4 (the output stride).

    `channels` are the planes of these three. At output stride 8 the last stage is dilated instead of strided. The
    low-level features are four times as fine as the last ones, as in the large network at stride 16: stage 1 (stride 2,
    width planes) at output stride 8, for images of 48 pixels that have no detail to spare (measured on `shapes` with
    all labels: 91 against 86 mIoU); stage 2 (stride 4, 2 width planes) at 16, where the decoder costs a quarter. A
    stage is one convolution: on a CPU and small images the number of operations costs more than their size.
    """

    def __init__(self, width: int, output_stride: int) -> None:
        super().__init__()
        stride, dilation = (1, 2) if output_stride == 8 else (2, 1)
        self.stage1 = stage(3, width, stride=2)
        self.stage2 = stage(width, 2 * width, stride=2)
        self.stage3 = stage(2 * width, 4 * width, stride=2)
        self.stage4 = stage(4 * width, 8 * width, stride, dilation)
        self.low_level_stage = 1 if output_stride == 8 else 2
        self.channels = (width * self.low_level_stage, 4 * width, 8 * width)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first = self.stage1(x)
        second = self.stage2(first)
        third = self.stage3(second)
        return (first, second)[self.low_level_stage - 1], third, self.stage4(third)


def stage(inputs: int, planes: int, stride: int, dilation: int = 1) -> Stage:
    convolution = conv3x3(inputs, planes, stride, dilation)
    return Stage(convolution, nn.BatchNorm2d(planes), nn.ReLU(inplace=True))
