"""What a config must satisfy before anything is submitted: what cannot run is refused while its user is there."""

from __future__ import annotations

from gta.config import CROP, CROP_BACKGROUND, PROTOCOLS, Config
from gta.errors import UserError
from gta.methods import METHODS
from gta.models import ENCODERS

SMALLEST_CROP = 16  # pixels; below it the encoders leave nothing to pool


def check(config: Config) -> None:
    """Raises UserError for settings that no cell could be trained with."""
    schedule = config.schedule
    at_least_one = {
        "schedule.iterations": schedule.iterations,
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
    if METHODS[config.method.name].uses_unlabeled and schedule.warm_up >= schedule.iterations:
        raise UserError(
            f"schedule.warm_up={schedule.warm_up} leaves nothing of schedule.iterations={schedule.iterations} for "
            f"{config.method.name}: its teacher would never start."
        )
    if config.data.crop_size < SMALLEST_CROP:
        raise UserError(f"data.crop_size={config.data.crop_size} must be at least {SMALLEST_CROP}.")
    if config.precision not in ("fp32", "bf16"):
        raise UserError(f"precision={config.precision}: use fp32 or bf16.")
    if config.model.encoder not in ENCODERS:
        raise UserError(f"model.encoder={config.model.encoder}: there are {', '.join(ENCODERS)}.")
    check_evaluation(config)


def check_evaluation(config: Config) -> None:
    """Raise UserError for evaluation settings that cannot be."""
    evaluation = config.evaluation
    if evaluation.protocol not in PROTOCOLS:
        raise UserError(f"evaluation.protocol is '{evaluation.protocol}'; use {', '.join(PROTOCOLS)}.")
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
