"""What every network is to a method: a feature extractor and a mask predictor, which GTA treats differently."""

from __future__ import annotations

from typing import ClassVar, cast

import torch.nn.functional as F
from torch import Tensor, nn

from gta.ops.dropout import Dropout2d


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h', w') -> (B, C, *size), bilinear with aligned corners."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def hidden(inputs: int, planes: int, dropout: float) -> list[nn.Module]:
    """A 3x3 convolution with bias, BatchNorm, ReLU and dropout of whole planes."""
    convolution = nn.Conv2d(inputs, planes, 3, padding=1)
    return [convolution, nn.BatchNorm2d(planes), nn.ReLU(inplace=True), Dropout2d(dropout)]


class SegmentationModel(nn.Module):
    """An encoder and a decoder, cut into feature extractor (the encoder inside) and mask predictor.

    `forward` maps images (B, 3, h, w) to logits (B, C, h, w). With `auxiliary`, to (logits, logits of the auxiliary
    head or None where the model has none): only a training step of the student asks for these.
    """

    decoded: ClassVar[tuple[int, ...]]  # which of the encoder's features the decoder is made from
    compiled: bool = False  # whether its regions (`gta.models.region`) are to be, where a method trains or asks it
    num_classes: int
    planes: int  # of the decoder's maps
    fused_planes: int  # of the map in which all features have come together
    dropout: float  # of the decoder
    feature_extractor: nn.Module
    mask_predictor: nn.Sequential
    auxiliary: nn.Sequential | None

    @property
    def encoder(self) -> nn.Module:
        return cast(nn.Module, self.feature_extractor.encoder)

    @property
    def fusing(self) -> nn.Module:
        """The part whose first output is the map (B, fused_planes, h', w') in which all features have come together."""
        raise NotImplementedError

    def representation_head(self) -> nn.Sequential:
        """A new head on that map, beside what predicts masks: (B, fused_planes, h', w') -> (B, planes, h', w').

        U2PL's: it has the decoder's width and dropout, and is no part of this network.
        """
        planes = self.planes
        return nn.Sequential(
            *hidden(self.fused_planes, planes, self.dropout),
            *hidden(planes, planes, self.dropout),
            nn.Conv2d(planes, planes, 1),
        )

    def feature_extractor_parameters(self) -> list[nn.Parameter]:
        """What GTA transfers to the student: neither the mask predictor nor the auxiliary head."""
        return list(self.feature_extractor.parameters())
