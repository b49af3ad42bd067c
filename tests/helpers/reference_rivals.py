"""The rivals once more, from what their public codes do: float64, one process, whole global batches.

As in reference_gta.py, only the network and torch's derivatives are shared with what is tested; boxes are handed in.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from gta import seeds
from gta.models.segmentation import upsample
from gta.ops.batch import Labeled, Unlabeled
from tests.helpers.reference_gta import IGNORED, Reference, Setting, cross_entropies, probabilities

Answer = dict[str, float]


class Rival(Reference):
    """Networks by name, trained as `step` says after the warm-up, each with labels alone before."""

    trained: tuple[str, ...] = ("student",)

    def __init__(self, networks: dict[str, nn.Module], setting: Setting, **knobs: Any) -> None:
        self.setting, self.knobs = setting, knobs
        self.networks = {name: copy.deepcopy(network) for name, network in networks.items()}
        self.velocity: dict[tuple[str, str], Tensor] = {}

    def run(self, labeled: Labeled, unlabeled: Unlabeled, boxes: list[Tensor], iteration: int) -> Answer:
        self.iteration = iteration
        if iteration >= self.setting.warm_up:
            return self.semi_supervised(labeled, unlabeled, boxes, iteration)
        answer = {}
        for name, number in zip(self.trained, ("", "2"), strict=False):
            loss = self.mean_loss(self.networks[name].train()(labeled.image), labeled.mask)
            self.descend(name, loss, iteration)
            answer[f"loss/supervised{number}"] = loss.item()
        return answer

    def semi_supervised(self, labeled: Labeled, unlabeled: Unlabeled, boxes: list[Tensor], iteration: int) -> Answer:
        """What a step is after the warm-up: each rival says it."""
        raise NotImplementedError

    def mean_loss(self, logits: Tensor, labels: Tensor, sure: Tensor | None = None, threshold: float = 0.0) -> Tensor:
        """Mean over groups of: sum of the CE of the pixels that are sure, over the number of those with a label."""
        means = []
        for group in self.groups(len(labels)):
            means.append(
                self.pixel_mean(logits[group], labels[group], None if sure is None else sure[group], threshold)
            )
        return torch.stack(means).sum() / len(means)

    def pixel_mean(self, logits: Tensor, labels: Tensor, sure: Tensor | None, threshold: float) -> Tensor:
        total, count = torch.zeros((), dtype=torch.float64), 0
        chances = [1.0] * labels.numel() if sure is None else sure[labels != IGNORED].tolist()
        for loss, chance in zip(cross_entropies(logits, labels), chances, strict=False):
            count += 1
            if chance >= threshold:
                total = total + loss
        return total / max(count, 1)

    def mixed(self, values: Tensor, boxes: Tensor, pasted: Tensor | None = None, reverse: bool = False) -> Tensor:
        """Inside the boxes, the pixels of the next image of the group (`reverse`: of image B - 1 - i of its B images);
        those of `pasted` where that is another.
        """
        size, source, out = self.setting.group_size, values if pasted is None else pasted, values.clone()
        for i in range(len(values)):
            start = i // size * size
            partner = start + (size - 1 - (i - start) if reverse else (i + 1 - start) % size)
            out[i][..., boxes[i]] = source[partner][..., boxes[i]]
        return out


def labels_of(logits: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
    """Classes (255 where padded) and their probability."""
    chances = probabilities(logits.detach())
    labels = chances.argmax(1)
    labels[padding] = IGNORED
    return labels, chances.amax(1)


class FixMatchReference(Rival):
    """Labeled and weak images in one pass, strong ones in another; L = (L_x + L_u) / 2."""

    def semi_supervised(self, labeled: Labeled, unlabeled: Unlabeled, boxes: list[Tensor], iteration: int) -> Answer:
        student, count, padding = self.networks["student"], len(labeled.image), unlabeled.padding
        with torch.no_grad():
            pasted = labels_of(student.eval()(unlabeled.weak), padding)
        student.train()
        strong = [view for view in (unlabeled.strong, unlabeled.strong2)[: len(boxes)] if view is not None]
        views = [self.mixed(view, inside) for view, inside in zip(strong, boxes, strict=True)]
        on_labeled, on_weak, learners = self.passes(student, labeled.image, unlabeled.weak, views)
        assert len(on_labeled) == count
        own = labels_of(on_weak, padding)

        supervised = self.mean_loss(on_labeled, labeled.mask)
        boxes = boxes + [torch.zeros_like(padding)] * (len(learners) - len(boxes))
        unsupervised = torch.zeros((), dtype=torch.float64)
        for logits, inside, weight in zip(learners, boxes, self.knobs["weights"], strict=True):
            target, sure = (self.mixed(mine, inside, theirs) for mine, theirs in zip(own, pasted, strict=True))
            unsupervised = unsupervised + weight * self.mean_loss(logits, target, sure, self.knobs["threshold"])
        self.descend("student", (supervised + unsupervised) / self.knobs.get("divisor", 2), iteration)
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}

    def passes(
        self, student: nn.Module, image: Tensor, weak: Tensor, views: list[Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        count = len(image)
        if self.knobs.get("joint"):
            logits = student(torch.cat([image, weak, *views])).split(count)
            return logits[0], logits[1], list(logits[2:])
        first, second = student(torch.cat([image, weak])), student(torch.cat(views))
        return first[:count], first[count:], list(second.split(count))


class UniMatchReference(FixMatchReference):
    """Two strong views, and the weak one through features of which half of the planes are dropped."""

    def passes(
        self, student: Any, image: Tensor, weak: Tensor, views: list[Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        count = len(image)
        if self.knobs.get("joint"):
            logits = self.decoded_twice(student, torch.cat([image, *views, weak]), 1, count).split(count)
            return logits[0], logits[3], [logits[1], logits[2], logits[4]]
        first = self.decoded_twice(student, torch.cat([image, weak]), 2, count).split(count)
        second = student(torch.cat(views)).split(count)
        return first[0], first[1], [*second, first[3]]

    def decoded_twice(self, student: Any, images: Tensor, views: int, count: int) -> Tensor:
        """Logits of the images, then of the last views through features with planes dropped: one decoder pass."""
        extractor, size = student.feature_extractor, images.shape[2:]
        low, _, top = extractor.encoder(images)
        draws = seeds.dropout(0, "student", self.iteration, 0)
        features = []
        for x in (low, top):
            kept = torch.from_numpy(draws.random((views, count, x.shape[1]), dtype="float32") >= 0.5).flatten(0, 1)
            features.append(torch.cat([x, 2 * x[-views * count :] * kept[:, :, None, None]]))
        context = upsample(extractor.head(extractor.aspp(features[1])), low.shape[2:])
        return upsample(student.mask_predictor(torch.cat([extractor.low_level(features[0]), context], 1)), size)


class CPSReference(Rival):
    """Two students; the unlabeled images pass by themselves, before the labeled ones."""

    trained = ("student", "student2")

    def semi_supervised(self, labeled: Labeled, unlabeled: Unlabeled, boxes: list[Tensor], iteration: int) -> Answer:
        students = [self.networks[name] for name in self.trained]
        image, weak, count = labeled.image, unlabeled.weak, len(labeled.image)
        if self.knobs["cutmix"]:
            with torch.no_grad():
                made = [labels_of(s.train(self.knobs["training"])(weak), unlabeled.padding)[0] for s in students]
            weak, made = self.mixed(weak, boxes[0]), [self.mixed(labels, boxes[0]) for labels in made]
        logits = []  # of each student, on labeled and unlabeled images
        for student in students:
            student.train()
            if self.knobs.get("joint"):
                logits.append(student(torch.cat([image, weak])).split(count))
            else:
                on_unlabeled = student(weak)
                logits.append((student(image), on_unlabeled))
        answer, losses = {}, []
        for mine, other, number in ((0, 1, ""), (1, 0, "2")):
            supervised = self.mean_loss(logits[mine][0], labeled.mask)
            if self.knobs["cutmix"]:
                cross = self.mean_loss(logits[mine][1], made[other])
            else:
                theirs = torch.cat([labels_of(x, p)[0] for x, p in zip(
                    logits[other], (labeled.mask == IGNORED, unlabeled.padding), strict=True)])  # fmt: skip
                means = []
                for g in self.groups(count):
                    both = [*range(g.start, g.stop), *range(count + g.start, count + g.stop)]
                    means.append(self.pixel_mean(torch.cat(logits[mine])[both], theirs[both], None, 0.0))
                cross = torch.stack(means).sum() / len(means)
            losses.append(supervised + self.knobs["weight"] * cross)
            answer |= {f"loss/supervised{number}": supervised.item(), f"loss/unsupervised{number}": cross.item()}
        for name, loss in zip(self.trained, losses, strict=True):
            self.descend(name, loss, iteration)
        return answer


class MeanTeacherReference(Rival):
    """Mean teacher and CutMix-Seg: squared differences of probabilities, or cross-entropy against hard labels."""

    def semi_supervised(self, labeled: Labeled, unlabeled: Unlabeled, boxes: list[Tensor], iteration: int) -> Answer:
        knobs, student, count = self.knobs, self.networks["student"], len(labeled.image)
        if "teacher" not in self.networks:
            self.networks["teacher"] = copy.deepcopy(student)
        teacher = self.networks["teacher"].train(knobs["training"])
        image = unlabeled.strong if knobs["strong"] else unlabeled.weak
        assert image is not None
        with torch.no_grad():
            seen = torch.cat([labeled.image, unlabeled.weak]) if knobs["on_labeled"] else unlabeled.weak
            said = probabilities(teacher(seen))
        chances, padding = said[-count:], unlabeled.padding
        if boxes:
            image, chances, padding = (self.mixed(values, boxes[0]) for values in (image, chances, padding))

        student.train()
        if knobs["joint"]:
            on_labeled, on_unlabeled = student(torch.cat([labeled.image, image])).split(count)
        else:
            on_labeled, on_unlabeled = student(labeled.image), student(image)
        supervised = self.mean_loss(on_labeled, labeled.mask)

        means = []
        for group in self.groups(count):
            if knobs["hard"]:
                labels = chances[group].argmax(1)
                labels[padding[group]] = IGNORED
                means.append(self.pixel_mean(on_unlabeled[group], labels, chances[group].amax(1), knobs["threshold"]))
                continue
            pixels = differences(on_unlabeled[group], chances[group], padding[group])
            if knobs["on_labeled"]:
                pixels += differences(on_labeled[group], said[:count][group], labeled.mask[group] == IGNORED)
            share = sum(float(chance) >= knobs["threshold"] for _, chance in pixels) / len(pixels)
            means.append(share * torch.stack([difference for difference, _ in pixels]).sum() / len(pixels))
        unsupervised = torch.stack(means).sum() / len(means)
        if knobs["mean"]:
            unsupervised = unsupervised / chances.shape[1]
        self.descend("student", supervised + knobs["weight"] * unsupervised, iteration)
        self.average("teacher", "student", iteration - self.setting.warm_up, None, ("",), buffers=knobs["buffers"])
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}


def differences(logits: Tensor, chances: Tensor, nowhere: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Of each pixel: sum over classes of (softmax - chance)^2, and the largest chance."""
    found, soft = [], probabilities(logits)
    for i, y, x in torch.nonzero(~nowhere).tolist():
        found.append((((soft[i, :, y, x] - chances[i, :, y, x]) ** 2).sum(), chances[i, :, y, x].max()))
    return found


