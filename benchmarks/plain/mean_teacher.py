"""Mean teacher, and CutMix-Seg: the student is to have the teacher's probabilities.

The teacher predicts in training mode. Numbers: docs/explanation/method.md, "Departures of the rivals".
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.plain.shared import IGNORED, Batch, Drawn, TaughtStep, average, cut_mix, descend, label_loss, ramp

WEIGHT = 100


class PlainMeanTeacher(TaughtStep):
    """Squared difference, mean over classes, of labeled and unlabeled images; one batch of both in each network."""

    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        self.set_lr(iteration)
        labeled = len(batch.image)
        with torch.no_grad():
            wanted = self.teacher.train()(torch.cat([batch.image, batch.weak])).softmax(1)
        logits = self.student.train()(torch.cat([batch.image, batch.strong]))
        supervised = label_loss(logits[:labeled], batch.mask)
        there = torch.cat([batch.mask != IGNORED, ~batch.padding])
        unsupervised = squares(logits, wanted)[there].mean() / logits.shape[1]
        descend(self.optimizer, supervised + WEIGHT * unsupervised)
        average(self.teacher.parameters(), self.student.parameters(), ramp(iteration, self.schedule.ema_decay))
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}


class PlainCutMix(TaughtStep):
    """Sum over classes of squared differences, on mixed weak views, times the share of pixels that are sure.

    Labeled and mixed images pass by themselves, in this order; BatchNorm's statistics are averaged too.
    """

    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        self.set_lr(iteration)
        with torch.no_grad():
            wanted = self.teacher.train()(batch.weak).softmax(1)
        image, wanted, padding = (cut_mix(x, drawn.boxes[0]) for x in (batch.weak, wanted, batch.padding))
        self.student.train()
        supervised = label_loss(self.student(batch.image), batch.mask)
        there = ~padding
        share = (wanted.max(1).values[there] >= self.threshold).to(wanted.dtype).mean()
        unsupervised = share * squares(self.student(image), wanted)[there].mean()
        descend(self.optimizer, supervised + unsupervised)
        decay = ramp(iteration, self.schedule.ema_decay)
        average(self.teacher.parameters(), self.student.parameters(), decay)
        average(self.teacher.buffers(), self.student.buffers(), decay)
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}


def squares(logits: Tensor, wanted: Tensor) -> Tensor:
    """(B, h, w): sum over classes of the squared difference of the logits' softmax."""
    return ((logits.softmax(1) - wanted) ** 2).sum(1)
