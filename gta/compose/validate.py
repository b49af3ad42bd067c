"""Every check of a config, in one place: what cannot run is refused while its user is there.

All of it runs before anything is submitted (`gta.cell.Cell.prepare`). A range or a choice of one field is declared
beside the field (`gta.fields.result`); what only the disk can say, layout and lists, is checked by `gta.data`.
"""

from __future__ import annotations

from gta.compose.oneline import check_texts
from gta.compose.sbatch import check_site
from gta.config import CROP, CROP_BACKGROUND, Config, DataConfig, ScheduleConfig
from gta.data.spec import check_classes, check_names, check_options
from gta.encoders import check_model
from gta.errors import UserError
from gta.fields import check_values
from gta.masking import refuse_credentials, refuse_secrets
from gta.methods import METHODS

SMALLEST_CROP = 16  # pixels; below it the encoders leave nothing to pool


def check_config(config: Config) -> None:
    """Raises UserError for settings that no cell could be trained with; looks at no file, and not at the length."""
    check_texts(config)
    refuse_credentials(config.paths.tracking_uri)
    refuse_secrets("site.setup", config.site.setup)
    check_values(config)
    schedule = config.schedule
    at_least_one = {
        "schedule.eval_every": schedule.eval_every,
        "schedule.checkpoint_every": schedule.checkpoint_every,
        "schedule.log_every": schedule.log_every,
        "num_threads": config.num_threads,
        "site.ranks": config.site.ranks,
        "site.nodes": config.site.nodes,
    }
    for name, value in at_least_one.items():
        if value < 1:
            raise UserError(f"{name}={value} must be at least 1.")
    if schedule.lr <= 0 or config.data.input_scale <= 0:
        raise UserError(f"schedule.lr={schedule.lr} and data.input_scale={config.data.input_scale} must be above 0.")
    if config.data.crop_size < SMALLEST_CROP:
        raise UserError(f"data.crop_size={config.data.crop_size} must be at least {SMALLEST_CROP}.")
    check_batch(schedule, config.site.ranks * config.site.nodes)
    check_names(config.data)
    check_classes(config.data)
    check_palette(config.data)
    if config.data.generator is not None:
        check_options(config.data.generator)
    check_model(config.model)
    check_evaluation(config)
    check_site(config.site)


def check_palette(config: DataConfig) -> None:
    """Raise UserError for a palette that pictures could not be coloured by."""
    if config.palette and len(config.palette) != len(config.classes):
        raise UserError(
            f"data.palette has {len(config.palette)} colours for {len(config.classes)} classes: give one each, or none."
        )
    for colour in config.palette:
        if len(colour) != 3 or not all(0 <= value <= 255 for value in colour):
            raise UserError(f"data.palette: {list(colour)} is no colour; give red, green and blue, each 0 to 255.")


def check_batch(schedule: ScheduleConfig, world_size: int) -> None:
    """Raise UserError unless the global batch is whole groups and every rank holds whole groups of each of its parts
    (`schedule.accumulate`).
    """
    batch, group = schedule.batch_size, schedule.group_size
    if batch < 1 or group < 1:
        raise UserError(f"schedule.batch_size={batch} and schedule.group_size={group} must both be at least 1.")
    if batch % group:
        raise UserError(f"schedule.batch_size={batch} does not divide into groups of schedule.group_size={group}.")
    groups, parts = batch // group, schedule.accumulate
    whole = f"batch_size={batch}, group_size={group}"
    if parts < 1 or groups % parts:
        raise UserError(
            f"schedule.accumulate={parts} does not divide the {groups} groups of a batch ({whole}): "
            f"use a number that divides {groups}; 1 is no accumulation."
        )
    if batch < 2 * parts:
        raise UserError(
            f"schedule.batch_size={batch} with schedule.accumulate={parts} passes 1 image at a time; "
            "BatchNorm needs at least 2."
        )
    if groups // parts % world_size:
        of_what = "a batch" if parts == 1 else f"each of the {parts} parts of a batch"
        whole += "" if parts == 1 else f", accumulate={parts}"
        raise UserError(
            f"The {groups // parts} groups of {of_what} ({whole}) "
            f"do not divide over {world_size} ranks: use a number of ranks that divides {groups // parts}."
        )


def check_lengths(schedule: ScheduleConfig, unlabeled: int, steps: int) -> None:
    """Raise UserError where a length is said twice or not at all, or an epoch of `unlabeled` images has 0 `steps`."""
    for epochs, iterations in (("epochs", "iterations"), ("warm_up_epochs", "warm_up")):
        in_epochs, plain = getattr(schedule, epochs), getattr(schedule, iterations)
        if in_epochs < 0 or plain < 0 or schedule.lr_batch_size < 0:
            raise UserError(
                f"schedule.{epochs}, schedule.{iterations} and schedule.lr_batch_size must not be negative."
            )
        if in_epochs and plain:
            raise UserError(
                f"schedule.{epochs}={in_epochs} and schedule.{iterations}={plain} are both set: "
                f"set one of them to 0 (schedule.{epochs}=0 counts in iterations)."
            )
        if in_epochs and not steps:
            raise UserError(
                f"schedule.{epochs}={in_epochs}: {unlabeled} unlabeled images make no batch of {schedule.batch_size}; "
                f"set schedule.{epochs}=0 and schedule.{iterations}, or a smaller schedule.batch_size."
            )
    if not schedule.epochs and not schedule.iterations:
        raise UserError("schedule.iterations is 0: give schedule.iterations or schedule.epochs.")


def check_warm_up(config: Config) -> None:
    """Raise UserError where the warm-up leaves nothing of the schedule, which is in iterations by now."""
    schedule = config.schedule
    if METHODS.of(config.method.name).uses_unlabeled and schedule.warm_up >= schedule.iterations:
        raise UserError(
            f"schedule.warm_up={schedule.warm_up} leaves nothing of schedule.iterations={schedule.iterations} for "
            f"{config.method.name}: its teacher would never start."
        )


def check_evaluation(config: Config) -> None:
    """Raise UserError for evaluation settings that cannot be."""
    evaluation = config.evaluation
    check_values(evaluation, "evaluation.")
    if not evaluation.scales or min(evaluation.scales) <= 0:
        raise UserError(f"evaluation.scales is {list(evaluation.scales)}; give at least one number above 0: [1.0].")
    if not 0 < evaluation.stride <= 1:
        raise UserError(f"evaluation.stride is {evaluation.stride}; it is a fraction of the window, above 0 to 1.")
    if evaluation.window < 0 or evaluation.crop < 1:
        raise UserError("evaluation.window and evaluation.crop are sides in pixels: give positive numbers.")
    if evaluation.protocol in (CROP, CROP_BACKGROUND) and config.data.input_scale != 1:
        raise UserError(
            f"evaluation.protocol={evaluation.protocol} cuts at original size, and data.input_scale is "
            f"{config.data.input_scale}: use original_size."
        )


def check_prediction(config: Config, cityscapes: int = 0) -> None:
    """Raise UserError where whole images cannot be predicted so, or are not of the `cityscapes` classes asked for."""
    check_evaluation(config)
    if config.evaluation.protocol in (CROP, CROP_BACKGROUND):
        raise UserError(
            f"evaluation.protocol={config.evaluation.protocol} scores a part of an image; predict labels whole ones: "
            "use original_size or sliding_window."
        )
    classes = len(config.data.classes)
    if cityscapes and classes != cityscapes:
        raise UserError(
            f"format=cityscapes maps the {cityscapes} train ids to labelIds, and this network has {classes} classes."
        )
