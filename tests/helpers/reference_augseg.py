"""AugSeg once more, from the facts of its public code: float64, one process, pixel by pixel.

As in reference_rivals.py, only the network, torch's derivatives and the stream of random numbers are shared with what
is tested.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gta import seeds
from gta.ops.batch import Labeled, Unlabeled
from tests.helpers.reference_gta import IGNORED, cross_entropies, probabilities
from tests.helpers.reference_rivals import Answer, Rival

Box = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass
class Views:
    """What the student is shown, and the labels and their probability."""

    image: Tensor
    label: Tensor
    chance: Tensor

    def clone(self) -> Views:
        return Views(self.image.clone(), self.label.clone(), self.chance.clone())

    def take(self, i: int, box: Box, other: Views, j: int) -> None:
        """In image i, pixel by pixel inside the box, what image j of the other views has."""
        top, bottom, left, right = box
        for y in range(top, bottom):
            for x in range(left, right):
                self.image[i, :, y, x] = other.image[j, :, y, x]
                self.label[i, y, x] = other.label[j, y, x]
                self.chance[i, y, x] = other.chance[j, y, x]


class AugSegReference(Rival):
    """Knobs: threshold, decay (its cap), delay (steps), learned (padding, as in the code), inject."""

    injected: list[bool]  # of the images of the last step

    def semi_supervised(self, labeled: Labeled, unlabeled: Unlabeled, boxes: list[Tensor], iteration: int) -> Answer:
        student, count, padding = self.networks["student"], len(labeled.image), unlabeled.padding
        if "teacher" not in self.networks:
            self.networks["teacher"] = copy.deepcopy(student)
        if self.knobs["learned"]:
            padding = torch.zeros_like(padding)
        with torch.no_grad():
            chances = probabilities(self.networks["teacher"].eval()(unlabeled.weak))
        assert unlabeled.strong is not None
        shown = Views(unlabeled.strong.clone(), chances.argmax(1), chances.amax(1))
        shown.label[padding], shown.chance[padding] = IGNORED, 0.0
        sure = [self.sureness(chances[i], padding[i]) for i in range(count)]
        self.mix(shown, labeled, sure, iteration)

        logits = student.train()(torch.cat([labeled.image, shown.image]))
        supervised = self.mean_loss(logits[:count], labeled.mask)
        means = []
        for group in self.groups(count):
            chosen = shown.label[group].clone()
            chosen[shown.chance[group] < self.knobs["threshold"]] = IGNORED
            losses = cross_entropies(logits[count:][group], chosen)
            means.append(sum(losses, torch.zeros((), dtype=torch.float64)) / chosen.numel())
        unsupervised = torch.stack(means).sum() / len(means)
        self.descend("student", supervised + unsupervised, iteration)
        k = iteration - self.setting.warm_up
        k = 0 if k < self.knobs["delay"] else k  # the ramp is 0 there
        self.average("teacher", "student", k, self.knobs["decay"], ("",), buffers=True)
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}

    def sureness(self, chances: Tensor, padding: Tensor) -> float:
        """Mean over the pixels that count of (1 - H / ln C) p, of one image; chances (C, h, w)."""
        classes, height, width = chances.shape
        found = []
        for y in range(height):
            for x in range(width):
                if padding[y, x]:
                    continue
                pixel = chances[:, y, x].tolist()
                entropy = -sum(p * math.log(p) for p in pixel if p > 0)
                found.append((1 - entropy / math.log(classes)) * max(pixel))
        return sum(found) / max(len(found), 1)

    def mix(self, shown: Views, labeled: Labeled, sure: list[float], iteration: int) -> None:
        """One permutation and two lambdas a group; a place for each box of each image."""
        size, (height, width) = self.setting.group_size, shown.label.shape[1:]
        truth = Views(labeled.image, labeled.mask, torch.ones_like(shown.chance))
        self.injected = []
        for number, group in enumerate(self.groups(len(shown.label))):
            draws = seeds.label_injection(0, iteration, number)
            order = draws.permutation(size)
            of_labeled = self.boxes(draws, draws.beta(8, 2), size, height, width)
            of_mixed = self.boxes(draws, draws.beta(4, 4), size, height, width)
            coins = draws.random(size)
            candidates = shown.clone()
            for i in range(size):
                self.injected.append(self.knobs["inject"] and not coins[i] < sure[group.start + i])
                if self.injected[-1]:
                    candidates.take(group.start + i, of_labeled[i], truth, group.start + int(order[i]))
            for i in range(size):
                shown.take(group.start + i, of_mixed[i], candidates, group.start + int(order[i]))

    @staticmethod
    def boxes(draws: seeds.Generator, left: float, count: int, height: int, width: int) -> list[Box]:
        """Sides of sqrt(1 - lambda), half of them on each side of a centre, cut off at the border."""
        tall, wide = int((1 - left) ** 0.5 * height), int((1 - left) ** 0.5 * width)
        ys = [int(y) for y in draws.integers(int(height / 8), height, count)]
        xs = [int(x) for x in draws.integers(int(width / 8), width, count)]
        found = []
        for y, x in zip(ys, xs, strict=True):
            rows, columns = (y - tall // 2, y + tall // 2), (x - wide // 2, x + wide // 2)
            found.append((*(min(max(v, 0), height) for v in rows), *(min(max(v, 0), width) for v in columns)))
        return found  # type: ignore[return-value]
