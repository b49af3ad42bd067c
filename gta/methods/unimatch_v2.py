"""UniMatch V2: two strong views learn the teacher's labels through complementary dropout (Yang et al., TPAMI 2025).

The numbers are those of github.com/LiheYoung/UniMatch-V2, unimatch_v2.py, and those of its fixmatch.py are the row
fixmatch_v2 (docs/explanation/method.md). Its network, DINOv2 with DPT, is a matter of `model`: this runs over any.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor

from gta.methods.fixmatch import FixMatch
from gta.methods.mixing import mix_all
from gta.methods.settings import UniMatchV2Config
from gta.models import SegmentationModel
from gta.ops.batch import Labeled, Part, PseudoLabeled, Unlabeled
from gta.ops.distributed import unwrap
from gta.ops.dropout import drop_complements
from gta.ops.losses import thresholded_cross_entropy


class UniMatchV2(FixMatch):
    """A teacher from the warm-up's end (`schedule.warm_up=0`: from the first step), which is scored.

    The CutMix partner of an image is its mirror in the group: the last one's is the first.
    """

    Config = UniMatchV2Config
    teacher = True
    headline = "teacher"

    @property
    def strong_views(self) -> int:
        return int(self.config.views)

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        # 1. The teacher labels the weak view; each strong view is mixed, labels and all, by boxes of its own.
        taught = [(labeled, self.views(unlabeled, iteration)) for labeled, unlabeled in parts]

        # 2. The student learns from labels and pseudo-labels.
        values = self.update("student", self.taught_loss, taught)

        # 3. The teacher follows, statistics too, where there are any.
        self.update_teacher(iteration, self.config.teacher_decay)
        return values

    def views(self, unlabeled: Unlabeled, iteration: int) -> list[PseudoLabeled]:
        """The strong views with the teacher's labels, mixed."""
        pseudo, confidence = self.pseudo_labels(unlabeled)
        boxes, size = self.boxes(unlabeled, iteration), self.schedule.group_size
        both = (unlabeled.strong, unlabeled.strong2)[: self.strong_views]
        return [
            mix_all(PseudoLabeled(view, pseudo, confidence), inside, size, reverse=True)
            for view, inside in zip(both, boxes, strict=True)
            if view is not None
        ]

    def taught_loss(self, labeled: Labeled, views: list[PseudoLabeled]) -> tuple[Tensor, dict[str, Tensor]]:
        assert len(views) == self.strong_views, "this method needs the strong views"
        size, config = self.schedule.group_size, self.config
        supervised, learners = self.student_passes(labeled, [view.image for view in views])
        losses, shares = [], []
        for logits, view in zip(learners, views, strict=True):
            loss, kept = thresholded_cross_entropy(logits, view.pseudo, view.confidence, config.threshold, size)
            losses.append(loss)
            shares.append(kept)
        unsupervised, kept = torch.stack(losses).mean(), torch.stack(shares).mean()
        total = config.loss_factor * (supervised + config.unsupervised_weight * unsupervised)
        return total, {"loss/supervised": supervised, "loss/unsupervised": unsupervised, "pseudo/kept": kept}

    def student_passes(self, labeled: Labeled, views: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The supervised loss, and the logits of each view."""
        images, batch = torch.cat(views), len(views[0])
        if self.config.joint_batches:
            with self.complements(len(images)):
                supervised, logits = self.student_loss(torch.cat([labeled.image, images]), labeled.mask)
        else:
            supervised, _ = self.student_loss(labeled.image, labeled.mask)
            with self.complements(len(images)):
                logits = self.forward("student", images)
        return supervised, list(logits.split(batch))

    @contextmanager
    def complements(self, count: int) -> Iterator[None]:
        """While entered, the last `count` images of a pass, which are two views, lose planes of the encoder's features.

        (By a hook, so that the wrapped network is called as DDP wants it.)
        """
        if not self.config.complementary_dropout or self.strong_views < 2:
            yield
            return

        def drop(encoder: object, inputs: object, output: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            dropped = drop_complements([x[-count:] for x in output], self.schedule.group_size)
            return tuple(torch.cat([x[:-count], lost]) for x, lost in zip(output, dropped, strict=True))

        handle = cast(SegmentationModel, unwrap(self.models["student"])).encoder.register_forward_hook(drop)
        try:
            yield
        finally:
            handle.remove()