class UniMatchV2Reference(Rival):
    """Teacher's labels, two views through complementary dropout; L = (L_x + (L_1 + L_2) / 2) / 2."""

    def semi_supervised(self, labeled: Labeled, unlabeled: Unlabeled, boxes: list[Tensor], iteration: int) -> Answer:
        student, count = self.networks["student"], len(labeled.image)
        if "teacher" not in self.networks:
            self.networks["teacher"] = copy.deepcopy(student)
        with torch.no_grad():
            labels, sure = labels_of(self.networks["teacher"].eval()(unlabeled.weak), unlabeled.padding)
        student.train()
        strong = [view for view in (unlabeled.strong, unlabeled.strong2)[: len(boxes)] if view is not None]
        views = [self.mixed(view, inside, reverse=True) for view, inside in zip(strong, boxes, strict=True)]
        if self.knobs["joint"]:
            on_labeled, *learners = student(torch.cat([labeled.image, *views])).split(count)
        else:
            on_labeled = student(labeled.image)
            learners = list(self.complementary(student, torch.cat(views), count).split(count))
        supervised = self.mean_loss(on_labeled, labeled.mask)
        losses = []
        for logits, inside in zip(learners, boxes, strict=True):
            target, chance = (self.mixed(values, inside, reverse=True) for values in (labels, sure))
            losses.append(self.mean_loss(logits, target, chance, self.knobs["threshold"]))
        unsupervised = torch.stack(losses).sum() / len(losses)
        self.descend("student", (supervised + unsupervised) / 2, iteration)
        self.average("teacher", "student", iteration - self.setting.warm_up, self.knobs["decay"], ("",), buffers=True)
        return {"loss/supervised": supervised.item(), "loss/unsupervised": unsupervised.item()}

    def complementary(self, student: Any, images: Tensor, count: int) -> Tensor:
        """Logits of two views; of each image half of the planes, doubled, in the one, and the others in the other."""
        draws, size = seeds.dropout(0, "student", self.iteration, 0), self.setting.group_size
        order = draws.random((count, 1), dtype="float32")[:, 0]
        whole = []
        for group in self.groups(count):
            ranked = sorted(range(group.start, group.stop), key=lambda i: order[i])
            whole += ranked[: size // 2]
        masks: dict[int, Tensor] = {}
        features = []
        for x in student.encoder(images):
            if x.shape[1] not in masks:
                coins = draws.random((count, x.shape[1]), dtype="float32")
                masks[x.shape[1]] = torch.tensor([[2.0 if coin < 0.5 else 0.0 for coin in row] for row in coins])
            lost = x.clone()
            for i in range(count):
                for plane, first in enumerate(masks[x.shape[1]][i].tolist()):
                    lost[i, plane] = x[i, plane] * (1.0 if i in whole else first)
                    lost[count + i, plane] = x[count + i, plane] * (1.0 if i in whole else 2.0 - first)
            features.append(lost)
        extractor, (low, _, top) = student.feature_extractor, features
        context = upsample(extractor.head(extractor.aspp(top)), low.shape[2:])
        fused = torch.cat([extractor.low_level(low), context], 1)
        return upsample(student.mask_predictor(fused), images.shape[2:])
