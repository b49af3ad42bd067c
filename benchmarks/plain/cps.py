"""Cross pseudo supervision with CutMix: two students, each learns the labels that the other gives in training mode.

Numbers: docs/explanation/method.md, "Departures of the rivals".
"""

from __future__ import annotations

import torch

from benchmarks.plain.shared import Batch, Drawn, Start, Step, cut_mix, descend, label_loss, labels_of


class PlainCPS(Step):
    """Weak, mixed and labeled images pass by themselves, in this order."""

    def begin(self, start: Start) -> None:
        self.students = [self.student, start.network(1)]
        for student in self.students:
            self.optimizer_of(student, student)

    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        self.set_lr(iteration)
        image = cut_mix(batch.weak, drawn.boxes[0])
        labels = []
        for student in self.students:
            with torch.no_grad():
                label, _ = labels_of(student.train()(batch.weak), batch.padding)
            labels.append(cut_mix(label, drawn.boxes[0]))
        losses: dict[str, float] = {}
        both = zip(self.students, self.optimizers, reversed(labels), ("", "2"), strict=True)
        for student, optimizer, of_the_other, number in both:
            unsupervised = label_loss(student(image), of_the_other)
            supervised = label_loss(student(batch.image), batch.mask)
            descend(optimizer, supervised + unsupervised)
            losses |= {f"loss/supervised{number}": supervised.item(), f"loss/unsupervised{number}": unsupervised.item()}
        return losses
