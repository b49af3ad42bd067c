"""A schedule in epochs as one in iterations, once the number of unlabeled images is known."""

from __future__ import annotations

from dataclasses import replace

from gta.compose.validate import check_lengths
from gta.config import ScheduleConfig


def in_iterations(schedule: ScheduleConfig, unlabeled: int) -> ScheduleConfig:
    """The same schedule with plain `iterations`, `warm_up` and `lr`: what a cell freezes, and what its signature sees.

    An epoch is the unlabeled list once, in whole batches: unlabeled // batch_size steps (866 for VOC's 10399 and
    batches of 12, as the public code counts). lr grows in proportion to batch_size only where `lr_batch_size` is set.
    Raises what `check_lengths` raises.
    """
    check_lengths(schedule, unlabeled)
    steps = unlabeled // schedule.batch_size
    factor = schedule.batch_size / schedule.lr_batch_size if schedule.lr_batch_size else 1.0
    return replace(
        schedule,
        iterations=schedule.epochs * steps or schedule.iterations,
        warm_up=schedule.warm_up_epochs * steps or schedule.warm_up,
        epochs=0,
        warm_up_epochs=0,
        lr=schedule.lr * factor,
        lr_batch_size=0,
    )
