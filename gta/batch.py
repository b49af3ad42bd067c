"""What a training step is given: a labeled and an unlabeled batch, this rank's share of each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Labeled:
    """Labeled images and their masks; always whole groups of `schedule.group_size` consecutive images."""

    image: Tensor  # (B, 3, h, w) float32, normalised
    mask: Tensor  # (B, h, w) int64 class indices; 255 (also where padded) is ignored
    first_group: int = 0  # global index of this rank's first group

    def to(self, device: torch.device | str) -> Labeled:
        """The same batch on `device`."""
        return Labeled(_move(self.image, device), _move(self.mask, device), self.first_group)


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
        strong, strong2 = (None if view is None else _move(view, device) for view in (self.strong, self.strong2))
        return Unlabeled(_move(self.weak, device), strong, _move(self.padding, device), self.first_group, strong2)


def _move(tensor: Tensor, device: torch.device | str) -> Tensor:
    return tensor.to(device=device, non_blocking=True)
