"""U2PL: pixels too unsure for a pseudo-label still say what they are not (Wang et al., CVPR 2022, arXiv 2203.03884).

The steps are those of github.com/Haochen-Wang409/U2PL, train_semi.py; where its loss departs from the paper there is a
setting with both by name (docs/explanation/method.md).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from gta import seeds
from gta.methods.base import Method
from gta.methods.settings import AS_CODE, U2PLConfig
from gta.methods.student_teacher import StudentTeacher
from gta.models import SegmentationModel
from gta.ops.batch import Labeled, Part, PseudoLabeled, by_group
from gta.ops.contrast import Pixels, Targets, as_rows, contrast, negatives, pixels_of, targets
from gta.ops.distributed import unwrap
from gta.ops.losses import entropy, full_precision, reliable_cross_entropy
from gta.ops.memory import Memory


@dataclass
class Taught:
    """What the teacher says of a part of the batch in training mode."""

    first_group: int
    entropies: Tensor  # (B, h, w), of the unlabeled images
    targets: list[Targets]  # of each group


class U2PL(StudentTeacher):
    """Student and teacher, each with a head for representations, and a memory of negatives; the teacher is scored."""

    Config = U2PLConfig
    reports = ("loss/supervised", "loss/unsupervised", "loss/contrast", "pseudo/kept")

    def kept(self, confidence: Tensor) -> Tensor:
        return Method.kept(self, confidence)  # what is left out has a high entropy, which is not asked for here

    def start(self) -> None:
        student = cast(SegmentationModel, unwrap(self.models["student"]))
        dtype = next(student.parameters()).dtype
        self.add_new("representation", lambda: student.representation_head().to(dtype), seeds.weights(self.seed, 1))
        head = copy.deepcopy(unwrap(self.models["representation"]))
        self.add("teacher_representation", head, trained=False)
        config = self.config
        sizes = [config.memory_size_first] + [config.memory_size] * (student.num_classes - 1)
        self.add("memory", Memory(sizes, student.planes).to(self.device, dtype), trained=False)

    def semi_supervised_step(self, parts: list[Part], iteration: int) -> dict[str, Tensor]:
        # 1. and 2. The teacher labels the weak view; CutMix within each group (as in student_teacher.py).
        mixed = [self.labeled_and_mixed(unlabeled, iteration) for _, unlabeled in parts]

        # 3. The teacher sees labeled and mixed images in training mode; negatives of all groups enter the memory.
        percent = self.unreliable_percent(iteration)
        taught = [(labeled, shown, self.taught(labeled, shown, unlabeled.first_group, percent))
                  for (labeled, unlabeled), shown in zip(parts, mixed, strict=True)]  # fmt: skip

        # 4. The student learns from labels, from reliable pseudo-labels and by contrast.
        loss = partial(self.loss_of, percent=percent, iteration=iteration)
        values = self.update(["student", "representation"], loss, taught)

        # 5. The teacher follows, and so does its head; their statistics are those of their own passes.
        self.update_teacher(iteration, statistics=False)
        self.update_teacher(iteration, statistics=False, pair=("teacher_representation", "representation"))
        return values

    def unreliable_percent(self, iteration: int) -> float:
        """Falls from the config's to 0, epoch by epoch; step by step where nothing says how many epochs there are."""
        epochs = self.config.epochs or self.schedule.iterations
        epoch = iteration * epochs // self.schedule.iterations
        return float(self.config.unreliable_percent * (1.0 - epoch / epochs))

    @property
    def contrast_weight(self) -> float:
        """The public code divides the contrast by its GPUs once too often; a group here is a GPU there."""
        given = self.config.contrast_weight
        return self.schedule.group_size / self.schedule.batch_size if given is None else float(given)

    @torch.no_grad()
    def taught(self, labeled: Labeled, shown: PseudoLabeled, first_group: int, percent: float) -> Taught:
        """Step 3 of a part of the batch."""
        config, size, batch = self.config, self.schedule.group_size, len(labeled.image)
        for name in ("teacher", "teacher_representation"):
            self.models[name].train()
        with self.draws.of_group(first_group), self.watching("teacher") as seen:
            logits = self.forward("teacher", torch.cat([labeled.image, shown.image]))
            representation = self.forward("teacher_representation", seen["fused"])
        entropies = entropy(logits[batch:])
        small = full_precision(seen["logits"])
        groups = [
            pixels_of(*of_group, percent=percent)
            for of_group in zip(
                labeled.mask.split(size),
                shown.pseudo.split(size),
                entropies.split(size),
                self.grouped(small),
                self.grouped(representation),
                strict=True,
            )
        ]
        self.remember(groups)
        return Taught(first_group, entropies, [targets(pixels, config.anchor_threshold) for pixels in groups])

    def remember(self, groups: list[Pixels]) -> None:
        """Add the negatives of these groups, and of those of the other ranks, to the memory."""
        config, memory = self.config, cast(Memory, self.models["memory"])
        found = [negatives(pixels, config.low_rank, config.high_rank, config.negatives == AS_CODE) for pixels in groups]
        memory.add_of_all_ranks([torch.cat(of_class) for of_class in zip(*found, strict=True)])

    def loss_of(
        self, labeled: Labeled, shown: PseudoLabeled, taught: Taught, percent: float, iteration: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Step 4 of a part of the batch."""
        config, size = self.config, self.schedule.group_size
        with self.watching("student") as seen:
            supervised, logits = self.student_loss(torch.cat([labeled.image, shown.image]), labeled.mask)
        representation = self.forward("representation", seen["fused"])
        unsupervised, kept = reliable_cross_entropy(logits, shown.pseudo, taught.entropies, percent, size)
        contrasts = [
            self.contrast(as_rows(maps), wanted, taught.first_group + number, iteration)
            for number, (maps, wanted) in enumerate(zip(self.grouped(representation), taught.targets, strict=True))
        ]
        contrasted = torch.stack(contrasts).mean()
        total = supervised + config.unsupervised_weight * unsupervised + self.contrast_weight * contrasted
        values = {"loss/supervised": supervised, "loss/unsupervised": unsupervised, "loss/contrast": contrasted}
        return total, values | {"pseudo/kept": kept}

    def contrast(self, representation: Tensor, wanted: Targets, group: int, iteration: int) -> Tensor:
        """That of one group."""
        config = self.config
        return contrast(
            representation,
            wanted,
            cast(Memory, self.models["memory"]),
            lambda label: seeds.contrast(self.seed, iteration, group, label),
            config.anchors,
            config.anchor_negatives,
            config.temperature,
            by_place=config.pairing == AS_CODE,
        )

    def grouped(self, values: Tensor) -> tuple[Tensor, ...]:
        """Values of B labeled, then B unlabeled images -> of each group: of its labeled, then its unlabeled ones."""
        labeled, unlabeled = values.chunk(2)
        return by_group(labeled, unlabeled, self.schedule.group_size).split(2 * self.schedule.group_size)

    @contextmanager
    def watching(self, name: str) -> Iterator[dict[str, Tensor]]:
        """While entered, a pass of the network of that name leaves what its heads see (`fused`) and its logits on
        that grid (`logits`). (By hooks, so that the wrapped network is called as DDP wants it.)
        """
        model = cast(SegmentationModel, unwrap(self.models[name]))
        seen: dict[str, Tensor] = {}

        def fused(part: nn.Module, inputs: object, output: tuple[Tensor, ...]) -> None:
            seen["fused"] = output[0]

        def logits(part: nn.Module, inputs: object, output: Tensor) -> None:
            seen["logits"] = output

        handles = model.fusing.register_forward_hook(fused), model.mask_predictor.register_forward_hook(logits)
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()
