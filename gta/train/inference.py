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
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gta.config import SLIDING, Config, EvaluationConfig
from gta.encoders import patch_size
from gta.models.segmentation import upsample
from gta.scoring import window_side

Key = tuple[Hashable, ...]  # which part of an image a pass saw, and how


class Shared:
    """The passes of one network over one image that several protocols need: each is made once, and kept until the last
    of them has had it. `parts`: of each protocol, in the order in which they are asked for, its config, the name of the
    part of the image that it sees, and that part's height and width.
    """

    def __init__(self, parts: Iterable[tuple[Config, Key, int, int]]):
        self.left = Counter(key for config, part, h, w in parts for key in _passes(config, part, h, w))
        self.kept: dict[Key, Tensor] = {}

    def logits(self, network: nn.Module, image: Tensor, config: Config, key: Key) -> Tensor:
        found = self.kept.pop(key, None)
        if found is None:
            found = logits(network, image, config)
        self.left[key] -= 1
        if self.left[key] > 0:
            self.kept[key] = found
        return found


@torch.no_grad()
def class_scores(
    network: nn.Module,
    image: Tensor,
    size: tuple[int, int],
    config: Config,
    shared: Shared | None = None,
    part: Key = (),
) -> Tensor:
    """(1, 3, h, w) -> (1, C, *size), whose argmax over C is the prediction. The network is in eval mode.

    Logits for one look at the image, whole or by windows; else the mean of the looks' probabilities. `shared`: with
    other protocols, of which `part` says which part of the image this is.
    """
    evaluation = config.evaluation
    if list(evaluation.scales) == [1.0] and not evaluation.flip:
        return _at(_scores(network, image, config, shared, (*part, 1.0, False)), size)
    total, passes = torch.zeros(()), 0
    for scale, scaled in _scaled(image, evaluation):
        for mirrored in (False, True) if evaluation.flip else (False,):
            looked = scaled.flip(-1) if mirrored else scaled
            found = _probabilities(_scores(network, looked, config, shared, (*part, scale, mirrored)), config)
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


def _scores(network: nn.Module, image: Tensor, config: Config, shared: Shared | None, part: Key) -> Tensor:
    """(1, 3, h, w) -> (1, C, h, w) by one pass, or by windows: logits, or the mean of windows' probabilities."""
    height, width = image.shape[-2:]
    if config.evaluation.protocol != SLIDING:
        return _pass(network, image, config, shared, (*part, 0, 0, height, width))
    side, step = window_side(config), _step(config)
    total, count = torch.zeros(()), torch.zeros(1, 1, height, width, device=image.device)
    for top in window_starts(height, side, step):
        for left in window_starts(width, side, step):
            window = (..., slice(top, top + side), slice(left, left + side))
            inside = image[window]
            found = _pass(network, inside, config, shared, (*part, top, left, *inside.shape[-2:])).float()
            if config.evaluation.window_mean == "probabilities":
                found = found.softmax(1)
            if not total.ndim:
                total = found.new_zeros(1, found.shape[1], height, width)
            total[window] += found
            count[window] += 1
    return total / count


def _pass(network: nn.Module, image: Tensor, config: Config, shared: Shared | None, key: Key) -> Tensor:
    return logits(network, image, config) if shared is None else shared.logits(network, image, config, key)


def _passes(config: Config, part: Key, height: int, width: int) -> Iterator[Key]:
    """The passes that `class_scores` makes over an image of that size, by the keys that it gives them."""
    evaluation, side = config.evaluation, window_side(config)
    for scale in evaluation.scales:
        h, w = (max(1, round(length * scale)) for length in (height, width))
        for mirrored in (False, True) if evaluation.flip else (False,):
            if evaluation.protocol != SLIDING:
                yield (*part, scale, mirrored, 0, 0, h, w)
                continue
            for top in window_starts(h, side, _step(config)):
                for left in window_starts(w, side, _step(config)):
                    yield (*part, scale, mirrored, top, left, min(side, h - top), min(side, w - left))


def _step(config: Config) -> int:
    """Pixels from one sliding window to the next."""
    return max(1, math.ceil(window_side(config) * config.evaluation.stride - 1e-9))


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
