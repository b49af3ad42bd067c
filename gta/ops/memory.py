"""A memory of vectors by class, first in, first out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from gta.ops.distributed import gather_rows, rank
from gta.ops.transfer import to_device


class Memory(nn.Module):
    """One queue of vectors (`width` numbers each) a class, of `sizes` at most; in a state dict as long as they are.

    Every rank holds the same: `add_of_all_ranks` takes what each has found, in the order of ranks. The k-th vector ever
    added to a class lies at k modulo its size, so that a full queue is overwritten in place, and what lies where does
    not depend on how many came at once.
    """

    added: Tensor  # (C) int64: how many vectors of each class there have ever been

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.sizes, self.width = list(sizes), width
        for label in range(len(sizes)):
            self.register_buffer(f"vectors{label}", torch.zeros(0, width))
        self.register_buffer("added", torch.zeros(len(sizes), dtype=torch.int64))

    def count(self, label: int) -> int:
        """How many vectors there are of a class."""
        return len(self._vectors(label))

    def take(self, label: int, numbers: Tensor) -> Tensor:
        """Vectors (..., width) of a class by their numbers (...), 0 being the oldest."""
        vectors = self._vectors(label)
        oldest = self.added[label] - len(vectors)
        return vectors[(to_device(numbers, vectors.device) + oldest) % self.sizes[label]]

    def add(self, label: int, new: Tensor, before: int | None = None) -> None:
        """Put vectors (n, width) behind those of a class, and forget the oldest that are too many.

        before: how many there have been before these, where it is known; more than `added` where some would be
        forgotten already.
        """
        size, vectors = self.sizes[label], self._vectors(label)
        after = (int(self.added[label]) if before is None else before) + len(new)
        if len(vectors) < min(after, size):
            grown = vectors.new_zeros(min(after, size), self.width)
            grown[: len(vectors)] = vectors
            setattr(self, f"vectors{label}", grown)
        new = new[-size:]
        places = torch.arange(after - len(new), after, device=vectors.device) % size
        self._vectors(label)[places] = new
        self.added[label].fill_(after)

    def add_of_all_ranks(self, new: Sequence[Tensor]) -> None:
        """Add vectors (n, width) of every class, n each class's own, of all ranks. For all ranks at once.

        Only those are sent that those of later ranks leave room for.
        """
        counts = torch.cat(gather_rows(torch.tensor([[len(vectors) for vectors in new]])))
        later = counts.flip(0).cumsum(0).flip(0) - counts
        left = torch.minimum((torch.tensor(self.sizes) - later).clamp(min=0), counts)
        own = [vectors[len(vectors) - keep :] for vectors, keep in zip(new, left[rank()].tolist(), strict=True)]
        sent = [
            vectors.split(lengths.tolist()) for vectors, lengths in zip(gather_rows(torch.cat(own)), left, strict=True)
        ]
        before = (self.added.cpu() + (counts - left).sum(0)).tolist()  # one look at the device for all classes
        for label in range(len(self.sizes)):
            self.add(label, torch.cat([of_rank[label] for of_rank in sent]), before[label])

    def _vectors(self, label: int) -> Tensor:
        return cast(Tensor, getattr(self, f"vectors{label}"))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        """Queues become as long as those of the state; all else, and what does not fit, is torch's."""
        for label, size in enumerate(self.sizes):
            given = state_dict.get(f"{prefix}vectors{label}")
            if given is not None and len(given) <= size:
                setattr(self, f"vectors{label}", self._vectors(label).new_zeros(len(given), self.width))
        super()._load_from_state_dict(state_dict, prefix, *args)  # type: ignore[no-untyped-call]
