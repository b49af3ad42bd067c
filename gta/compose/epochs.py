"""A schedule in epochs as one in iterations, once the number of unlabeled images is known."""

from __future__ import annotations

import math
from dataclasses import replace

from gta.compose.validate import check_lengths
from gta.config import ScheduleConfig
from gta.fields import by_object


def steps_an_epoch(schedule: ScheduleConfig, unlabeled: int) -> int:
    """Whole batches in the unlabeled list once, as the public samplers count them.

    They share the list out to the GPUs (here: the groups of a batch), repeating images where it does not divide, and
    each GPU leaves out what makes no batch: ceil(unlabeled / groups) // group_size. 866 for VOC's 10399 and 4 x 3
    images, 821 for 9850.
    """
    groups = schedule.batch_size // schedule.group_size
    return math.ceil(unlabeled / groups) // schedule.group_size


@by_object
def in_iterations(schedule: ScheduleConfig, unlabeled: int) -> ScheduleConfig:
    """The same schedule with plain `iterations`, `warm_up`, `ema_delay` and `lr`: what a cell freezes, and what its
    signature sees.

    An epoch is `steps_an_epoch`. lr is multiplied by batch_size / lr_batch_size where `scale_lr` asks for it. Raises
    what `check_lengths` raises.
    """
    steps = steps_an_epoch(schedule, unlabeled)
    check_lengths(schedule, unlabeled, steps)
    factor = schedule.batch_size / schedule.lr_batch_size if schedule.scale_lr else 1.0
    return replace(
        schedule,
        iterations=schedule.epochs * steps or schedule.iterations,
        warm_up=schedule.warm_up_epochs * steps or schedule.warm_up,
        ema_delay=schedule.ema_delay_epochs * steps or schedule.ema_delay,
        epochs=0,
        warm_up_epochs=0,
        ema_delay_epochs=0,
        lr=schedule.lr * factor,
        lr_batch_size=0,
        scale_lr=False,
    )


def scaled(schedule: ScheduleConfig) -> str:
    """What `scale_lr` makes of lr, in a sentence; empty where it leaves lr as it is."""
    meant, batch = schedule.lr_batch_size, schedule.batch_size
    if not schedule.scale_lr or not meant or meant == batch:
        return ""
    return (
        f"schedule.scale_lr=true: lr is {schedule.lr * batch / meant:g} for the global batch of {batch}, since "
        f"{schedule.lr:g} is meant for one of {meant}."
    )
