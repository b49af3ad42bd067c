"""Every check of a config, in one place: what cannot run is refused while its user is there.

All of it runs before anything is submitted (`gta.cell.Cell.prepare`). A range or a choice of one field is declared
beside the field (`gta.fields.result`); what only the disk can say, layout and lists, is checked by `gta.data`.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from gta.compose.sbatch import check_site
from gta.config import (
    CROP,
    CROP_BACKGROUND,
    MISSING,
    AugmentConfig,
    Config,
    DataConfig,
    MethodConfig,
    ModelConfig,
    PathsConfig,
    ScheduleConfig,
    SiteConfig,
)
from gta.data.spec import check_classes, check_names, check_options
from gta.dataconfig import OF_STRONG, OF_WEAK
from gta.encoders import check_model, has_batchnorm, idle, patch_size
from gta.errors import UserError
from gta.fields import by_object, check_values, default_of
from gta.masking import refuse_credentials, refuse_hooks, refuse_secrets
from gta.methods import METHODS
from gta.operations import check_strong, check_weak
from gta.ranges import SIDES, shown
from gta.scheduleconfig import MOMENTUM, POLY, POWER, SGD
from gta.text import did_you_mean


def check_config(config: Config) -> None:
    """Raises UserError for settings that no cell could be trained with; looks at no file, and not at the length."""
    check_values(config)
    check_given(config)
    _refuse_plain(config.paths, config.site)
    check_method(config.method)
    _check_schedule(config.schedule, config.site, config.model)
    _check_data(config.data)
    _check_model(config.model)
    if config.compile and config.model.recompute:
        raise UserError("compile and model.recompute do not go together: leave one of them out.")
    check_crop(config)
    check_evaluation(config)
    _check_site(config.site)


@by_object
def _refuse_plain(paths: PathsConfig, site: SiteConfig) -> None:
    refuse_credentials(paths.tracking_uri)
    refuse_secrets("site.setup", site.setup)
    refuse_secrets("site.sbatch", site.sbatch.values(), " in site.setup")
    refuse_hooks("site.notify", site.notify)


@by_object
def _check_schedule(schedule: ScheduleConfig, site: SiteConfig, model: ModelConfig) -> None:
    check_batch(schedule, site.ranks * site.nodes, has_batchnorm(model))
    check_optimizer(schedule)


@by_object
def _check_data(data: DataConfig) -> None:
    check_names(data)
    check_classes(data)
    check_palette(data)
    check_augment(data.augment)
    if data.generator is not None:
        check_options(data.generator)


@by_object
def _check_model(model: ModelConfig) -> None:
    check_model(model)
    check_idle(model)


_check_site = by_object(check_site)


def check_given(config: Any, prefix: str = "") -> None:
    """Raise UserError for a setting that has no default and was not given; a composed config has none such."""
    for item in fields(config):
        value = getattr(config, item.name)
        if value == MISSING:
            raise UserError(f"{prefix}{item.name} is not given: it has no default.")
        if is_dataclass(value):
            _check_section(value, f"{prefix}{item.name}.")


_check_section = by_object(check_given)


def check_method(config: MethodConfig) -> None:
    """Raise UserError for a name of no method, and for one that is not the settings' own."""
    if config.name not in METHODS:
        raise UserError(
            f"method.name={config.name}: there is no such method; {did_you_mean(config.name, list(METHODS))}"
        )
    if not METHODS.fits(config):
        raise UserError(
            f"method.name={config.name}, and the settings are those of another method: choose it by "
            f"method={config.name}, which brings its own."
        )


def check_optimizer(schedule: ScheduleConfig) -> None:
    """Raise UserError for an lr that is meant for another batch, and for a setting of another optimizer or lr schedule,
    which would make another cell of the same numbers.
    """
    meant, batch = schedule.lr_batch_size, schedule.batch_size
    if schedule.scale_lr and not meant:
        raise UserError(
            "schedule.scale_lr=true, and nothing says which global batch lr is meant for: schedule.lr_batch_size=N."
        )
    if meant and meant != batch and not schedule.scale_lr:
        raise UserError(
            f"schedule.lr={schedule.lr:g} is meant for a global batch of {meant}, and schedule.batch_size is {batch}: "
            f"schedule.scale_lr=true makes it {schedule.lr * batch / meant:g}, schedule.lr_batch_size=0 leaves it as "
            "it is."
        )
    for name, default, owner, choice in (
        ("momentum", MOMENTUM, SGD, schedule.optimizer),
        ("power", POWER, POLY, schedule.lr_schedule),
    ):
        given = getattr(schedule, name)
        if choice != owner and given != default:
            raise UserError(f"schedule.{name} is {given:g}, and {choice} has no such setting: leave it at {default:g}.")


