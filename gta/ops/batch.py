"""What a training step is given: a labeled and an unlabeled batch, this rank's share of each, and its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from gta.config import ScheduleConfig
from gta.ops.transfer import to_device


@dataclass
class Labeled:
    """Labeled images and their masks; always whole groups of `schedule.group_size` consecutive images."""

    image: Tensor  # (B, 3, h, w) float32, normalised
    mask: Tensor  # (B, h, w) int64 class indices; 255 (also where padded) is ignored
    first_group: int = 0  # global index of this rank's first group

    def to(self, device: torch.device | str) -> Labeled:
        """The same batch on `device`."""
        return Labeled(to_device(self.image, device), to_device(self.mask, device), self.first_group)

    def pin_memory(self) -> Labeled:
        """The same batch in pinned memory, for a DataLoader."""
        return Labeled(self.image.pin_memory(), self.mask.pin_memory(), self.first_group)


@dataclass
class Unlabeled:
    """Unlabeled images in views of one geometry; always whole groups."""

    weak: Tensor  # (B, 3, h, w) float32, normalised
    strong: Tensor | None  # like weak, or None where the method does not ask for it
    padding: Tensor  # (B, h, w) bool, True where there is no image
    first_group: int = 0  # global index of this rank's first group
    strong2: Tensor | None = None  # a second, independent strong view; None where the method does not ask for it

    def to(self, device: torch.device | str) -> Unlabeled:
        """The same batch on `device`."""
        strong, strong2 = (None if view is None else to_device(view, device) for view in (self.strong, self.strong2))
        weak, padding = to_device(self.weak, device), to_device(self.padding, device)
        return Unlabeled(weak, strong, padding, self.first_group, strong2)

    def pin_memory(self) -> Unlabeled:
        """The same batch in pinned memory, for a DataLoader."""
        strong, strong2 = (None if view is None else view.pin_memory() for view in (self.strong, self.strong2))
        return Unlabeled(self.weak.pin_memory(), strong, self.padding.pin_memory(), self.first_group, strong2)


Part: TypeAlias = tuple[Labeled, Unlabeled]


@dataclass
class PseudoLabeled:
    """Unlabeled images as a trained network sees them, with what they are to teach it."""

    image: Tensor  # (B, 3, h, w)
    pseudo: Tensor  # (B, h, w) int64 class indices; 255 where padded
    confidence: Tensor  # (B, h, w) in 0 to 1; 0 where padded


def positions(schedule: ScheduleConfig, world_size: int, rank: int) -> list[int]:
    """Which images of the global batch a rank holds, in its order.

    The batch is cut into `schedule.accumulate` parts of consecutive groups, and each part is dealt out to the ranks. A
    part, which is what BatchNorm normalises, so holds the same images on any number of ranks.
    """
    whole = schedule.batch_size // schedule.accumulate
    share = whole // world_size
    first = range(rank * share, (rank + 1) * share)
    return [part * whole + place for part in range(schedule.accumulate) for place in first]


def labeled_parts(batch: Labeled, schedule: ScheduleConfig) -> list[Labeled]:
    """A rank's share of each of the `schedule.accumulate` parts of a batch."""
    images, masks = (_split(values, schedule) for values in (batch.image, batch.mask))
    firsts = _first_groups(batch.first_group, schedule)
    return [Labeled(*fields) for fields in zip(images, masks, firsts, strict=True)]


def unlabeled_parts(batch: Unlabeled, schedule: ScheduleConfig) -> list[Unlabeled]:
    """Like `labeled_parts`."""
    weak, strong, padding, strong2 = (
        [None] * schedule.accumulate if values is None else _split(values, schedule)
        for values in (batch.weak, batch.strong, batch.padding, batch.strong2)
    )
    firsts = _first_groups(batch.first_group, schedule)
    return [Unlabeled(*fields) for fields in zip(weak, strong, padding, firsts, strong2, strict=True)]  # type: ignore[arg-type]


def by_group(labeled: Tensor, unlabeled: Tensor, group_size: int) -> Tensor:
    """Values of as many labeled as unlabeled images in the order of groups: `group_size` of one, then of the other."""
    pairs = [values.reshape(-1, group_size, *values.shape[1:]) for values in (labeled, unlabeled)]
    return torch.cat(pairs, dim=1).flatten(0, 1)


def _split(values: Tensor, schedule: ScheduleConfig) -> Sequence[Tensor]:
    assert len(values) % (schedule.accumulate * schedule.group_size) == 0, "a part must hold whole groups"
    return values.chunk(schedule.accumulate)


def _first_groups(first: int, schedule: ScheduleConfig) -> list[int]:
    """Global index of the first group of each part, from that of the first part; see `positions`."""
    groups = schedule.batch_size // schedule.group_size // schedule.accumulate
    return [first + part * groups for part in range(schedule.accumulate)]
