"""AugSeg: strong views with boxes of one another and, the likelier the less sure the teacher, of labeled images.

Numbers: docs/explanation/method.md, "Departures of the rivals".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmarks.plain.shared import Batch, Drawn, TaughtStep, average, descend, label_loss, labels_of, ramp, sure_loss

CAP = 0.999  # of the teacher's decay


class PlainAugSeg(TaughtStep):
    """[labeled, mixed] pass as one batch; the unlabeled loss is over all pixels, padding too."""

    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        self.set_lr(iteration)
        labeled = len(batch.image)
        with torch.no_grad():
            logits = self.teacher.eval()(batch.weak)
        label, confidence = labels_of(logits, batch.padding)
        image, label, confidence = mixed(batch, label, confidence, sureness(logits, batch.padding), drawn)
        logits = self.student.train()(torch.cat([batch.image, image]))
        supervised = label_loss(logits[:labeled], batch.mask)
        unsupervised = sure_loss(logits[labeled:], label, confidence, self.threshold, label.numel())
        descend(self.optimizer, supervised + unsupervised)
        decay = ramp(iteration, CAP)
        average(self.teacher.parameters(), self.student.parameters(), decay)
        average(self.teacher.buffers(), self.student.buffers(), decay)
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}


def sureness(logits: Tensor, padding: Tensor) -> list[float]:
    """Of each image: mean over its pixels of (1 - H / ln C) p; H the entropy, p the largest of C probabilities."""
    chances = logits.softmax(1)
    entropy = -(chances * logits.log_softmax(1)).sum(1)
    sure = (1 - entropy / math.log(logits.shape[1])) * chances.max(1).values
    return [sure[i][~padding[i]].mean().item() for i in range(len(sure))]


def mixed(
    batch: Batch, label: Tensor, confidence: Tensor, sure: list[float], drawn: Drawn
) -> tuple[Tensor, Tensor, Tensor]:
    """Strong views, labels and confidences: each image has a box of its partner in a copy of the batch, and what the
    teacher is less sure of has there a box of a labeled image, whose labels have confidence 1.
    """
    assert drawn.augseg is not None
    partners = drawn.augseg.partner.tolist()
    image = batch.strong.clone()
    copies = image.clone(), label.clone(), confidence.clone()
    for i, partner in enumerate(partners):
        if drawn.augseg.coins[i].item() >= sure[i]:
            box = drawn.augseg.of_labeled[i]
            copies[0][i][:, box] = batch.image[partner][:, box]
            copies[1][i][box] = batch.mask[partner][box]
            copies[2][i][box] = 1
    for i, partner in enumerate(partners):
        box = drawn.augseg.of_mixed[i]
        for below, above in zip((image, label, confidence), copies, strict=True):
            below[i][..., box] = above[partner][..., box]
    return image, label, confidence
