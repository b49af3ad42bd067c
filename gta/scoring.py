"""How networks are scored, in words and sizes: what `gta.train.inference` does, said without torch."""

from __future__ import annotations

from gta.config import CROP, CROP_BACKGROUND, ORIGINAL, SLIDING, Config
from gta.encoders import patch_size

# scores, classes times pixels, of one pass: 1 GiB of float32
MOST_SCORES = 2**28
# what a pass holds besides its scores is as much as the scores of so many classes
LEAST_CLASSES = 64


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
    text += ", flip" if evaluation.flip else ""
    text += f", {evaluation.precision}" if evaluation.precision != "fp32" else ""
    text += f", first {config.schedule.eval_images:,} images" if config.schedule.eval_images else ""
    # in brackets: how the passes were made, no other protocol than a published one without these words
    return text + (f" (batches of {evaluation.batch})" if evaluation.batch > 1 else "")


def at_once(config: Config, pixels: int) -> int:
    """How many images, or windows, of so many pixels pass at once: `evaluation.batch`, or fewer, so that a pass of
    several holds `MOST_SCORES` at most.
    """
    classes = max(LEAST_CLASSES, len(config.data.classes))
    return max(1, min(config.evaluation.batch, MOST_SCORES // (classes * pixels)))


def stacked(config: Config, height: int, width: int) -> int:
    """How many images of that size, as their masks are, are read and scored together."""
    evaluation = config.evaluation
    seen = at_scale(height, width, config.data.input_scale)
    sizes = [(height, width), *(at_scale(*seen, scale) for scale in evaluation.scales)]
    if evaluation.protocol in (CROP, CROP_BACKGROUND):
        sizes.append((evaluation.crop, evaluation.crop))
    return at_once(config, max(high * wide for high, wide in sizes))


def at_scale(height: int, width: int, scale: float) -> tuple[int, int]:
    """(height, width) at `scale`, at least one pixel each."""
    return max(1, round(height * scale)), max(1, round(width * scale))


def window_side(config: Config) -> int:
    """Side of the sliding window in pixels."""
    return config.evaluation.window or config.data.crop_size


def _fraction(value: float) -> str:
    return "2/3" if abs(value - 2 / 3) < 1e-6 else f"{value:g}"
