"""Scoring networks on the validation list by the configured protocol: each image once, the same on any ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gta import progress
from gta.cellfolder import Score
from gta.config import Config
from gta.data.loaders import val_batches, val_samples
from gta.data.transforms import denormalise, normalised
from gta.data.valbatches import Batches, batches_of, dealt
from gta.errors import Diverged
from gta.ops import distributed, metrics
from gta.ops.hostmemory import kept
from gta.train import counting, inference
from gta.train.artifacts import Example
from gta.train.counting import Counts, scored_part


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

    Images go through the network at `data.input_scale` of their size, as `evaluation` says (`gta.train.inference`), by
    themselves or in batches (`gta.data.valbatches`); scores are brought to the original size (bilinear) before the
    argmax. No image is padded or seen twice, so the sums are the same on any ranks. The center crops alone pad: an
    image smaller than the crop gets a frame of the mean colour, whose pixels are ignored, or
    (`center_crop_padded_background`) count as class 0. An image is read and copied to the device once for all networks,
    and for all protocols that read the same batches; nothing in the loop waits for the device.

    Raises Diverged, on every rank, where the scores of a network are not finite: their argmax would be a class.
    """
    chosen, classes = chosen_ids(configs[0], ids), len(configs[0].data.classes)
    apart = len(chosen) if by_image else 0
    counts = [{name: Counts.none(classes, apart, device) for name in networks} for _ in configs]
    unsound = {name: torch.zeros(len(chosen), dtype=torch.int64, device=device) for name in networks}
    modes = {name: network.training for name, network in networks.items()}
    for network in networks.values():
        network.eval()
    plans = _plans(configs, chosen)
    amount = sum(len(batch) for batches, _ in plans for batch in batches)
    with kept(device), progress.work("scoring images", amount) as work:
        for batches, numbers in plans:
            together, found = [configs[number] for number in numbers], [counts[number] for number in numbers]
            for batch in val_batches(together[0], chosen, batches, pinned=device.type == "cuda"):
                there = batch.to(device)
                images = normalised(there.images, together[0].data)
                counting.count_batch(networks, together, images, there.masks, there.indices, found, unsound)
                work.advance(len(batch))
    for name, network in networks.items():
        network.train(modes[name])
    for name, bad in unsound.items():
        if broken := int((distributed.all_reduce_sum(bad) > 0).sum()):
            raise Diverged(f"the scores of the {name} are not finite on {broken} of {len(chosen)} images")
    return [{name: one.of_all_ranks() for name, one in found.items()} for found in counts]


def _plans(configs: Sequence[Config], chosen: list[str]) -> list[tuple[Batches, list[int]]]:
    """This rank's batches, and the numbers of the configs that read the images in them."""
    plans: dict[Batches, list[int]] = {}
    for number, config in enumerate(configs):
        plans.setdefault(batches_of(config, chosen), []).append(number)
    rank, world_size = distributed.rank(), distributed.world_size()
    return [(dealt(batches, rank, world_size), numbers) for batches, numbers in plans.items()]


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
        image, mask = scored_part(image.to(device), mask.to(device), config)
        scores = inference.class_scores(network, image, (mask.shape[-2], mask.shape[-1]), config)
        seen = denormalise(image.cpu(), config.data)[0]
        truth, prediction = (labels.cpu().numpy().astype(np.uint8) for labels in (mask, scores.argmax(1)[0]))
        yield Example(index, chosen[index], seen, truth, prediction)
    network.train(mode)


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
