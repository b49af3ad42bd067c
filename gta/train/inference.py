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
Images of one shape, and windows of one size, pass together: `evaluation.batch` of them, fewer where they are large
(`gta.scoring.at_once`). What passes together follows from the images and the protocol alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from types import EllipsisType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gta.config import SLIDING, Config, EvaluationConfig
from gta.encoders import patch_size
from gta.models.segmentation import upsample
from gta.ops.metrics import on_host
from gta.scoring import at_once, at_scale, window_side

Key = tuple[Hashable, ...]  # which part of images a pass saw, and how


@dataclass(frozen=True)
class Pass:
    """What goes through the network at once: of images of one shape, the rectangles of `height` and `width` at `places`
    (number of the image, top, left).
    """

    places: tuple[tuple[int, int, int], ...]
    height: int
    width: int

    def of(self, images: Tensor) -> Tensor:
        """(N, 3, h, w) -> (number of places, 3, height, width)."""
        first, last = self.places[0][0], self.places[-1][0] + 1
        if images.shape[-2:] == (self.height, self.width):
            return images[first:last]
        if len(self.places) == 1:
            return images[first:last][self.within(*self.places[0])]
        return torch.stack([images[image][self.within(image, top, left)] for image, top, left in self.places])

    def within(self, image: int, top: int, left: int) -> tuple[EllipsisType, slice, slice]:
        """Where a place is in an image (..., h, w)."""
        return (..., slice(top, top + self.height), slice(left, left + self.width))


class Shared:
    """The passes of one network over images that several protocols need: each is made once, and kept until the last
    of them has had it. `parts`: of each protocol, in the order in which they are asked for, its config, the name of the
    part of the images that it sees, how many there are, and that part's height and width.
    """

    def __init__(self, parts: Iterable[tuple[Config, Key, int, int, int]]):
        self.left = Counter(key for config, part, n, h, w in parts for key in _keys(config, part, n, h, w))
        self.kept: dict[Key, Tensor] = {}

    def logits(self, network: nn.Module, images: Tensor, config: Config, part: Key, one: Pass) -> Tensor:
        key = _key(config, part, one)
        found = self.kept.pop(key, None)
        if found is None:
            found = logits(network, one.of(images), config)
        self.left[key] -= 1
        if self.left[key] > 0:
            self.kept[key] = found
        return found


@torch.no_grad()
def class_scores(
    network: nn.Module,
    images: Tensor,
    size: tuple[int, int],
    config: Config,
    shared: Shared | None = None,
    part: Key = (),
) -> Tensor:
    """(N, 3, h, w) -> (N, C, *size), whose argmax over C is the prediction. The network is in eval mode.

    Logits for one look at the images, whole or by windows; else the mean of the looks' probabilities. `shared`: with
    other protocols, of which `part` says which part of the images this is.
    """
    evaluation = config.evaluation
    if list(evaluation.scales) == [1.0] and not evaluation.flip:
        return _at(_scores(network, images, config, shared, (*part, 1.0, False)), size)
    total, looks = torch.zeros(()), 0
    for scale, scaled in _scaled(images, evaluation):
        for mirrored in (False, True) if evaluation.flip else (False,):
            looked = scaled.flip(-1) if mirrored else scaled
            found = _probabilities(_scores(network, looked, config, shared, (*part, scale, mirrored)), config)
            total, looks = _added(total if looks else None, found, mirrored, size), looks + 1
    return total.div_(looks)


def _added(total: Tensor | None, found: Tensor, mirrored: bool, size: tuple[int, int]) -> Tensor:
    """The sum of the looks so far, and of one more, turned back and brought to `size`."""
    if total is None or not (on_host(found) and found.is_contiguous()):
        found = _at(found.flip(-1) if mirrored else found, size)
        return found if total is None else total.add_(found)
    # the same on a CPU, plane by plane: what is made of one stays in the cache until it is added
    for sums, plane in zip(total.split(1, 1), found.split(1, 1), strict=True):
        sums.add_(_at(plane.flip(-1) if mirrored else plane, size))
    return total


def _at(scores: Tensor, size: tuple[int, int]) -> Tensor:
    return scores if scores.shape[-2:] == size else upsample(scores, size)


