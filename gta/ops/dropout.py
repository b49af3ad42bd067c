"""Dropout of whole planes that depends neither on the number of ranks nor on the parts of a batch.

torch draws for the images that a process happens to hold. Here the draws of a pass are those of the global batch, keyed
by (seed, iteration, network, number of the pass), and each rank takes the rows of its images. They are made on the CPU,
and so are the same for any device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from gta import seeds
from gta.config import ScheduleConfig
from gta.ops.batch import Labeled
from gta.ops.transfer import to_device


class Dropout2d(nn.Dropout2d):
    """torch's Dropout2d with the draws of the pass that is going on (`Draws.of_pass`)."""

    def forward(self, input: Tensor) -> Tensor:
        return drop_planes(input, self.p) if self.training else input


def drop_planes(x: Tensor, probability: float) -> Tensor:
    """x (N, C, h, w) with each plane (h, w) zero by `probability`, the others divided by the probability to stay.

    The N images are one or more views, each of all images that this rank holds of a part of the batch, in their order.
    Raises RuntimeError outside of a step's passes.
    """
    if probability == 0:
        return x
    if probability == 1:
        return x * 0
    if _going_on is None:
        raise RuntimeError(_OUTSIDE)
    kept = to_device(_going_on.kept(len(x), x.shape[1], probability), x.device)
    return x * (kept.to(x.dtype) / (1 - probability))[:, :, None, None]


def drop_complements(features: Sequence[Tensor], group_size: int) -> tuple[Tensor, ...]:
    """Features, each (2 N, C, h, w) of two views of N images, of which each view keeps the planes that the other loses.

    Each plane of an image is kept, and doubled, in the first or the second view, by a coin; in features of one width
    it is the same plane. Half of the images of each group (rounded down), at random, keep all planes in both views as
    they are. Raises RuntimeError outside of a step's passes.
    """
    if _going_on is None:
        raise RuntimeError(_OUTSIDE)
    places = _going_on.uniform(1).view(-1, group_size).argsort(1).argsort(1)
    whole = (places < group_size // 2).view(-1, 1)
    factors: dict[int, Tensor] = {}  # width -> (2 N, C)
    dropped = []
    for x in features:
        if x.shape[1] not in factors:
            first = 2.0 * (_going_on.uniform(x.shape[1]) < 0.5)
            factors[x.shape[1]] = torch.cat([torch.where(whole, 1.0, one) for one in (first, 2.0 - first)])
        dropped.append(x * to_device(factors[x.shape[1]], x.device).to(x.dtype)[:, :, None, None])
    return tuple(dropped)


class Draws:
    """What dropout draws within one step, for all networks."""

    def __init__(self, seed: int, iteration: int, schedule: ScheduleConfig, parts: Sequence[Labeled] = ()) -> None:
        """parts: this rank's, of the batch."""
        self.seed, self.iteration, self.batch_size = seed, iteration, schedule.batch_size
        self.groups = [part.first_group for part in parts]
        self.places = [(part.first_group * schedule.group_size, len(part.image)) for part in parts]
        self._part: int | None = 0 if len(parts) == 1 else None
        self._passes: Counter[tuple[str, int]] = Counter()

    @contextmanager
    def of_part(self, number: int) -> Iterator[None]:
        """While entered, passes are of that part of the batch."""
        before, self._part = self._part, number
        try:
            yield
        finally:
            self._part = before

    def of_group(self, first: int) -> AbstractContextManager[None]:
        """While entered, passes are of the part that begins with that group (its global index)."""
        return self.of_part(self.groups.index(first)) if first in self.groups else nullcontext()

    @contextmanager
    def of_pass(self, network: str) -> Iterator[None]:
        """While entered, the network of that name makes one pass."""
        global _going_on
        before, _going_on = _going_on, _Pass(self, network)
        try:
            yield
        finally:
            _going_on = before

    def begin(self, network: str) -> tuple[seeds.Generator, int, int]:
        """The generator of the network's next pass that draws, and the first and number of this rank's images.

        Each part counts its passes for itself, so that the parts of a pass share its draws.
        """
        if self._part is None:
            raise RuntimeError(_OUTSIDE)
        number = self._passes[network, self._part]
        self._passes[network, self._part] += 1
        return seeds.dropout(self.seed, network, self.iteration, number), *self.places[self._part]


class _Pass:
    """The draws of one pass: one dropout after the other, each for the whole global batch."""

    def __init__(self, draws: Draws, network: str) -> None:
        self.draws, self.network = draws, network
        self.begun: tuple[seeds.Generator, int, int] | None = None

    def kept(self, images: int, planes: int, probability: float) -> Tensor:
        """Which planes stay: bool (images, planes), of this rank's images in each of the views."""
        generator, first, share = self._begin()
        views, rest = divmod(images, share)
        assert rest == 0, f"{images} images are not views of {share}"
        assert first + share <= self.draws.batch_size, "a rank's images are some of the global batch"
        drawn = generator.random((views, self.draws.batch_size, planes), dtype="float32")
        return torch.from_numpy((drawn[:, first : first + share] >= probability).reshape(images, planes))

    def uniform(self, numbers: int) -> Tensor:
        """float32 (images, numbers), uniform in 0 to 1, of this rank's images."""
        generator, first, share = self._begin()
        drawn = generator.random((self.draws.batch_size, numbers), dtype="float32")
        return torch.from_numpy(drawn[first : first + share])

    def _begin(self) -> tuple[seeds.Generator, int, int]:
        self.begun = self.begun or self.draws.begin(self.network)
        return self.begun


_going_on: _Pass | None = None
_OUTSIDE = (
    "Dropout is drawn within a step alone: a method calls its networks by `forward` or `student_loss`, and those in "
    "training mode in `pseudo_labels`, or within the loss that it gives to `update`."
)
