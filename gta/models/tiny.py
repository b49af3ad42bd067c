"""The encoder for machines without a GPU: four short residual stages whose planes are multiples of `width`."""

from __future__ import annotations

from torch import Tensor, nn

from gta.errors import UserError
from gta.models.resnet import BasicBlock, check_output_stride, conv3x3, initialise, zero_last_batchnorm


class TinyEncoder(nn.Module):
    """(B, 3, h, w) -> features of stage 1 (stride 2), stage 3 (stride 8) and stage 4 (the output stride).

    `channels` are the planes of these three: width, 3 width, 4 width. At output stride 8 the last stage is dilated
    instead of strided.
    """

    def __init__(self, width: int, output_stride: int) -> None:
        super().__init__()
        check_output_stride(output_stride)
        if width < 1:
            raise UserError(f"model.width is {width}; the tiny encoder needs a width of at least 1 (8, say).")
        self.stem = nn.Sequential(conv3x3(3, width, stride=2), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        last = {"stride": 1, "dilation": 2} if output_stride == 8 else {"stride": 2, "dilation": 1}
        self.stage1 = BasicBlock(width, width, stride=1, dilation=1)
        self.stage2 = BasicBlock(width, 2 * width, stride=2, dilation=1)
        self.stage3 = BasicBlock(2 * width, 3 * width, stride=2, dilation=1)
        self.stage4 = BasicBlock(3 * width, 4 * width, **last)
        self.channels = (width, 3 * width, 4 * width)
        initialise(self)
        zero_last_batchnorm(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low = self.stage1(self.stem(x))
        middle = self.stage3(self.stage2(low))
        return low, middle, self.stage4(middle)