def _scaled(images: Tensor, evaluation: EvaluationConfig) -> Iterator[tuple[float, Tensor]]:
    """Each scale, and the images at it, antialiased where they shrink."""
    for scale in evaluation.scales:
        size = at_scale(images.shape[-2], images.shape[-1], scale)
        yield (
            scale,
            images
            if scale == 1
            else F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=scale < 1),
        )


def _probabilities(scores: Tensor, config: Config) -> Tensor:
    """Those of what `_scores` gives: a tensor of its own, which no other protocol sees."""
    evaluation = config.evaluation
    if evaluation.protocol == SLIDING and evaluation.window_mean == "probabilities":
        return scores
    return scores.float().softmax(1)


def _scores(network: nn.Module, images: Tensor, config: Config, shared: Shared | None, part: Key) -> Tensor:
    """(N, 3, h, w) -> (N, C, h, w) by one look, or by windows: logits, or the mean of windows' probabilities."""
    count, (height, width) = len(images), images.shape[-2:]
    passes = _passes(config, count, height, width)
    made = ((one, _pass(network, images, config, shared, part, one)) for one in passes)
    if config.evaluation.protocol != SLIDING:
        whole = [found for _, found in made]
        return whole[0] if len(whole) == 1 else torch.cat(whole)
    total, seen = torch.zeros(()), torch.zeros(1, 1, height, width, device=images.device)
    for one, found in made:
        found = found.float()
        if config.evaluation.window_mean == "probabilities":
            found = found.softmax(1)
        if not total.ndim:
            total = found.new_zeros(count, found.shape[1], height, width)
        for place, scores in zip(one.places, found, strict=True):
            total[place[0]][one.within(*place)] += scores
            if place[0] == 0:  # of the other images the windows are the same
                seen[one.within(*place)] += 1
    return total.div_(seen)


def _pass(network: nn.Module, images: Tensor, config: Config, shared: Shared | None, part: Key, one: Pass) -> Tensor:
    if shared is None:
        return logits(network, one.of(images), config)
    return shared.logits(network, images, config, part, one)


def _passes(config: Config, count: int, height: int, width: int) -> list[Pass]:
    """The passes of one look at so many images of that size, in the order in which they are made."""
    if config.evaluation.protocol != SLIDING:
        size, corners = (height, width), [(0, 0)]
    else:
        side, step = window_side(config), _step(config)
        size = (min(side, height), min(side, width))
        tops, lefts = window_starts(height, side, step), window_starts(width, side, step)
        corners = [(top, left) for top in tops for left in lefts]
    places = [(image, *corner) for image in range(count) for corner in corners]
    most = at_once(config, size[0] * size[1])
    return [Pass(tuple(places[first : first + most]), *size) for first in range(0, len(places), most)]


def _keys(config: Config, part: Key, count: int, height: int, width: int) -> Iterator[Key]:
    """Those of all passes that `class_scores` makes over so many images of that size."""
    evaluation = config.evaluation
    for scale in evaluation.scales:
        for mirrored in (False, True) if evaluation.flip else (False,):
            for one in _passes(config, count, *at_scale(height, width, scale)):
                yield _key(config, (*part, scale, mirrored), one)


def _key(config: Config, part: Key, one: Pass) -> Key:
    """Equal for passes of two protocols that are one."""
    return (*part, config.evaluation.precision, one)


def _step(config: Config) -> int:
    """Pixels from one sliding window to the next."""
    return max(1, math.ceil(window_side(config) * config.evaluation.stride - 1e-9))


def logits(network: nn.Module, images: Tensor, config: Config) -> Tensor:
    """(N, 3, h, w) -> (N, C, h, w), by one pass at the nearest size that the network can see."""
    height, width = images.shape[-2:]
    patch = patch_size(config.model)
    fitting = (_rounded(height, patch), _rounded(width, patch))
    if config.evaluation.precision == "fp32":
        return _at(network(_at(images, fitting)), (height, width))
    with torch.autocast(images.device.type, torch.bfloat16):
        found = network(_at(images, fitting))
    return _at(found.float(), (height, width))


def _rounded(side: int, patch: int) -> int:
    """The nearest multiple of the patch, at least one; the larger one of two that are as near."""
    return max(1, int(side / patch + 0.5)) * patch


def window_starts(length: int, side: int, step: int) -> list[int]:
    """Where windows begin along an axis: every `step`, and the last one ends where the axis does."""
    if length <= side:
        return [0]
    last = length - side
    return [*range(0, last, step), last]
