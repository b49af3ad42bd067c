"""From an image to class scores: one pass over the whole image, sliding windows, several scales, mirrored.

`evaluation.protocol`:
- `original_size`: the whole image at once. The headline.
- `sliding_window`: squares of side `window` whose steps are `stride` of it; where they overlap, the mean of their
  logits, or of their probabilities (`window_mean`). An image smaller than the window is one window: nothing is ever
  padded.
- `center_crop`, `center_crop_padded_background`: see `gta.train.evaluate`; these score a part of an image and
  predict none.
A network of patches (a vision transformer) sees an image or window with its sides rounded to multiples of the patch,
resized bilinearly with aligned corners, and its logits are brought back to the size that it was given.
With more than one scale, or `flip`, the probabilities of the passes are averaged at the original size.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gta.config import SLIDING, Config, EvaluationConfig
from gta.encoders import patch_size
from gta.models.segmentation import upsample
from gta.scoring import window_side

Key = tuple[Hashable, ...]  # which part of an image a pass saw, and how
Seen = dict[Key, Tensor]  # what passes of one network over one image gave: logits


@torch.no_grad()
def class_scores(
    network: nn.Module, image: Tensor, size: tuple[int, int], config: Config, seen: Seen | None = None, part: Key = ()
) -> Tensor:
    """(1, 3, h, w) -> (1, C, *size), whose argmax over C is the prediction. The network is in eval mode.

    Logits for one look at the image, whole or by windows; else the mean of the looks' probabilities. With `seen`, a
    pass over the same pixels is made once and kept there: for several protocols of one network and one image, of which
    `part` says which part this is.
    """
    evaluation = config.evaluation
    if list(evaluation.scales) == [1.0] and not evaluation.flip:
        return _at(_scores(network, image, config, seen, (*part, 1.0, False)), size)
    total, passes = torch.zeros(()), 0
    for scale, scaled in _scaled(image, evaluation):
        for mirrored in (False, True) if evaluation.flip else (False,):
            looked = scaled.flip(-1) if mirrored else scaled
            found = _probabilities(_scores(network, looked, config, seen, (*part, scale, mirrored)), config)
            total, passes = _at(found.flip(-1) if mirrored else found, size) + total, passes + 1
    return total / passes


def _at(scores: Tensor, size: tuple[int, int]) -> Tensor:
    return scores if scores.shape[-2:] == size else upsample(scores, size)


def _scaled(image: Tensor, evaluation: EvaluationConfig) -> Iterator[tuple[float, Tensor]]:
    """Each scale, and the image at it, antialiased where it shrinks."""
    for scale in evaluation.scales:
        size = [max(1, round(side * scale)) for side in image.shape[-2:]]
        yield (
            scale,
            image
            if scale == 1
            else F.interpolate(image, size=size, mode="bilinear", align_corners=False, antialias=scale < 1),
        )


def _probabilities(scores: Tensor, config: Config) -> Tensor:
    """Those of what `_scores` gives."""
    evaluation = config.evaluation
    if evaluation.protocol == SLIDING and evaluation.window_mean == "probabilities":
        return scores
    return scores.float().softmax(1)


def _scores(network: nn.Module, image: Tensor, config: Config, seen: Seen | None, part: Key) -> Tensor:
    """(1, 3, h, w) -> (1, C, h, w) by one pass, or by windows: logits, or the mean of windows' probabilities."""
    height, width = image.shape[-2:]
    if config.evaluation.protocol != SLIDING:
        return _pass(network, image, config, seen, (*part, 0, 0, height, width))
    side = window_side(config)
    step = max(1, math.ceil(side * config.evaluation.stride - 1e-9))
    total, count = torch.zeros(()), torch.zeros(1, 1, height, width, device=image.device)
    for top in window_starts(height, side, step):
        for left in window_starts(width, side, step):
            window = (..., slice(top, top + side), slice(left, left + side))
            inside = image[window]
            found = _pass(network, inside, config, seen, (*part, top, left, *inside.shape[-2:])).float()
            if config.evaluation.window_mean == "probabilities":
                found = found.softmax(1)
            if not total.ndim:
                total = found.new_zeros(1, found.shape[1], height, width)
            total[window] += found
            count[window] += 1
    return total / count


def _pass(network: nn.Module, image: Tensor, config: Config, seen: Seen | None, key: Key) -> Tensor:
    if seen is None:
        return logits(network, image, config)
    if key not in seen:
        seen[key] = logits(network, image, config)
    return seen[key]


def logits(network: nn.Module, image: Tensor, config: Config) -> Tensor:
    """(1, 3, h, w) -> (1, C, h, w), by one pass at the nearest size that the network can see."""
    height, width = image.shape[-2:]
    patch = patch_size(config.model)
    fitting = (_rounded(height, patch), _rounded(width, patch))
    return _at(network(_at(image, fitting)), (height, width))


def _rounded(side: int, patch: int) -> int:
    """The nearest multiple of the patch, at least one; the larger one of two that are as near."""
    return max(1, int(side / patch + 0.5)) * patch


def window_starts(length: int, side: int, step: int) -> list[int]:
    """Where windows begin along an axis: every `step`, and the last one ends where the axis does."""
    if length <= side:
        return [0]
    last = length - side
    return [*range(0, last, step), last]
