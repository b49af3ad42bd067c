"""GTA with the head of representations that its public code trains with a loss of zero; and GTA without its assistant.

Steps and numbers: docs/explanation/method.md, "One step".
"""

from __future__ import annotations

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.plain.shared import (
    IGNORED,
    Batch,
    Drawn,
    Start,
    Step,
    TaughtStep,
    average,
    cut_mix,
    descend,
    frozen_copy,
    label_loss,
    labels_of,
    percentile,
    ramp,
)
from gta.models import SegmentationModel
from gta.models.segmentation import upsample

KEPT_PERCENT = 80


class TwoHeads(nn.Module):
    """A segmentation network with a head of representations on its fused features."""

    def __init__(self, model: SegmentationModel, representation: nn.Module) -> None:
        super().__init__()
        self.model, self.representation = model, representation

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3, h, w) -> logits (N, C, h, w), the same on the grid of the fused features, representations there."""
        fused, _ = self.model.feature_extractor(images)
        small = self.model.mask_predictor(fused)
        return upsample(small, (images.shape[2], images.shape[3])), small, self.representation(fused)


class PlainGTA(Step):
    """Student, assistant and teacher begin as copies of one network."""

    def begin(self, start: Start) -> None:
        self.pupil = TwoHeads(self.student, start.head(self.student))
        self.assistant = copy.deepcopy(self.pupil)
        self.teacher = frozen_copy(self.pupil)
        self.optimizer = self.optimizer_of(self.student, self.pupil)
        self.assistants_optimizer = self.optimizer_of(self.assistant.model, self.assistant)

    @property
    def scored(self) -> SegmentationModel:
        return cast(SegmentationModel, self.teacher.model)

    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        self.set_lr(iteration)
        with torch.no_grad():
            pseudo, _ = labels_of(self.teacher.eval()(batch.weak)[0], batch.padding)
        pseudo = cut_mix(pseudo, drawn.boxes[0])
        joint = torch.cat([batch.image, cut_mix(batch.weak, drawn.boxes[0])])
        labeled = len(batch.image)

        logits, _, unused = self.assistant.train()(joint)
        with torch.no_grad():
            confidence = self.teacher.train()(joint)[0].softmax(1).max(1).values[labeled:]
        unsupervised = weighted(logits[labeled:], pseudo, confidence)
        descend(self.assistants_optimizer, unsupervised + 0 * unused.sum())

        decay = ramp(iteration, self.schedule.ema_decay)
        average(self.student.feature_extractor.parameters(), self.assistant.model.feature_extractor.parameters(), decay)
        logits, _, unused = self.pupil.train()(joint)
        supervised = label_loss(logits[:labeled], batch.mask)
        descend(self.optimizer, supervised + 0 * unused.sum())
        average(self.teacher.parameters(), self.pupil.parameters(), decay)
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}


class PlainStudentTeacher(TaughtStep):
    """The student itself learns the pseudo-labels; no head of representations."""

    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        self.set_lr(iteration)
        with torch.no_grad():
            pseudo, _ = labels_of(self.teacher.eval()(batch.weak), batch.padding)
        pseudo = cut_mix(pseudo, drawn.boxes[0])
        joint = torch.cat([batch.image, cut_mix(batch.weak, drawn.boxes[0])])
        labeled = len(batch.image)

        with torch.no_grad():
            confidence = self.teacher.train()(joint).softmax(1).max(1).values[labeled:]
        logits = self.student.train()(joint)
        supervised = label_loss(logits[:labeled], batch.mask)
        unsupervised = weighted(logits[labeled:], pseudo, confidence)
        descend(self.optimizer, supervised + unsupervised)
        average(self.teacher.parameters(), self.student.parameters(), ramp(iteration, self.schedule.ema_decay))
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}


def weighted(logits: Tensor, pseudo: Tensor, confidence: Tensor) -> Tensor:
    """The unlabeled loss: the most confident pixels, weighted by 1 + confidence, over the weights of all pixels."""
    valid = pseudo != IGNORED
    kept = valid & (confidence > percentile(confidence[valid], 100 - KEPT_PERCENT))
    weight = 1 + torch.where(kept, confidence, torch.zeros_like(confidence))
    loss = F.cross_entropy(logits, pseudo, ignore_index=IGNORED, reduction="none")
    return (weight * loss)[kept].sum() / weight[valid].sum()
