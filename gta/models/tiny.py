"""The encoder for machines without a GPU: four convolutions whose planes are multiples of `width`."""

from __future__ import annotations

from torch import Tensor, nn

from gta.errors import UserError
from gta.models.resnet import check_output_stride, conv3x3, initialise


class TinyEncoder(nn.Module):
    """(B, 3, h, w) -> features of stage 1 (stride 2), stage 3 (stride 8) and stage 4 (the output stride).

    `channels` are the planes of these three: width, 4 width, 8 width. At output stride 8 the last stage is
    dilated instead of strided. A stage is one convolution: on a CPU and small images the number of operations
    costs, not their size. The low-level features have stride 2, not 4: a 48-pixel image has no detail to
    spare (measured on `shapes` with all labels: 91 against 86 mIoU).
    """

    def __init__(self, width: int, output_stride: int) -> None:
        super().__init__()
        check_output_stride(output_stride)
        if width < 1:
            raise UserError(f"model.width is {width}; the tiny encoder needs a width of at least 1 (8, say).")
        stride, dilation = (1, 2) if output_stride == 8 else (2, 1)
        self.stage1 = stage(3, width, stride=2)
        self.stage2 = stage(width, 2 * width, stride=2)
        self.stage3 = stage(2 * width, 4 * width, stride=2)
        self.stage4 = stage(4 * width, 8 * width, stride, dilation)
        self.channels = (width, 4 * width, 8 * width)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low = self.stage1(x)
        middle = self.stage3(self.stage2(low))
        return low, middle, self.stage4(middle)


def stage(inputs: int, planes: int, stride: int, dilation: int = 1) -> nn.Sequential:
    convolution = conv3x3(inputs, planes, stride, dilation)
    return nn.Sequential(convolution, nn.BatchNorm2d(planes), nn.ReLU(inplace=True))
