"""A schedule in epochs as one in iterations, once the number of unlabeled images is known."""

from __future__ import annotations

from dataclasses import replace

from gta.config import ScheduleConfig
from gta.errors import UserError


def in_iterations(schedule: ScheduleConfig, unlabeled: int) -> ScheduleConfig:
    """The same schedule with plain `iterations`, `warm_up` and `lr`: what a cell freezes, and what its signature sees.

    An epoch is the unlabeled list once, in whole batches: unlabeled // batch_size steps (866 for VOC's 10399 and
    batches of 12, as the public code counts). lr grows in proportion to batch_size only where `lr_batch_size` is set.
    Raises UserError where a length is said twice or not at all, or an epoch has no step.
    """
    steps = unlabeled // schedule.batch_size
    for epochs, iterations in (("epochs", "iterations"), ("warm_up_epochs", "warm_up")):
        _check(schedule, epochs, iterations, unlabeled)
    total = schedule.epochs * steps or schedule.iterations
    if total < 1:
        raise UserError(f"schedule.iterations is {total}: give schedule.iterations or schedule.epochs.")
    factor = schedule.batch_size / schedule.lr_batch_size if schedule.lr_batch_size else 1.0
    return replace(
        schedule,
        iterations=total,
        warm_up=schedule.warm_up_epochs * steps or schedule.warm_up,
        epochs=0,
        warm_up_epochs=0,
        lr=schedule.lr * factor,
        lr_batch_size=0,
    )


def _check(schedule: ScheduleConfig, epochs: str, iterations: str, unlabeled: int) -> None:
    in_epochs, plain = getattr(schedule, epochs), getattr(schedule, iterations)
    if in_epochs < 0 or plain < 0 or schedule.lr_batch_size < 0:
        raise UserError(f"schedule.{epochs}, schedule.{iterations} and schedule.lr_batch_size must not be negative.")
    if in_epochs and plain:
        raise UserError(
            f"schedule.{epochs}={in_epochs} and schedule.{iterations}={plain} are both set: "
            f"set one of them to 0 (schedule.{epochs}=0 counts in iterations)."
        )
    if in_epochs and unlabeled < schedule.batch_size:
        raise UserError(
            f"schedule.{epochs}={in_epochs}: {unlabeled} unlabeled images make no batch of {schedule.batch_size}; "
            f"set schedule.{epochs}=0 and schedule.{iterations}, or a smaller schedule.batch_size."
        )
