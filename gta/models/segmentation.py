"""What every network is to a method: a feature extractor and a mask predictor, which GTA treats differently."""

from __future__ import annotations

from typing import ClassVar, cast

import torch.nn.functional as F
from torch import Tensor, nn


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h', w') -> (B, C, *size), bilinear with aligned corners."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


class SegmentationModel(nn.Module):
    """An encoder and a decoder, cut into feature extractor (the encoder inside) and mask predictor.

    `forward` maps images (B, 3, h, w) to logits (B, C, h, w). With `auxiliary`, to (logits, logits of the auxiliary
    head or None where the model has none): only a training step of the student asks for these.
    """

    decoded: ClassVar[tuple[int, ...]]  # which of the encoder's features the decoder is made from
    num_classes: int
    feature_extractor: nn.Module
    mask_predictor: nn.Sequential
    auxiliary: nn.Sequential | None

    @property
    def encoder(self) -> nn.Module:
        return cast(nn.Module, self.feature_extractor.encoder)

    def feature_extractor_parameters(self) -> list[nn.Parameter]:
        """What GTA transfers to the student: neither the mask predictor nor the auxiliary head."""
        return list(self.feature_extractor.parameters())
