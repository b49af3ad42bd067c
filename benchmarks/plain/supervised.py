"""Labels alone."""

from __future__ import annotations

from benchmarks.plain.shared import Batch, Drawn, Step, descend, label_loss


class PlainSupervised(Step):
    """Also of `fully_supervised`, whose labeled images are more, and whose step is the same."""

    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        self.set_lr(iteration)
        supervised = label_loss(self.student.train()(batch.image), batch.mask)
        descend(self.optimizer, supervised)
        return {"loss/supervised": supervised.item()}
