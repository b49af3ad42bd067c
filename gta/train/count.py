"""What a step and a scored image cost, counted and not run: FLOPs, bytes, pixels to load. Nothing is computed.

The method itself takes its step, on PyTorch's fake tensors, which have shapes and no values. Every operation below
autograd is seen, forward and backward, of losses, optimizers and moving averages too. What a method asks of values has
no answer here: a condition is taken as true, a number as 1, a mask chooses every pixel, different values there are
one, and parts whose sizes were counted are equal. So the count does not depend on the data; what a method does for
each class that occurs (u2pl's contrast) is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from gta.config import Config
from gta.methods.base import Method
from gta.ops.batch import Labeled, Unlabeled
from gta.train import inference
from gta.train.run import build_method

aten = torch.ops.aten
_MASKED = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default)
_FREE = (aten.empty.memory_format, aten.detach.default)


@dataclass(frozen=True)
class Work:
    """`gflop`: 1e9 FLOPs, of which a multiplication and an addition are two (of convolutions, matrix products and
    attention alone); `gbyte`: 1e9 bytes that operations read and write; `mpixel`: 1e6 pixels of the images that are
    loaded for it.
    """

    gflop: float = 0.0
    gbyte: float = 0.0
    mpixel: float = 0.0


@dataclass(frozen=True)
class Counted:
    """Of a config's whole batch, on whichever ranks: `warm_up`, a step before the method begins; `step`, one of those
    after; `scored`, an image of the validation list through all networks that are scored at the end.
    """

    warm_up: Work
    step: Work
    scored: Work


def counted(config: Config, size: tuple[int, int]) -> Counted:
    """The counts of a config whose validation images have this height and width, before `data.input_scale`.

    Takes seconds. Raises what the method raises where it cannot be followed without values (`torch.unique`, say).
    """
    schedule = replace(config.schedule, warm_up=1)
    config = replace(config, schedule=schedule, model=replace(config.model, weights="random"), compile=False)
    method = build_method(config, torch.device("cpu"))
    with _followed() as counter:
        method.step(*_batch(method, config), 0)
        warm_up = counter.work(_pixels(method, config, warm_up=True))
    if method.uses_unlabeled:
        method.end_warm_up()  # copies networks, whose memory is real
    with _followed() as counter:
        method.step(*_batch(method, config), 1)
        step = counter.work(_pixels(method, config, warm_up=False))
    images = torch.empty(1, 3, *(max(1, round(side * config.data.input_scale)) for side in size))
    with _followed() as counter:
        for network in method.networks().values():
            network.eval()
            inference.class_scores(network, images, size, config).argmax(1)
        return Counted(warm_up, step, counter.work(size[0] * size[1]))


def _batch(method: Method, config: Config) -> tuple[Labeled, Unlabeled | None]:
    """A batch as the loader makes it, without values."""
    count, side = config.schedule.batch_size, config.data.crop_size

    def images() -> Tensor:
        return torch.empty(count, 3, side, side)

    labeled = Labeled(images(), torch.empty(count, side, side, dtype=torch.int64))
    if not method.uses_unlabeled:
        return labeled, None
    padding = torch.empty(count, side, side, dtype=torch.bool)
    strong, strong2 = (images() if number < method.strong_views else None for number in range(2))
    return labeled, Unlabeled(images(), strong, padding, strong2=strong2)


def _pixels(method: Method, config: Config, warm_up: bool) -> int:
    """Pixels of the views of a batch, which what loads it makes one by one."""
    views = 1 if warm_up or not method.uses_unlabeled else 2 + method.strong_views
    return views * config.schedule.batch_size * config.data.crop_size**2


@contextmanager
def _followed() -> Iterator[_Counter]:
    """While entered, tensors have no values, and what is done with them is counted."""
    with FakeTensorMode(allow_non_fake_inputs=True), _Counter() as counter:
        yield counter


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.flops, self.bytes = 0.0, 0.0

    def work(self, pixels: int) -> Work:
        """What was counted, for so many pixels that are loaded."""
        return Work(self.flops / 1e9, self.bytes / 1e9, pixels / 1e6)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is aten._local_scalar_dense.default:
            return True if args[0].dtype == torch.bool else 1
        if func is aten.nonzero.default:
            return args[0].new_empty(args[0].numel(), args[0].ndim, dtype=torch.int64)
        if func is aten.masked_select.default:
            return args[0].new_empty(args[0].numel())
        if func is aten._unique2.default:
            index = args[0].new_empty(1, dtype=torch.int64)
            return args[0].new_empty(1), args[0].new_empty(args[0].shape, dtype=torch.int64), index
        if func in _MASKED:
            args = (args[0], [one for index in args[1] for one in _without_mask(index)], *args[2:])
        if func is aten.split_with_sizes.default:
            args = (args[0], _fitting(args[1], args[0].shape[args[2] if len(args) > 2 else 0]), *args[2:])
        made = func(*args, **kwargs)
        if not func.is_view and func not in _FREE:
            tensors = [one for one in tree_leaves((args, kwargs, made)) if isinstance(one, Tensor)]
            self.bytes += sum(float(one.numel() * one.element_size()) for one in tensors)
            if flops := flop_registry.get(func._overloadpacket):
                self.flops += float(flops(*args, **kwargs, out_val=made))
        return made


def _without_mask(index: Tensor | None) -> list[Tensor | None]:
    """The same index; of a mask, indices that choose as many values as it has."""
    if index is None or index.dtype is not torch.bool:
        return [index]
    return [index.new_empty(index.numel(), dtype=torch.int64) for _ in range(index.ndim)]


def _fitting(sizes: Sequence[int], length: int) -> list[int]:
    """The sizes of parts; where they were counted of values, and do not make up the length, equal ones that do."""
    if sum(sizes) == length or not sizes:
        return list(sizes)
    return [length // len(sizes) + (number < length % len(sizes)) for number in range(len(sizes))]
