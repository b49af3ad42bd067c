"""What plain steps share: what they are given, learning rates, moving averages, CutMix, and losses of chosen pixels."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gta.config import ScheduleConfig
from gta.models import SegmentationModel
from gta.models.segmentation import upsample

IGNORED = 255


@dataclass
class Batch:
    """One group: B labeled and B unlabeled images, normalised."""

    image: Tensor  # (B, 3, h, w), labeled
    mask: Tensor  # (B, h, w) int64, 255 where ignored
    weak: Tensor  # (B, 3, h, w), unlabeled
    strong: Tensor  # like weak
    strong2: Tensor  # like weak
    padding: Tensor  # (B, h, w) bool, of the unlabeled images


@dataclass
class Mixing:
    """AugSeg's."""

    partner: Tensor  # the image that each one takes from, int64 (B)
    of_labeled: Tensor  # the box that may come from a labeled image, (B, h, w) bool
    of_mixed: Tensor  # the box that comes from another unlabeled image, (B, h, w) bool
    coins: Tensor  # (B), uniform in 0 to 1


@dataclass
class Drawn:
    """The chances of a step, each for the methods that take it."""

    boxes: Sequence[Tensor] = ()  # CutMix of each mixed view: (B, h, w) bool
    kept: Sequence[Tensor] = ()  # UniMatch: planes of the low-level and the last features, bool (images, planes)
    whole: Tensor | None = None  # UniMatch V2: images that keep all planes, bool (B)
    augseg: Mixing | None = None
    numbers: Callable[[int], np.random.Generator] | None = None  # U2PL: of each class


@dataclass
class Start:
    """What a step begins with."""

    network: Callable[[int], SegmentationModel]  # the first (0) or second (1) network with its initial weights
    head: Callable[[SegmentationModel], nn.Module]  # of representations, with its initial weights
    schedule: ScheduleConfig
    threshold: float  # of confidence; of U2PL, of the anchors' probability
    memory: tuple[int, int]  # U2PL: vectors of class 0, and of any other


class Step(ABC):
    """One student and its optimizer, from the first step on without warm-up. `step` is what a method is."""

    adamw = False

    def __init__(self, start: Start) -> None:
        self.schedule, self.threshold = start.schedule, start.threshold
        self.optimizers: list[torch.optim.Optimizer] = []
        self.student = start.network(0)
        self.begin(start)

    def begin(self, start: Start) -> None:
        self.optimizer = self.optimizer_of(self.student, self.student)

    @property
    def scored(self) -> nn.Module:
        """The network whose score is the method's."""
        return self.student

    @abstractmethod
    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        """Forward, backward, optimizers and moving averages; the losses by name."""

    def optimizer_of(self, model: SegmentationModel, whole: nn.Module) -> torch.optim.Optimizer:
        """Of `whole`, tensor by tensor; the encoder of `model`, which is in it, has a learning rate of its own."""
        encoder = list(model.encoder.parameters())
        inside = {id(parameter) for parameter in encoder}
        groups = [{"params": encoder}, {"params": [p for p in whole.parameters() if id(p) not in inside]}]
        s = self.schedule
        decay: dict[str, Any] = {"lr": s.lr, "weight_decay": s.weight_decay, "foreach": False}
        optimizer: torch.optim.Optimizer
        if self.adamw:
            optimizer = torch.optim.AdamW(groups, **decay)
        else:
            optimizer = torch.optim.SGD(groups, momentum=s.momentum, **decay)
        self.optimizers.append(optimizer)
        return optimizer

    def set_lr(self, iteration: int) -> None:
        s = self.schedule
        factor = (1 - iteration / s.iterations) ** s.power
        for optimizer in self.optimizers:
            for group, lr in zip(optimizer.param_groups, (s.lr, s.lr * s.decoder_lr_factor), strict=True):
                group["lr"] = lr * factor


class TaughtStep(Step):
    """With a teacher, a copy of the student that follows it and is scored."""

    def begin(self, start: Start) -> None:
        super().begin(start)
        self.teacher = frozen_copy(self.student)

    @property
    def scored(self) -> nn.Module:
        return self.teacher


def frozen_copy(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).requires_grad_(False)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def ramp(iteration: int, cap: float) -> float:
    """The decay of a moving average: 0 in the first step, so that it is a copy, and never above the cap."""
    return min(1 - 1 / (iteration + 1), cap)


@torch.no_grad()
def average(target: Iterable[Tensor], source: Iterable[Tensor], decay: float) -> None:
    for mine, theirs in zip(target, source, strict=True):
        if mine.is_floating_point():
            mine.copy_(decay * mine + (1 - decay) * theirs)


@torch.no_grad()
def labels_of(logits: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
    """Classes (B, h, w), 255 where padded, and their probabilities (0 there)."""
    confidence, label = logits.softmax(1).max(1)
    label[padding] = IGNORED
    confidence[padding] = 0
    return label, confidence


def cut_mix(values: Tensor, boxes: Tensor, pasted: Tensor | None = None, mirrored: bool = False) -> Tensor:
    """Values (B, ..., h, w) with, in the box of each image, those of the next image (`mirrored`: of image B - 1 - i);
    those of `pasted`, where that is given.
    """
    mixed, source, count = values.clone(), values if pasted is None else pasted, len(values)
    for i in range(count):
        partner = count - 1 - i if mirrored else (i + 1) % count
        mixed[i][..., boxes[i]] = source[partner][..., boxes[i]]
    return mixed


def label_loss(logits: Tensor, mask: Tensor) -> Tensor:
    return F.cross_entropy(logits, mask, ignore_index=IGNORED)


def sure_loss(logits: Tensor, label: Tensor, confidence: Tensor, threshold: float, pixels: int) -> Tensor:
    """Cross-entropy summed over pixels that have a label of so much confidence, over a number of pixels."""
    loss = F.cross_entropy(logits, label, ignore_index=IGNORED, reduction="none")
    return loss[(label != IGNORED) & (confidence >= threshold)].sum() / pixels


def percentile(values: Tensor, percent: float) -> float:
    """By numpy on the host, as the public codes have it."""
    return float(np.percentile(values.cpu().numpy().flatten(), percent))


def decoded(model: SegmentationModel, low: Tensor, top: Tensor, size: torch.Size) -> Tensor:
    """Logits (N, C, *size) of DeepLabV3+ from low-level and last features."""
    extractor: Any = model.feature_extractor
    context = upsample(extractor.head(extractor.aspp(top)), (low.shape[2], low.shape[3]))
    fused = torch.cat([extractor.low_level(low), context], 1)
    return upsample(model.mask_predictor(fused), (size[0], size[1]))
