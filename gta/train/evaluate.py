"""Scoring networks on the validation list by the configured protocol: each image once, the same on any ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gta import progress
from gta.cellfolder import Score
from gta.config import CROP, CROP_BACKGROUND, Config
from gta.data.loaders import val_samples
from gta.data.spec import IGNORE
from gta.data.transforms import denormalise
from gta.errors import Diverged
from gta.ops import distributed, metrics
from gta.train import inference
from gta.train.artifacts import Example

BACKGROUND = 0  # the class that the public code gives to padding


@dataclass
class Counts:
    """Pixels of one network by one protocol: the confusion matrix `total` (C, C) int64, rows truth; and, where they are
    asked for, `intersection` and `union` of each image and class, (N, C) int64.
    """

    total: Tensor
    intersection: Tensor | None = None
    union: Tensor | None = None

    @classmethod
    def none(cls, classes: int, images: int, device: torch.device) -> Counts:
        """Of nothing yet; `images`: how many are kept apart."""

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.int64, device=device)

        total = zeros(classes, classes)
        return cls(total, zeros(images, classes), zeros(images, classes)) if images else cls(total)

    def add(self, index: int, matrix: Tensor) -> None:
        """Add what image number `index` gave."""
        self.total += matrix
        if self.intersection is not None and self.union is not None:
            self.intersection[index] = matrix.diagonal()
            self.union[index] = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()

    def of_all_ranks(self) -> Counts:
        """Their sum over the ranks, on the CPU."""
        parts = (self.total, self.intersection, self.union)
        return Counts(*(None if part is None else distributed.all_reduce_sum(part).cpu() for part in parts))  # type: ignore[arg-type]


def confusion_matrices(
    networks: Mapping[str, nn.Module], config: Config, ids: list[str], device: torch.device
) -> dict[str, Tensor]:
    """Confusion matrix (C, C) int64 of each network, rows truth, summed over the ranks; see `count`."""
    (found,) = count(networks, [config], ids, device)
    return {name: counts.total for name, counts in found.items()}


@torch.no_grad()
def count(
    networks: Mapping[str, nn.Module],
    configs: Sequence[Config],
    ids: list[str],
    device: torch.device,
    by_image: bool = False,
) -> list[dict[str, Counts]]:
    """What each network gets right and wrong by the protocol of each config, in their order; the configs differ in
    `evaluation` alone. An image is read once, and a pass that several protocols share is made once.

    Images go through the network one by one at `data.input_scale` of their size, as `evaluation` says
    (`gta.train.inference`); scores are brought to the original size (bilinear) before the argmax. No image is padded or
    seen twice, so the sums are the same on any ranks. The center crops alone pad: an image smaller than the crop gets a
    frame of the mean colour, whose pixels are ignored, or (`center_crop_padded_background`) count as class 0.

    Raises Diverged, on every rank, where the scores of a network are not finite: their argmax would be a class.
    """
    chosen, classes = chosen_ids(configs[0], ids), len(configs[0].data.classes)
    apart = len(chosen) if by_image else 0
    counts = [{name: Counts.none(classes, apart, device) for name in networks} for _ in configs]
    unsound = {name: torch.zeros((), dtype=torch.int64, device=device) for name in networks}  # images
    modes = {name: network.training for name, network in networks.items()}
    for network in networks.values():
        network.eval()
    samples = val_samples(configs[0], chosen, distributed.rank(), distributed.world_size())
    mine = len(range(distributed.rank(), len(chosen), distributed.world_size()))
    for index, image, mask in progress.steps(samples, "scoring images", mine):
        image, mask = image.to(device), mask.to(device)
        parts = [_scored_part(image, mask, config) for config in configs]
        seen = zip(configs, parts, strict=True)
        sizes = [(config, _part(config), part.shape[-2], part.shape[-1]) for config, (part, _) in seen]
        for name, network in networks.items():
            shared = inference.Shared(sizes) if len(configs) > 1 else None
            sound = torch.ones((), dtype=torch.bool, device=device)
            for config, (part, truth), found in zip(configs, parts, counts, strict=True):
                size = (truth.shape[0], truth.shape[1])
                scores = inference.class_scores(network, part, size, config, shared, _part(config))
                found[name].add(index, metrics.confusion(scores.argmax(1)[0], truth, classes, IGNORE))
                sound &= scores.isfinite().all()
            unsound[name] += ~sound
    for name, network in networks.items():
        network.train(modes[name])
    for name, bad in unsound.items():
        if images := int(distributed.all_reduce_sum(bad)):
            raise Diverged(f"the scores of the {name} are not finite on {images} of {len(chosen)} images")
    return [{name: one.of_all_ranks() for name, one in found.items()} for found in counts]


def chosen_ids(config: Config, ids: list[str]) -> list[str]:
    """Those of the validation images that are scored."""
    return ids[: config.schedule.eval_images] if config.schedule.eval_images else ids


@torch.no_grad()
def examples(network: nn.Module, config: Config, ids: list[str], device: torch.device) -> Iterator[Example]:
    """The first `evaluation.pictures` scored images with what the network says of them, made by this process alone."""
    chosen = chosen_ids(config, ids)[: max(0, config.evaluation.pictures)]
    mode = network.training
    network.eval()
    for index, image, mask in val_samples(config, chosen, 0, 1) if chosen else ():
        image, mask = _scored_part(image.to(device), mask.to(device), config)
        scores = inference.class_scores(network, image, (mask.shape[0], mask.shape[1]), config)
        seen = denormalise(image.cpu(), config.data)[0]
        truth, prediction = (labels.cpu().numpy().astype(np.uint8) for labels in (mask, scores.argmax(1)[0]))
        yield Example(index, chosen[index], seen, truth, prediction)
    network.train(mode)


def _part(config: Config) -> inference.Key:
    """Equal for configs by which the same part of an image is scored."""
    evaluation = config.evaluation
    return ("crop", evaluation.crop) if evaluation.protocol in (CROP, CROP_BACKGROUND) else ("whole",)


def _scored_part(image: Tensor, mask: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    """Image (1, 3, h, w) and mask (H, W), whole or cut to the center crop, which is padded to its full side."""
    protocol, side = config.evaluation.protocol, config.evaluation.crop
    if protocol not in (CROP, CROP_BACKGROUND):
        return image, mask
    height, width = mask.shape
    top, left = max(0, height - side) // 2, max(0, width - side) // 2
    image = image[..., top : top + side, left : left + side]
    mask = mask[top : top + side, left : left + side]
    missing = (side - mask.shape[1], side - mask.shape[0])
    frame = (missing[0] // 2, missing[0] - missing[0] // 2, missing[1] // 2, missing[1] - missing[1] // 2)
    filler = BACKGROUND if protocol == CROP_BACKGROUND else IGNORE
    # 0 is the mean colour of a normalised image
    return F.pad(image, frame), F.pad(mask, frame, value=filler)


def score(confusion: Tensor, iteration: int) -> Score:
    """mIoU over the classes that occur, in percent, from a confusion matrix."""
    per_class = [100 * value for value in metrics.iou(confusion).tolist()]
    iou = [None if value != value else value for value in per_class]
    return Score(iteration=iteration, miou=metrics.miou(confusion), iou=iou)


def evaluate(
    networks: Mapping[str, nn.Module], config: Config, ids: list[str], device: torch.device, iteration: int
) -> dict[str, Score]:
    """The score of each network on the images `ids`, the same on every rank."""
    matrices = confusion_matrices(networks, config, ids, device)
    return {name: score(matrix, iteration) for name, matrix in matrices.items()}
