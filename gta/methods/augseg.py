"""AugSeg: strong views mixed with one another and, where the teacher is unsure, with labels (Zhao et al., 2023).

The numbers are those of github.com/ZhenZHAO/AugSeg at 7ead870 (docs/explanation/method.md). What its strong view is
made of is a matter of `data.augment`; its network and its teacher's first epoch, of `model` and `schedule`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gta import seeds
from gta.methods.base import Method
from gta.methods.settings import AS_CODE, AugSegConfig
from gta.ops.batch import Labeled, Part, PseudoLabeled, Unlabeled
from gta.ops.losses import IGNORE_INDEX, thresholded_cross_entropy
from gta.ops.transfer import to_device

# Beta distributions of the share of an image that its box leaves, if nothing is cut off: 0.8 and 0.5 on average.
OF_LABELED, OF_MIXED = (8, 2), (4, 4)


@dataclass
class Drawn:
    """What is drawn for the mixing of a part of the batch: one permutation and two sizes of boxes a group."""

    partner: Tensor  # (B) int64, the image that an image takes from, of the same group; also itself
    of_labeled: Tensor  # (B, h, w) bool, the box that may come from a labeled image
    of_mixed: Tensor  # (B, h, w) bool, the box that comes from another unlabeled image
    coins: Tensor  # (B) float64, uniform in 0 to 1


class AugSeg(Method):
    """A teacher from the warm-up's end (`schedule.warm_up=0`: from the first step), which is scored.

    Through `schedule.ema_delay` steps it is a copy of the student.
    """

    Config = AugSegConfig
    teacher = True
    headline = "teacher"
    reports = ("loss/supervised", "loss/unsupervised", "pseudo/kept", "pseudo/injected")

    @property
    def strong_views(self) -> int:
        return 1

    def kept(self, confidence: Tensor) -> Tensor:
        return confidence >= self.config.threshold

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        # 1. and 2. The teacher labels the weak view; strong views are mixed within each group, labels and all.
        mixed = [(labeled, *self.labeled_and_mixed(labeled, unlabeled, iteration)) for labeled, unlabeled in parts]

        # 3. The student learns from labels and pseudo-labels.
        values = self.update("student", self.loss, mixed)

        # 4. The teacher follows, statistics too.
        self.update_teacher(iteration, self.config.teacher_decay)
        return values

    def labeled_and_mixed(self, labeled: Labeled, unlabeled: Unlabeled, iteration: int) -> tuple[PseudoLabeled, Tensor]:
        """The mixed strong views with their labels, and which images (B) a labeled box was put into."""
        shown, sureness = self.taught(unlabeled)
        drawn = draw(unlabeled, self.schedule.group_size, self.seed, iteration)
        injected = to_device(drawn.coins, sureness.device) >= sureness  # with probability 1 - sureness
        if not self.config.label_injection:
            injected = torch.zeros_like(injected)
        return mix(shown, labeled, drawn, injected), injected

    @torch.no_grad()
    def taught(self, unlabeled: Unlabeled) -> tuple[PseudoLabeled, Tensor]:
        """The strong views with the teacher's labels of the weak ones, and how sure it is of each image: (B), 0 to 1.

        That is the mean over its pixels of (1 - H / ln C) p: H the entropy of the C classes, p the largest chance.
        """
        self.models["teacher"].eval()
        with self.draws.of_group(unlabeled.first_group):
            chances = self.forward("teacher", unlabeled.weak).softmax(1)
        confidence, pseudo = chances.max(1)
        sure = (1 - torch.special.entr(chances).sum(1) / math.log(chances.shape[1])) * confidence
        outside = unlabeled.padding if self.config.padding != AS_CODE else torch.zeros_like(unlabeled.padding)
        pixels = (~outside).flatten(1).sum(1).clamp(min=1)
        sureness = sure.masked_fill(outside, 0.0).flatten(1).sum(1) / pixels
        pseudo, confidence = pseudo.masked_fill(outside, IGNORE_INDEX), confidence.masked_fill(outside, 0.0)
        return PseudoLabeled(self.view(unlabeled), pseudo, confidence), sureness

    def loss(self, labeled: Labeled, mixed: PseudoLabeled, injected: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        size, config = self.schedule.group_size, self.config
        supervised, logits = self.student_loss(torch.cat([labeled.image, mixed.image]), labeled.mask)
        unsupervised, kept = thresholded_cross_entropy(
            logits, mixed.pseudo, mixed.confidence, config.threshold, size, over_ignored=True
        )
        total = supervised + config.unsupervised_weight * unsupervised
        shares = {"pseudo/kept": kept, "pseudo/injected": injected.float().mean()}
        return total, {"loss/supervised": supervised, "loss/unsupervised": unsupervised, **shares}


def draw(unlabeled: Unlabeled, group_size: int, seed: int, iteration: int) -> Drawn:
    """By (seed, iteration, global index of the group) alone, never by the rank. `of_labeled` and the like: on the
    batch's device; the coins on the CPU.
    """
    count, height, width = unlabeled.padding.shape
    of_labeled, of_mixed = torch.zeros(2, count, height, width, dtype=torch.bool)
    partners, coins = [], []
    for start in range(0, count, group_size):
        generator = seeds.label_injection(seed, iteration, unlabeled.first_group + start // group_size)
        partners.append(start + torch.from_numpy(generator.permutation(group_size)))
        for inside, beta in ((of_labeled, OF_LABELED), (of_mixed, OF_MIXED)):
            draw_boxes(inside[start : start + group_size], generator.beta(*beta), generator)
        coins.append(torch.from_numpy(generator.random(group_size)))
    device = unlabeled.padding.device
    partner, first, second = (to_device(drawn, device) for drawn in (torch.cat(partners), of_labeled, of_mixed))
    return Drawn(partner, first, second, torch.cat(coins))


def draw_boxes(inside: Tensor, left: float, generator: seeds.Generator) -> None:
    """Set a box in each image of `inside` (B, h, w): sides of sqrt(1 - left) of the image's, rounded down to even
    numbers, around a centre uniform in h/8 to h and w/8 to w, cut off at the image's border.
    """
    count, height, width = inside.shape
    tall, wide = (int(math.sqrt(1 - left) * side) // 2 for side in (height, width))
    rows = generator.integers(height // 8, height, count).tolist()
    columns = generator.integers(width // 8, width, count).tolist()
    for image, y, x in zip(inside, rows, columns, strict=True):
        image[max(y - tall, 0) : y + tall, max(x - wide, 0) : x + wide] = True


def mix(shown: PseudoLabeled, labeled: Labeled, drawn: Drawn, injected: Tensor) -> PseudoLabeled:
    """Each image with a box of its partner's copy; the copy of an `injected` image (bool (B)) holds a box of the
    labeled image that is its partner, whose labels have confidence 1.
    """
    truth = PseudoLabeled(labeled.image, labeled.mask, torch.ones_like(shown.confidence))
    copy = paste(shown, truth, drawn.of_labeled & injected[:, None, None], drawn.partner)
    return paste(shown, copy, drawn.of_mixed, drawn.partner)


def paste(below: PseudoLabeled, above: PseudoLabeled, inside: Tensor, partner: Tensor) -> PseudoLabeled:
    """Inside the boxes (B, h, w), what `above` has in the image of that number (B); else what `below` has."""
    return PseudoLabeled(
        torch.where(inside[:, None], above.image[partner], below.image),
        torch.where(inside, above.pseudo[partner], below.pseudo),
        torch.where(inside, above.confidence[partner], below.confidence),
    )
