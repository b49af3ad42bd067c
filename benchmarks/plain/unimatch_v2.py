"""UniMatch V2 over DeepLabV3+: a teacher's labels on two strong views, through complementary dropout, by AdamW.

Numbers: docs/explanation/method.md, "Departures of the rivals".
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.plain.shared import (
    IGNORED,
    Batch,
    Drawn,
    TaughtStep,
    average,
    cut_mix,
    decoded,
    descend,
    label_loss,
    labels_of,
    ramp,
    sure_loss,
)

CAP = 0.996  # of the teacher's decay


class PlainUniMatchV2(TaughtStep):
    """The partner of an image is its mirror in the batch; [labeled], then [both views] pass."""

    adamw = True

    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        self.set_lr(iteration)
        with torch.no_grad():
            label, confidence = labels_of(self.teacher.eval()(batch.weak), batch.padding)
        self.student.train()
        supervised = label_loss(self.student(batch.image), batch.mask)
        views = [
            cut_mix(view, box, mirrored=True)
            for view, box in zip((batch.strong, batch.strong2), drawn.boxes, strict=True)
        ]
        losses = []
        for logits, box in zip(self.complementary(torch.cat(views), drawn).chunk(2), drawn.boxes, strict=True):
            target, sure = (cut_mix(values, box, mirrored=True) for values in (label, confidence))
            pixels = int((target != IGNORED).sum().item())
            losses.append(sure_loss(logits, target, sure, self.threshold, pixels))
        unsupervised = (losses[0] + losses[1]) / 2
        descend(self.optimizer, (supervised + unsupervised) / 2)
        decay = ramp(iteration, CAP)
        average(self.teacher.parameters(), self.student.parameters(), decay)
        average(self.teacher.buffers(), self.student.buffers(), decay)
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}

    def complementary(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Logits of two views: of each image the one has the planes, doubled, that the other has not."""
        assert drawn.whole is not None
        low, _, top = self.student.encoder(images)
        features = []
        for x, kept in zip((low, top), drawn.kept, strict=True):
            first = 2 * kept.to(x.dtype)
            first[drawn.whole] = 1
            features.append(x * torch.cat([first, 2 - first])[:, :, None, None])
        return decoded(self.student, features[0], features[1], images.shape[2:])
