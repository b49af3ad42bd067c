"""U2PL once more, from what its public code does: float64, loops over pixels, a memory of plain lists.

As in reference_rivals.py, only the networks and torch's derivatives are shared with what is tested, and its draws;
boxes are handed in.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from gta import seeds
from gta.models.segmentation import upsample
from gta.ops.batch import Labeled, Unlabeled
from tests.helpers.reference_gta import IGNORED, Setting, probabilities
from tests.helpers.reference_rivals import Answer, Rival, labels_of

Place = tuple[int, int, int]  # image, row, column, of the small maps
HEADS = {"student": "representation", "teacher": "teacher_representation"}


class U2PLReference(Rival):
    """`networks` holds the heads too; `memory` has a list of vectors for each class, the oldest first."""

    def __init__(self, networks: dict[str, nn.Module], setting: Setting, **knobs: Any) -> None:
        super().__init__(networks, setting, **knobs)
        self.memory: list[list[Tensor]] = [[] for _ in range(knobs["classes"])]
        self.present: list[list[int]] = []  # classes that a group had, of the last step

    def semi_supervised(self, labeled: Labeled, unlabeled: Unlabeled, boxes: list[Tensor], iteration: int) -> Answer:
        knobs, count = self.knobs, len(labeled.image)
        if "teacher" not in self.networks:
            for mine, theirs in (("teacher", "student"), (HEADS["teacher"], HEADS["student"])):
                self.networks[mine] = copy.deepcopy(self.networks[theirs])
        epoch = iteration * knobs["epochs"] // self.setting.iterations
        percent = knobs["percent"] * (1 - epoch / knobs["epochs"])

        with torch.no_grad():
            labels, _ = labels_of(self.networks["teacher"].eval()(unlabeled.weak), unlabeled.padding)
        image, labels = self.mixed(unlabeled.weak, boxes[0]), self.mixed(labels, boxes[0])
        joint = torch.cat([labeled.image, image])

        with torch.no_grad():
            large, small, known = self.passed("teacher", joint)
        entropies = entropy(probabilities(large[count:]))
        chances = probabilities(small)

        groups = []
        for group in self.groups(count):
            both = [*range(group.start, group.stop), *range(count + group.start, count + group.stop)]
            groups.append(self.sorted_pixels(both, labeled.mask, labels, entropies, chances, percent))
        for pixels in groups:
            self.remember(pixels, chances, known)

        large, _, represented = self.passed("student", joint)
        supervised = self.mean_loss(large[:count], labeled.mask)
        reliable = []
        for group in self.groups(count):
            reliable.append(self.reliable(large[count:][group], labels[group], entropies[group], percent))
        unsupervised = torch.stack(reliable).sum() / len(reliable)
        contrasts = [self.contrast(pixels, known, represented, i, iteration) for i, pixels in enumerate(groups)]
        contrast = torch.stack(contrasts).sum() / len(contrasts)

        self.descend_both(supervised + unsupervised + knobs["weight"] * contrast, iteration)
        cap = 0.0 if iteration - self.setting.warm_up < knobs["tied"] else None
        for mine, theirs in (("teacher", "student"), (HEADS["teacher"], HEADS["student"])):
            self.average(mine, theirs, iteration - self.setting.warm_up, cap, ("",))
        return {
            "loss/supervised": supervised.item(),
            "loss/unsupervised": unsupervised.item(),
            "loss/contrast": contrast.item(),
        }

    def passed(self, name: str, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits as large as the images, logits on the grid of the features, representations there."""
        network: Any = self.networks[name].train()
        fused, _ = network.feature_extractor(images)
        small = network.mask_predictor(fused)
        return upsample(small, images.shape[2:]), small, self.networks[HEADS[name]].train()(fused)

    def sorted_pixels(
        self, images: list[int], mask: Tensor, labels: Tensor, entropies: Tensor, chances: Tensor, percent: float
    ) -> dict[str, Any]:
        """Anchors and centre pixels of each class, and what is a negative of which, as places."""
        count, (height, width), (rows, columns) = len(mask), mask.shape[1:], chances.shape[2:]
        values = []
        for i in images:
            if i >= count:
                values += entropies[i - count][labels[i - count] != IGNORED].tolist()
        low, high = percentile(values, percent), percentile(values, 100 - percent)
        found: dict[str, Any] = {"anchors": {}, "centre": {}, "negatives": {}}
        for i in images:
            for y in range(rows):
                for x in range(columns):
                    source = (y * height // rows, x * width // columns)
                    is_labeled = i < count
                    label = int(mask[i][source] if is_labeled else labels[i - count][source])
                    sure = unsure = label != IGNORED
                    if not is_labeled:
                        sure = sure and float(entropies[i - count][source]) <= low
                        unsure = unsure and float(entropies[i - count][source]) >= high
                    pixel = chances[i, :, y, x].tolist()
                    if sure:
                        found["centre"].setdefault(label, []).append((i, y, x))
                        if pixel[label] > self.knobs["threshold"]:
                            found["anchors"].setdefault(label, []).append((i, y, x))
                    for one in range(len(pixel)) if unsure else ():
                        if self.is_negative(one, label, is_labeled, pixel):
                            found["negatives"].setdefault(one, []).append((i, y, x))
        return found

    def is_negative(self, one: int, label: int, is_labeled: bool, chances: list[float]) -> bool:
        """Of class `one`, for a pixel of that (pseudo-)label and probabilities."""
        rank = sum(chance > chances[one] for chance in chances)
        if is_labeled:
            negative = one != label and rank < self.knobs["low_rank"]
        else:
            negative = self.knobs["low_rank"] <= rank < self.knobs["high_rank"]
        return negative and (not self.knobs["own_label"] or one == label)

    def remember(self, pixels: dict[str, Any], chances: Tensor, known: Tensor) -> None:
        for label, size in zip(range(chances.shape[1]), self.knobs["sizes"], strict=True):
            for place in pixels["negatives"].get(label, []):
                self.memory[label].append(at(known, place))
                if len(self.memory[label]) > size:
                    self.memory[label].pop(0)

    def reliable(self, logits: Tensor, labels: Tensor, entropies: Tensor, percent: float) -> Tensor:
        """(number of pixels / number of kept) x mean cross-entropy of the kept."""
        values = entropies[labels != IGNORED].tolist()
        bound = percentile(values, 100 - percent)
        losses = []
        for i, y, x in torch.nonzero(labels != IGNORED).tolist():
            if float(entropies[i, y, x]) < bound:
                z = logits[i, :, y, x]
                losses.append(torch.logsumexp(z, 0) - z[labels[i, y, x]])
        return len(values) / len(losses) * torch.stack(losses).sum() / len(losses)

    def contrast(
        self, pixels: dict[str, Any], known: Tensor, represented: Tensor, group: int, iteration: int
    ) -> Tensor:
        knobs, present = self.knobs, sorted(pixels["centre"])
        self.present.append(present)
        total = torch.zeros((), dtype=torch.float64)
        if len(present) < 2:
            return total
        for i, label in enumerate(present):
            own = i if knobs["by_place"] else label
            candidates, memory = pixels["anchors"].get(own, []), self.memory[label]
            if not candidates or not memory:
                continue
            draws = seeds.contrast(0, iteration, group, label)
            anchors = draws.integers(len(candidates), size=knobs["anchors"])
            others = draws.integers(len(memory), size=(knobs["anchors"], knobs["others"]))
            centre = torch.stack([at(known, place) for place in pixels["centre"][own]]).sum(0)
            positive = centre / len(pixels["centre"][own])
            for anchor, numbers in zip(anchors.tolist(), others.tolist(), strict=True):
                vector = at(represented, candidates[anchor])
                keys = [positive, *(memory[number] for number in numbers)]
                likeness = torch.stack([cosine(vector, key) / knobs["temperature"] for key in keys])
                total = total - (likeness[0] - likeness.exp().sum().log()) / knobs["anchors"]
        return total / len(present)

    def descend_both(self, loss: Tensor, iteration: int) -> None:
        """`descend` of the student and its head by one loss."""
        named = {(n, key): p for n in ("student", HEADS["student"]) for key, p in self.networks[n].named_parameters()}
        gradients = torch.autograd.grad(loss, list(named.values()))
        s = self.setting
        rate = s.lr * (1.0 - iteration / s.iterations) ** s.power
        with torch.no_grad():
            for (place, weight), gradient in zip(named.items(), gradients, strict=True):
                push = gradient + s.weight_decay * weight
                if place in self.velocity:
                    push = push + s.momentum * self.velocity[place]
                self.velocity[place] = push
                weight -= (rate if ".encoder." in place[1] else rate * s.decoder_lr_factor) * push


def entropy(chances: Tensor) -> Tensor:
    return -(chances * chances.log()).sum(1)


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100.0
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def at(maps: Tensor, place: Place) -> Tensor:
    i, y, x = place
    return maps[i, :, y, x]


def cosine(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).sum() / (one.square().sum().sqrt() * other.square().sum().sqrt())
