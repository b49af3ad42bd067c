"""What moves weights beside the optimizer: the learning rate by iteration, and moving averages of networks."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

from gta.scheduleconfig import ADAMW, COSINE, POLY, ScheduleConfig

T = TypeVar("T", bound=torch.optim.Optimizer)


def optimizer_of(
    encoder: list[nn.Parameter], decoder: list[nn.Parameter], schedule: ScheduleConfig
) -> torch.optim.Optimizer:
    """The optimizer of one network, in two parameter groups: the encoder's, then all others'."""
    groups = [{"params": encoder}, {"params": decoder}]
    decay = schedule.weight_decay
    if schedule.optimizer == ADAMW:
        return AdamW(groups, lr=schedule.lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay, fused=True)
    return SGD(groups, lr=schedule.lr, momentum=schedule.momentum, weight_decay=decay, fused=True)


def _eager(kind: type[T]) -> type[T]:
    """torch's optimizer, of the same arithmetic and hooks, without its wrappers for `torch.compile`: whichever of them
    is called first imports the compiler, which nothing here uses; half a second or more of every cell's start.
    """
    wrapped = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in wrapped}
    return type(kind.__name__, (kind,), {**plain, "step": torch.no_grad()(inspect.unwrap(kind.step))})


SGD = _eager(torch.optim.SGD)
AdamW = _eager(torch.optim.AdamW)


def encoder_lr(schedule: ScheduleConfig, iteration: int) -> float:
    """The encoder's learning rate of the step of that number, from 0."""
    return schedule.lr * lr_factor(schedule, iteration)


def lr_factor(schedule: ScheduleConfig, iteration: int) -> float:
    """What lr is multiplied by at that step, 0 to 1: the schedule's fall, and the rise of `lr_warm_up` on top of it."""
    factor = 1.0
    if schedule.lr_schedule == POLY:
        factor = poly(iteration, schedule.iterations, schedule.power)
    elif schedule.lr_schedule == COSINE:
        factor = (1.0 + math.cos(math.pi * iteration / schedule.iterations)) / 2
    return factor * min(1.0, (iteration + 1) / schedule.lr_warm_up) if schedule.lr_warm_up else factor


def poly(iteration: int, iterations: int, power: float) -> float:
    """Factor of the base learning rate: 1 at iteration 0, falling to 0 at `iterations`."""
    return (1.0 - iteration / iterations) ** power


def ramped_decay(step: int, cap: float) -> float:
    """min(1 - 1/(step + 1), cap), for `step` steps since the warm-up: the first update is a copy."""
    return min(1.0 - 1.0 / (step + 1), cap)


@torch.no_grad()
def ema_update(target: Iterable[Tensor], source: Iterable[Tensor], decay: float) -> None:
    """target <- decay target + (1 - decay) source, in place, tensor by tensor in the given order (floating point)."""
    targets, sources = list(target), list(source)
    assert len(targets) == len(sources), "the two networks do not have the same parameters"
    if targets:  # torch refuses an empty list
        torch._foreach_lerp_(targets, sources, 1.0 - decay)
