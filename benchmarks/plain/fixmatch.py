"""FixMatch and UniMatch V1 as UniMatch's code has them: the student labels its weak view.

What a box brings along has its label of evaluation mode. Numbers: docs/explanation/method.md, "Departures of the
rivals".
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.plain.shared import (
    IGNORED,
    Batch,
    Drawn,
    Step,
    cut_mix,
    decoded,
    descend,
    label_loss,
    labels_of,
    sure_loss,
)


class PlainFixMatch(Step):
    """[labeled, weak] pass as one batch, the strong view by itself; half of the sum of the losses."""

    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        self.set_lr(iteration)
        box, labeled = drawn.boxes[0], len(batch.image)
        with torch.no_grad():
            pasted = labels_of(self.student.eval()(batch.weak), batch.padding)
        self.student.train()
        logits = self.student(torch.cat([batch.image, batch.weak]))
        learner = self.student(cut_mix(batch.strong, box))
        own = labels_of(logits[labeled:].detach(), batch.padding)
        supervised = label_loss(logits[:labeled], batch.mask)
        unsupervised = self.of_mixed(learner, own, pasted, box)
        descend(self.optimizer, (supervised + unsupervised) / 2)
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}

    def of_mixed(
        self, logits: Tensor, own: tuple[Tensor, Tensor], pasted: tuple[Tensor, Tensor], box: Tensor
    ) -> Tensor:
        """The loss of a strong view: over all pixels that are not padding."""
        label, confidence = (cut_mix(mine, box, theirs) for mine, theirs in zip(own, pasted, strict=True))
        return sure_loss(logits, label, confidence, self.threshold, int((label != IGNORED).sum().item()))


class PlainUniMatch(PlainFixMatch):
    """Two strong views, and the weak one through low-level and last features that lose half of their planes."""

    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        self.set_lr(iteration)
        labeled = len(batch.image)
        with torch.no_grad():
            pasted = labels_of(self.student.eval()(batch.weak), batch.padding)
        self.student.train()
        logits, dropped = self.with_dropped(torch.cat([batch.image, batch.weak]), drawn).chunk(2)
        views = [cut_mix(view, box) for view, box in zip((batch.strong, batch.strong2), drawn.boxes, strict=True)]
        first, second = self.student(torch.cat(views)).chunk(2)
        own = labels_of(logits[labeled:].detach(), batch.padding)
        supervised = label_loss(logits[:labeled], batch.mask)
        of_first, of_second = (
            self.of_mixed(learner, own, pasted, box) for learner, box in zip((first, second), drawn.boxes, strict=True)
        )
        pixels = int((~batch.padding).sum().item())
        of_dropped = sure_loss(dropped[labeled:], *own, self.threshold, pixels)
        unsupervised = of_first * 0.25 + of_second * 0.25 + of_dropped * 0.5
        descend(self.optimizer, (supervised + unsupervised) / 2)
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}

    def with_dropped(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Logits of the images, and of the same through dropped features; the decoder sees both as one batch."""
        low, _, top = self.student.encoder(images)
        low, top = (
            torch.cat([x, torch.where(kept[:, :, None, None], x / 0.5, torch.zeros_like(x))])
            for x, kept in zip((low, top), drawn.kept, strict=True)
        )
        return decoded(self.student, low, top, images.shape[2:])
