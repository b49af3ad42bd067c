"""Training batches and validation samples, equal for any number of workers, ranks and restarts."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gta import progress, seeds
from gta.config import Config
from gta.data.cache import decoded_pictures
from gta.data.dataset import SegmentationDataset
from gta.data.geometry import View
from gta.data.resample import rescale
from gta.data.splits.split import Split
from gta.data.transforms import normalise, strong_view, weak_view
from gta.errors import UserError
from gta.ops.batch import Labeled, Unlabeled, positions


def train_loader(
    config: Config, split: Split, world_size: int, rank: int, start: int, strong: int, unlabeled: bool,
    orders: Sequence[tuple[int, int]] = (), pinned: bool = False,
) -> Iterator[tuple[Labeled, Unlabeled | None]]:  # fmt: skip
    """This rank's batches of iterations `start` to `schedule.iterations`, in order.

    Image number n = iteration * batch_size + position of the labeled stream (of the unlabeled one likewise)
    is perm_e[n % N] with e = n // N, where perm_e is keyed by (seed, stream, e); what is drawn for it is
    keyed by (seed, stream, iteration, position); `gta.ops.batch.positions` says which of them this rank holds. `strong`
    is how many strong views are made (0 to 2). `orders`: pairs (iteration, number), oldest first, say that from that
    iteration on the seed is another (`gta.seeds.batches`). The second of each pair is None without `unlabeled`, and
    during the warm-up (`schedule.warm_up`), in which no method looks at unlabeled images. `pinned`: they lie in pinned
    memory, from where a GPU fetches them by itself.
    Raises UserError, while iterating, for an image that cannot be used.
    """
    stream = _TrainStream(config, split, world_size, rank, strong, unlabeled, orders)
    return _load(stream, range(start, config.schedule.iterations), config.site.workers, pinned)


def val_samples(config: Config, ids: list[str], rank: int, world_size: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """(index into `ids`, image (1, 3, h, w) float32 at `input_scale`, mask (H, W) int64 at original size).

    Every image comes once over the ranks: rank r has those with index % world_size == r, and nothing is
    padded or repeated. Raises UserError, while iterating, for an image that cannot be used.
    """
    indices = range(rank, len(ids), world_size)
    return _load(_ValSamples(config, ids), indices, min(config.site.workers, len(indices)))


def val_batches(
    config: Config, ids: list[str], batches: Sequence[tuple[int, ...]], pinned: bool = False
) -> Iterator[ValBatch]:
    """Validation images by `batches` of indices into `ids` (`gta.data.valbatches`), in their order.

    A worker makes whole batches, and at most two ahead. `pinned`: they lie in memory from which a GPU copies by itself.
    Raises UserError, while iterating, for an image that cannot be used.
    """
    return _load(_ValBatches(config, ids, batches), range(len(batches)), min(config.site.workers, len(batches)), pinned)


@dataclass(frozen=True)
class ValBatch:
    """Validation images of one shape: `indices` (N,) int64 into the list, `images` (N, h, w, 3) uint8 at `input_scale`,
    `masks` (N, H, W) uint8 at original size.
    """

    indices: Tensor
    images: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    def pin_memory(self) -> ValBatch:
        return ValBatch(self.indices.pin_memory(), self.images.pin_memory(), self.masks.pin_memory())

    def to(self, device: torch.device) -> ValBatch:
        """The same there; from pinned memory it is copied while this process goes on."""
        there = (one.to(device, non_blocking=True) for one in (self.indices, self.images, self.masks))
        return ValBatch(*there)


class _TrainStream(Dataset[Any]):
    """Item i is the batch of iteration i: a worker makes whole batches, so nothing is collated later."""

    def __init__(
        self, config: Config, split: Split, world_size: int, rank: int, strong: int, unlabeled: bool,
        orders: Sequence[tuple[int, int]],
    ) -> None:  # fmt: skip
        self.config = config
        self.orders = orders
        self.strong = strong
        decoded = decoded_pictures(config.site)
        self.labeled = SegmentationDataset(config.data, split.labeled, decoded=decoded)
        self.unlabeled = SegmentationDataset(config.data, split.unlabeled, decoded=decoded) if unlabeled else None
        self.positions = positions(config.schedule, world_size, rank)
        self.first_group = self.positions[0] // config.schedule.group_size

    def __getitem__(self, iteration: int) -> tuple[Labeled, Unlabeled | None]:
        return self._labeled(iteration), self._unlabeled(iteration)

    def _labeled(self, iteration: int) -> Labeled:
        images, masks = [], []
        for position in self.positions:
            image, mask = self.labeled.training(self._index("labeled", iteration, position), with_mask=True)
            view = weak_view(image, mask, self.config.data, self._rng("labeled", iteration, position))
            assert view.mask is not None
            images.append(view.image)
            masks.append(view.mask)
        return Labeled(self._normalised(images), torch.from_numpy(np.stack(masks)).long(), self.first_group)

    def _unlabeled(self, iteration: int) -> Unlabeled | None:
        if self.unlabeled is None or iteration < self.config.schedule.warm_up:
            return None
        views: list[View] = []
        strong: list[list[np.ndarray]] = [[], []]
        for position in self.positions:
            image, _ = self.unlabeled.training(self._index("unlabeled", iteration, position), with_mask=False)
            rng = self._rng("unlabeled", iteration, position)
            views.append(weak_view(image, None, self.config.data, rng))
            for number in range(self.strong):
                strong[number].append(strong_view(views[-1], self.config.data, rng))
        padding = torch.from_numpy(np.stack([view.padding for view in views]))
        weak = self._normalised([view.image for view in views])
        first, second = (self._normalised(made) if made else None for made in strong)
        return Unlabeled(weak, first, padding, self.first_group, second)

    def _index(self, stream: str, iteration: int, position: int) -> int:
        dataset = self.labeled if stream == "labeled" else self.unlabeled
        assert dataset is not None
        epoch, offset = divmod(iteration * self.config.schedule.batch_size + position, len(dataset))
        return int(_permutation(self._seed(iteration), stream, epoch, len(dataset))[offset])

    def _rng(self, stream: str, iteration: int, position: int) -> np.random.Generator:
        return seeds.views(self._seed(iteration), stream, iteration, position)

    def _seed(self, iteration: int) -> int:
        number = next((number for begun, number in reversed(self.orders) if begun <= iteration), 0)
        return seeds.batches(self.config.seed, number)

    def _normalised(self, images: list[np.ndarray]) -> Tensor:
        return normalise(np.stack(images), self.config.data)


@lru_cache(maxsize=8)
def _permutation(seed: int, stream: str, epoch: int, size: int) -> np.ndarray:
    return seeds.order(seed, stream, epoch).permutation(size)


class _ValSamples(Dataset[Any]):
    def __init__(self, config: Config, ids: list[str]) -> None:
        self.config = config
        self.dataset = SegmentationDataset(config.data, ids, decoded=decoded_pictures(config.site))

    def __getitem__(self, index: int) -> tuple[int, Tensor, Tensor]:
        image, mask = self.dataset.labeled(index)
        small = rescale(image, self.config.data.input_scale, labels=False)
        return index, normalise(np.stack([small]), self.config.data), torch.from_numpy(mask.astype(np.int64))


class _ValBatches(Dataset[Any]):
    def __init__(self, config: Config, ids: list[str], batches: Sequence[tuple[int, ...]]) -> None:
        self.scale = config.data.input_scale
        self.dataset = SegmentationDataset(config.data, ids, decoded=decoded_pictures(config.site))
        self.batches = batches

    def __getitem__(self, number: int) -> ValBatch:
        indices = self.batches[number]
        pairs = [self.dataset.labeled(index) for index in indices]
        if len({mask.shape for _, mask in pairs}) > 1:  # their heads said otherwise
            named = ", ".join(self.dataset.ids[index] for index in indices)
            raise UserError(f"pictures changed their size while they were scored: some of {named}.")
        images = [rescale(image, self.scale, labels=False) for image, _ in pairs]
        return ValBatch(torch.tensor(indices), *(_stacked(arrays) for arrays in (images, [mask for _, mask in pairs])))


def _stacked(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


@dataclass
class _Failure:
    """A user's error on its way out of a worker: raised there, torch would bury its sentence in a stack
    trace.
    """

    message: str


class _Caught(Dataset[Any]):
    def __init__(self, inner: Dataset[Any]) -> None:
        self.inner = inner

    def __getitem__(self, index: int) -> Any:
        try:
            return self.inner[index]
        except UserError as error:
            return _Failure(str(error))


def _load(dataset: Dataset[Any], indices: Iterable[int], workers: int, pinned: bool = False) -> Iterator[Any]:
    """Items of `dataset` in the order of `indices`, made by `workers` processes (0: by this one)."""
    _one_thread()
    loader = DataLoader(
        _Caught(dataset),
        batch_size=None,  # an item is a batch already
        sampler=indices,
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=_begin_worker,
        pin_memory=pinned,
        generator=torch.Generator(),  # else starting a loader would move the training's random numbers on
    )
    for item in loader:
        progress.tick()
        if isinstance(item, _Failure):
            raise UserError(item.message)
        yield item


def _as_it_is(item: Any) -> Any:
    return item


def _begin_worker(worker: int) -> None:
    """Slurm warns every process of a job, the workers too; only the training has to do with it."""
    for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(kind, signal.SIG_IGN)
    _one_thread(worker)


def _one_thread(worker: int = 0) -> None:
    """OpenCV's threads fight over cores with the training and with other workers (torch sets its own to 1 in
    a worker).
    """
    cv2.setNumThreads(0)