def check_idle(config: ModelConfig) -> None:
    """Raise UserError for a setting that the network has not: it would be another cell of the same numbers."""
    who = "the tiny encoder" if config.encoder == "tiny" else config.encoder
    for name, value in idle(config).items():
        given = getattr(config, name)
        if given != value:
            advice = f"leave it at {value:g}" if isinstance(value, float) or name == "width" else "leave it out"
            raise UserError(f"model.{name} is {given}, and {who} has no such setting: {advice}.")


def check_crop(config: Config) -> None:
    """Raise UserError for training crops that a vision transformer cannot cut into patches."""
    encoder, side = config.model.encoder, config.data.crop_size
    if (patch := patch_size(config.model)) == 1 or not side % patch:
        return
    low = side // patch * patch
    fits = " or ".join(str(near) for near in (low, low + patch) if near >= SIDES[0])
    raise UserError(
        f"data.crop_size={side} is no multiple of {patch}, the side of {encoder}'s patches: use {fits}. "
        "(Whole images may be of any size: they are resized when they are scored.)"
    )


def check_augment(config: AugmentConfig) -> None:
    """Raise UserError for a range of scales that is none, a list of operations that makes no view, and a setting that a
    list is in the place of: it would make another cell of the same numbers.
    """
    if config.scale_min > config.scale_max:
        raise UserError(
            f"data.augment.scale_min={config.scale_min} is above data.augment.scale_max={config.scale_max}: the first "
            "is the smallest factor, the second the largest."
        )
    check_weak("data.augment.weak", config.weak)
    check_strong("data.augment.strong", config.strong)
    defaults = {item.name: default_of(item) for item in fields(AugmentConfig)}
    for name, owner in [*((one, "weak") for one in OF_WEAK), *((one, "strong") for one in OF_STRONG)]:
        given, value = getattr(config, name), defaults[name]
        if getattr(config, owner) and given != value:
            raise UserError(
                f"data.augment.{name} is {shown(given)}, and data.augment.{owner} lists operations, which say that: "
                f"leave it at {shown(value)}. (A file in conf/augment does by defaults: [plain, _self_].)"
            )
    draws = list(config.strong_draws)
    if draws and (len(draws) != 2 or draws[0] > draws[1]):
        raise UserError(f"data.augment.strong_draws is {draws}; give the fewest and the most operations: [1,3].")
    if draws and not config.strong:
        raise UserError(f"data.augment.strong_draws is {draws}, and data.augment.strong lists nothing to draw from.")


def check_palette(config: DataConfig) -> None:
    """Raise UserError for a palette that pictures could not be coloured by."""
    if config.palette and len(config.palette) != len(config.classes):
        raise UserError(
            f"data.palette has {len(config.palette)} colours for {len(config.classes)} classes: give one each, or none."
        )
    for colour in config.palette:
        if len(colour) != 3:
            raise UserError(f"data.palette: {list(colour)} is no colour; give red, green and blue, each 0 to 255.")


def check_batch(schedule: ScheduleConfig, world_size: int, batchnorm: bool = True) -> None:
    """Raise UserError unless the global batch is whole groups and every rank holds whole groups of each of its parts
    (`schedule.accumulate`); with BatchNorm, of at least 2 images.
    """
    check_values(schedule, "schedule.")
    batch, group = schedule.batch_size, schedule.group_size
    if batch % group:
        raise UserError(f"schedule.batch_size={batch} does not divide into groups of schedule.group_size={group}.")
    groups, parts = batch // group, schedule.accumulate
    whole = f"batch_size={batch}, group_size={group}"
    if groups % parts:
        raise UserError(
            f"schedule.accumulate={parts} does not divide the {groups} groups of a batch ({whole}): "
            f"use a number that divides {groups}; 1 is no accumulation."
        )
    if batchnorm and batch < 2 * parts:
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
    said_in = (("epochs", "iterations"), ("warm_up_epochs", "warm_up"), ("ema_delay_epochs", "ema_delay"))
    for epochs, iterations in said_in:
        in_epochs, plain = getattr(schedule, epochs), getattr(schedule, iterations)
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
    """Raise UserError where the warm-up leaves nothing of the schedule, which is in iterations by now, and where that
    of lr is longer than it.
    """
    schedule = config.schedule
    if schedule.lr_warm_up > schedule.iterations:
        raise UserError(
            f"schedule.lr_warm_up={schedule.lr_warm_up} is longer than schedule.iterations={schedule.iterations}: lr "
            "would never be what schedule.lr says; give no more than the iterations, or 0 for none."
        )
    if METHODS.of(config.method).uses_unlabeled and schedule.warm_up >= schedule.iterations:
        raise UserError(
            f"schedule.warm_up={schedule.warm_up} leaves nothing of schedule.iterations={schedule.iterations} for "
            f"{config.method.name}: its teacher would never start."
        )


def check_evaluation(config: Config) -> None:
    """Raise UserError for evaluation settings that cannot be."""
    evaluation = config.evaluation
    check_values(evaluation, "evaluation.")
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
