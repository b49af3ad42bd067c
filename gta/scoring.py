"""How networks are scored, in words: what `gta.train.inference` does, said without torch."""

from __future__ import annotations

from gta.config import CROP, CROP_BACKGROUND, ORIGINAL, SLIDING, Config
from gta.encoders import patch_size


def describe(config: Config) -> str:
    """The protocol in words, as it stands beside a score: equal for evaluations that give the same numbers.

    Windows of whole patches are seen as they are, and nothing is said of rounding; of an image smaller than its window
    the sides are rounded all the same.
    """
    evaluation = config.evaluation
    text = {
        ORIGINAL: "original size",
        SLIDING: f"sliding window {window_side(config)}, stride {_fraction(evaluation.stride)}, "
        f"mean of {evaluation.window_mean}",
        CROP: f"center crop {evaluation.crop}, padding ignored",
        CROP_BACKGROUND: f"center crop {evaluation.crop}, padding as background (only to compare)",
    }[evaluation.protocol]
    patch = patch_size(config.model)
    if patch > 1 and not (evaluation.protocol == SLIDING and window_side(config) % patch == 0):
        text += f", sides rounded to multiples of {patch}"
    if list(evaluation.scales) != [1.0]:
        text += f", scales {' '.join(f'{scale:g}' for scale in evaluation.scales)}"
    return text + (", flip" if evaluation.flip else "")


def window_side(config: Config) -> int:
    """Side of the sliding window in pixels."""
    return config.evaluation.window or config.data.crop_size


def _fraction(value: float) -> str:
    return "2/3" if abs(value - 2 / 3) < 1e-6 else f"{value:g}"
