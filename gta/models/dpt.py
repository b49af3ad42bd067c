"""The DPT decoder over a vision transformer, as UniMatch V2 has it: without BatchNorm, without dropout.

It is a row of steps that hand on a tuple of maps, fine ones first, and `model.mask_predictor` says before which of
them the network is cut into feature extractor and mask predictor (docs/explanation/method.md says why).
All but the encoder starts with PyTorch's own initial values.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from gta.models.region import Region
from gta.models.segmentation import SegmentationModel, upsample

Maps = tuple[Tensor, ...]
# What `model.mask_predictor` may be -> the first step that is of the mask predictor.
CUTS = {"classifier": "classifier", "output": "output", "fusion": "fusion1", "decoder": "reassemble"}


class DPT(SegmentationModel):
    """An encoder of four maps of one size, and the DPT decoder. There is no auxiliary head."""

    decoded = (0, 1, 2, 3)

    def __init__(
        self, encoder: nn.Module, num_classes: int, planes: int, levels: tuple[int, int, int, int], cut: str = "output"
    ) -> None:
        """planes: of the fused maps; levels: of the four maps before; cut: a key of `CUTS`."""
        super().__init__()
        widths = cast(tuple[int, ...], encoder.channels)
        steps: OrderedDict[str, nn.Module] = OrderedDict(
            reassemble=Reassemble(widths, levels, planes),
            fusion4=Fusion(planes, deepest=True),
            fusion3=Fusion(planes),
            fusion2=Fusion(planes),
            fusion1=Fusion(planes),
            output=Output(planes),
            classifier=nn.Conv2d(planes, num_classes, 1),
        )
        names = list(steps)
        first = names.index(CUTS[cut])
        self.num_classes = num_classes
        self.planes, self.fused_planes, self.dropout = planes, planes, 0.0
        self.feature_extractor = nn.Sequential(OrderedDict(encoder=encoder, **{n: steps[n] for n in names[:first]}))
        self.mask_predictor = nn.Sequential(OrderedDict((name, steps[name]) for name in names[first:]))
        self.auxiliary = None

    @property
    def fusing(self) -> nn.Module:
        """The last fusion, on whichever side of the cut."""
        sides = (self.feature_extractor, self.mask_predictor)
        return cast(nn.Module, next(side.fusion1 for side in sides if hasattr(side, "fusion1")))

    def forward(self, x: Tensor, auxiliary: bool = False) -> Tensor | tuple[Tensor, Tensor | None]:
        logits = self.mask_predictor(self.feature_extractor(x))
        logits = upsample(logits, (x.shape[2], x.shape[3]))
        return (logits, None) if auxiliary else logits


class Reassemble(Region):
    """Four maps of one side s -> four levels of `planes`, of sides 4 s, 2 s, s and s / 2 (rounded up)."""

    def __init__(self, widths: tuple[int, ...], levels: tuple[int, int, int, int], planes: int) -> None:
        super().__init__()
        self.projects = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(widths, levels, strict=True))
        self.resizes = nn.ModuleList(
            [
                nn.ConvTranspose2d(levels[0], levels[0], 4, stride=4),
                nn.ConvTranspose2d(levels[1], levels[1], 2, stride=2),
                nn.Identity(),
                nn.Conv2d(levels[3], levels[3], 3, stride=2, padding=1),
            ]
        )
        self.widens = nn.ModuleList(nn.Conv2d(level, planes, 3, padding=1, bias=False) for level in levels)

    def forward(self, maps: Maps) -> Maps:
        steps = zip(maps, self.projects, self.resizes, self.widens, strict=True)
        return tuple(widen(resize(project(x))) for x, project, resize, widen in steps)


class Fusion(nn.Module):
    """(..., next level, level, path from below) -> (..., next level, path), the path as fine as the next level.

    Where there is no next level, the path becomes twice as fine. The deepest level is the path itself: there the unit
    for the level is never used, and it is not trained; it is here since the public files have it.
    """

    def __init__(self, planes: int, deepest: bool = False) -> None:
        super().__init__()
        self.deepest = deepest
        self.level_unit = ResidualUnit(planes).requires_grad_(not deepest)
        self.path_unit = ResidualUnit(planes)
        self.out = nn.Conv2d(planes, planes, 1)

    def forward(self, maps: Maps) -> Maps:
        finer, path = maps[:-1], maps[-1]
        if not self.deepest:
            path = path + self.level_unit(finer[-1])
            finer = finer[:-1]
        path = self.path_unit(path)
        height, width = finer[-1].shape[2:] if finer else (2 * path.shape[2], 2 * path.shape[3])
        return (*finer, self.out(upsample(path, (height, width))))


class ResidualUnit(Region):
    """x + conv(ReLU(conv(ReLU(x))))."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(planes, planes, 3, padding=1)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class Output(nn.Module):
    """The last path -> what the classifier sees."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(planes, planes, 3, padding=1)

    def forward(self, maps: Maps) -> Tensor:
        (path,) = maps
        return F.relu(self.conv(path))
