"""DeepLabV3+ in two explicit parts, feature extractor and mask predictor: GTA treats them differently.

All but the encoder starts with PyTorch's own initial values, as in the public code: an untrained network is unsure of
every pixel. (He initialisation of the last convolution makes it confident, and so its pseudo-labels.)
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from gta.models.region import Region, Stage
from gta.models.resnet import conv3x3
from gta.models.segmentation import SegmentationModel, hidden, upsample
from gta.ops.dropout import Dropout2d


def norm_relu(planes: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(planes), nn.ReLU(inplace=True)]


class ASPP(Region):
    """Image pooling, 1x1, and a 3x3 at each rate, concatenated to (2 + number of rates) x planes."""

    def __init__(self, inputs: int, planes: int, rates: list[int]) -> None:
        super().__init__()
        self.pooling = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, planes, 1, bias=False), *norm_relu(planes)
        )
        convs = [
            nn.Conv2d(inputs, planes, 1, bias=False),
            *(conv3x3(inputs, planes, dilation=r) for r in rates),
        ]
        self.branches = nn.ModuleList(nn.Sequential(conv, *norm_relu(planes)) for conv in convs)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pooling(x).expand(-1, -1, *x.shape[2:])
        return torch.cat([pooled, *(branch(x) for branch in self.branches)], dim=1)


class FeatureExtractor(nn.Module):
    """Everything but the mask predictor: encoder, ASPP, its head, and the low-level projection.

    (B, 3, h, w) -> (fused (B, low_level_planes + planes, h', w') at the size of the low-level features, middle
    features of the encoder).
    """

    def __init__(
        self, encoder: nn.Module, planes: int, rates: list[int], dropout: float, low_level_planes: int, head_kernel: int
    ) -> None:
        super().__init__()
        low, _, top = cast(tuple[int, int, int], encoder.channels)
        self.encoder = encoder
        self.aspp = ASPP(top, planes, rates)
        branches = (2 + len(rates)) * planes
        together = nn.Conv2d(branches, planes, head_kernel, padding=head_kernel // 2, bias=False)
        self.head = nn.Sequential(together, *norm_relu(planes), Dropout2d(dropout))
        self.low_level = Stage(nn.Conv2d(low, low_level_planes, 1), *norm_relu(low_level_planes))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low, middle, top = self.encoder(x)
        context = upsample(self.head(self.aspp(top)), low.shape[2:])
        return torch.cat([self.low_level(low), context], dim=1), middle


class DeepLabV3Plus(SegmentationModel):
    """Feature extractor, mask predictor and, if asked for, an auxiliary head on the middle features.

    `low_level_planes`: of the low-level projection; 0: `planes`. `head_kernel`: side of the convolution behind ASPP.
    """

    decoded = (0, 2)

    def __init__(
        self,
        encoder: nn.Module,
        num_classes: int,
        planes: int,
        rates: list[int],
        dropout: float,
        auxiliary: bool,
        low_level_planes: int = 0,
        head_kernel: int = 3,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        low_level_planes = low_level_planes or planes
        self.planes, self.fused_planes, self.dropout = planes, low_level_planes + planes, dropout
        self.feature_extractor = FeatureExtractor(encoder, planes, rates, dropout, low_level_planes, head_kernel)
        self.mask_predictor = nn.Sequential(
            *hidden(self.fused_planes, planes, dropout),
            *hidden(planes, planes, dropout),
            nn.Conv2d(planes, num_classes, 1),
        )
        self.auxiliary = None
        if auxiliary:
            _, middle, _ = cast(tuple[int, int, int], encoder.channels)
            self.auxiliary = nn.Sequential(*hidden(middle, planes, dropout), nn.Conv2d(planes, num_classes, 1))

    @property
    def fusing(self) -> nn.Module:
        return self.feature_extractor

    def forward(self, x: Tensor, auxiliary: bool = False) -> Tensor | tuple[Tensor, Tensor | None]:
        size = (x.shape[2], x.shape[3])
        fused, middle = self.feature_extractor(x)
        logits = upsample(self.mask_predictor(fused), size)
        if not auxiliary:
            return logits
        return logits, None if self.auxiliary is None else upsample(self.auxiliary(middle), size)
