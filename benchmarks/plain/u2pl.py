"""U2PL as its paper has it: unreliable pixels as negatives, out of a memory on the host, class by class.

Steps and numbers: docs/explanation/method.md, "U2PL".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.plain.gta import TwoHeads
from benchmarks.plain.shared import (
    IGNORED,
    Batch,
    Drawn,
    Start,
    Step,
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

UNRELIABLE_PERCENT = 20
LOW_RANK, HIGH_RANK = 3, 20
ANCHORS, NEGATIVES = 256, 50
TEMPERATURE = 0.5
CONTRAST_WEIGHT = 0.1


@dataclass
class Grid:
    """What the teacher says in training mode of labeled, then mixed images, on the grid of the fused features."""

    label: Tensor  # (2 B, h', w') int64: label or pseudo-label
    low: Tensor  # (2 B, h', w') bool: labeled, or of low entropy
    high: Tensor  # (2 B, h', w') bool: labeled, or of high entropy
    chances: Tensor  # (2 B, C, h', w')
    vectors: Tensor  # (2 B, h', w', width)


class PlainU2PL(Step):
    """Student and teacher with a head of representations each; the teacher is scored."""

    def begin(self, start: Start) -> None:
        self.pupil = TwoHeads(self.student, start.head(self.student))
        self.teacher = frozen_copy(self.pupil)
        self.optimizer = self.optimizer_of(self.student, self.pupil)
        first, others = start.memory
        self.sizes = [first] + [others] * (self.student.num_classes - 1)
        self.memory = [torch.zeros(0, self.student.planes) for _ in self.sizes]

    @property
    def scored(self) -> SegmentationModel:
        return cast(SegmentationModel, self.teacher.model)

    def step(self, batch: Batch, drawn: Drawn, iteration: int) -> dict[str, float]:
        self.set_lr(iteration)
        percent = UNRELIABLE_PERCENT * (1 - iteration / self.schedule.iterations)
        with torch.no_grad():
            pseudo, _ = labels_of(self.teacher.eval()(batch.weak)[0], batch.padding)
        pseudo = cut_mix(pseudo, drawn.boxes[0])
        joint = torch.cat([batch.image, cut_mix(batch.weak, drawn.boxes[0])])
        labeled = len(batch.image)

        with torch.no_grad():
            large, small, represented = self.teacher.train()(joint)
            logarithms = large[labeled:].log_softmax(1)
            entropy = -(logarithms.exp() * logarithms).sum(1)
        grid = on_grid(batch.mask, pseudo, entropy, small, represented, percent)
        self.remember(grid)

        logits, _, represented = self.pupil.train()(joint)
        supervised = label_loss(logits[:labeled], batch.mask)
        unsupervised = reliable(logits[labeled:], pseudo, entropy, percent)
        contrast = self.contrast(represented.permute(0, 2, 3, 1), grid, drawn)
        descend(self.optimizer, supervised + unsupervised + CONTRAST_WEIGHT * contrast)
        average(self.teacher.parameters(), self.pupil.parameters(), ramp(iteration, self.schedule.ema_decay))
        return {
            "loss/supervised": supervised.item(),
            "loss/unsupervised": unsupervised.item(),
            "loss/contrast": contrast.item(),
        }

    def remember(self, grid: Grid) -> None:
        """Negatives of each class: of mixed images, unsure pixels for which it has a middle rank; of labeled ones,
        pixels of another class for which it has a high rank. The oldest are forgotten.
        """
        labeled = len(grid.label) // 2
        ranks = grid.chances.argsort(1, descending=True).argsort(1)
        for one in range(len(self.memory)):
            rank = ranks[:, one]
            unlikely = grid.high[labeled:] & (rank[labeled:] >= LOW_RANK) & (rank[labeled:] < HIGH_RANK)
            confused = grid.high[:labeled] & (grid.label[:labeled] != one) & (rank[:labeled] < LOW_RANK)
            new = grid.vectors[torch.cat([confused, unlikely])]
            self.memory[one] = torch.cat([self.memory[one], new.cpu()])[-self.sizes[one] :]

    def contrast(self, vectors: Tensor, grid: Grid, drawn: Drawn) -> Tensor:
        """Of each class that has a sure pixel: anchors, the student's `vectors` (2 B, h', w', width) there, are to tell
        the teacher's mean vector of the class from negatives.
        """
        assert drawn.numbers is not None
        total = 0 * vectors.sum()
        present = grid.label[grid.low].unique().tolist()
        if len(present) < 2:
            return total
        for one in present:
            of_class = grid.low & (grid.label == one)
            anchors = vectors[of_class & (grid.chances[:, one] > self.threshold)]
            negatives = self.memory[one]
            if not len(anchors) or not len(negatives):
                continue
            numbers = drawn.numbers(one)
            anchors = anchors[torch.from_numpy(numbers.integers(len(anchors), size=ANCHORS)).to(vectors.device)]
            chosen = negatives[torch.from_numpy(numbers.integers(len(negatives), size=(ANCHORS, NEGATIVES)))]
            positive = grid.vectors[of_class].mean(0).expand(ANCHORS, 1, -1)
            keys = torch.cat([positive, chosen.to(vectors.device)], 1)
            likeness = F.cosine_similarity(anchors[:, None], keys, dim=2) / TEMPERATURE
            first = torch.zeros(ANCHORS, dtype=torch.int64, device=vectors.device)
            total = total + F.cross_entropy(likeness, first)
        return total / len(present)


def on_grid(mask: Tensor, pseudo: Tensor, entropy: Tensor, small: Tensor, represented: Tensor, percent: float) -> Grid:
    """Labels and masks come to the grid by the nearest pixel."""
    valid, known = pseudo != IGNORED, mask != IGNORED
    low = valid & (entropy <= percentile(entropy[valid], percent))
    high = valid & (entropy >= percentile(entropy[valid], 100 - percent))
    label, sure, unsure = (
        F.interpolate(torch.cat(pair)[:, None].float(), size=small.shape[2:], mode="nearest")[:, 0]
        for pair in ((mask, pseudo), (known, low), (known, high))
    )
    return Grid(label.long(), sure.bool(), unsure.bool(), small.softmax(1), represented.permute(0, 2, 3, 1))


def reliable(logits: Tensor, pseudo: Tensor, entropy: Tensor, percent: float) -> Tensor:
    """Mean cross-entropy of the K of N pixels that are not of the highest entropy, times N / K."""
    valid = pseudo != IGNORED
    target = pseudo.clone()
    target[entropy >= percentile(entropy[valid], 100 - percent)] = IGNORED
    kept = (target != IGNORED).sum().item()
    return valid.sum().item() / kept * F.cross_entropy(logits, target, ignore_index=IGNORED)
