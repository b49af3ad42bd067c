"""Gradient accumulation: without BatchNorm a batch in parts is the whole batch; what BatchNorm makes of it; memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from gta.config import ScheduleConfig
from gta.methods import METHODS, Method
from gta.ops.batch import Labeled, Unlabeled, labeled_parts, positions, unlabeled_parts
from tests.helpers.methods import doubles

pytestmark = pytest.mark.slow

Make = Callable[..., Method]
BATCH = {"batch_size": 8, "group_size": 2, "warm_up": 1}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in METHODS},
    "fixmatch": ("fixmatch", {"threshold": 0.3}),
    "unimatch": ("unimatch", {"threshold": 0.3}),
    "unimatch_v2": ("unimatch_v2", {"threshold": 0.3}),
    "augseg": ("augseg", {"threshold": 0.3}),
    "u2pl": ("u2pl", {"low_rank": 1, "high_rank": 4, "memory_size": 100, "memory_size_first": 150}),
    "cps_plain": ("cps", {"cutmix": False}),
    "unimatch_levelled": ("unimatch", {"threshold": 0.3, "joint_batches": True}),
    "gta_lean": ("gta", {"joint_batches": False, "confidence": "pseudo_label"}),
    "gta_shared": ("gta", {"share_mask_predictor": True, "strong": True}),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_batch_in_parts_is_the_whole_batch_without_batchnorm(row: str, make: Make, batch: Callable[..., Any]) -> None:
    """Every value, weight and momentum of three steps over the warm-up's end, in float64, the hard pixels' loss and
    dropout too.
    """
    name, config = ROWS[row]
    found = []
    for accumulate in (1, 2, 4):
        schedule = {**BATCH, "accumulate": accumulate, "ohem_threshold": 0.3, "ohem_min_kept": 300}
        method = make(name, {"auxiliary": True, "dropout": 0.3}, schedule, dtype=torch.float64, frozen=True, **config)
        values = [method.step(*doubles(*batch(iteration, 8)), iteration) for iteration in range(3)]
        found.append((values, method.state_dict()))
    whole = found[0]
    assert len(whole[0][2]) > len(whole[0][0]) or not METHODS[name].uses_unlabeled
    for values, state in found[1:]:
        for mine, theirs in zip(values, whole[0], strict=True):
            assert mine.keys() == theirs.keys()
            for key in mine:
                close = 1e-12 if "loss" in key else 1e-6  # shares of pixels are float32
                assert mine[key].item() == pytest.approx(theirs[key].item(), abs=close, rel=0), key
        assert gap(state, whole[1]) < 1e-12


def gap(one: Any, other: Any) -> float:
    """Largest difference of the tensors of two nested states."""
    if isinstance(one, torch.Tensor):
        return float((one.double() - other.double()).abs().max())
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return max((gap(one[key], other[key]) for key in one), default=0.0)
    return 0.0


@pytest.mark.parametrize("name", METHODS)
def test_no_pass_holds_more_than_a_part(name: str, make: Make, batch: Callable[..., Any]) -> None:
    """Half the images in each pass of each network, and BatchNorm's statistics move twice as often."""
    largest, moves = [], []
    for accumulate in (1, 2):
        method = make(name, schedule={**BATCH, "accumulate": accumulate})
        for iteration in range(2):
            method.step(*batch(iteration, 8), iteration)
        seen: list[int] = []
        for network in method.models.values():
            network.register_forward_pre_hook(lambda _, images, seen=seen: seen.append(len(images[0])))
        norm = next(m for m in method.networks()["student"].modules() if isinstance(m, nn.BatchNorm2d))
        before = int(norm.num_batches_tracked)
        method.step(*batch(2, 8), 2)
        largest.append(max(seen))
        moves.append(int(norm.num_batches_tracked) - before)
    assert largest[1] * 2 == largest[0]
    assert moves[1] == 2 * moves[0] > 0


@pytest.mark.parametrize("name", ["gta", "fixmatch", "cps"])
def test_labels_are_made_before_a_network_moves(name: str, make: Make, batch: Callable[..., Any]) -> None:
    """All passes without gradient come first: with BatchNorm in training they would else depend on the parts."""
    method = make(name, schedule={**BATCH, "accumulate": 4})
    for iteration in range(2):
        method.step(*batch(iteration, 8), iteration)
    learning: list[bool] = []
    for network in method.models.values():
        network.register_forward_pre_hook(lambda *_: learning.append(torch.is_grad_enabled()))
    method.step(*batch(2, 8), 2)
    labels = 4 * {"gta": 1, "fixmatch": 1, "cps": 2}[name]
    assert not any(learning[:labels])
    assert learning[labels] if name == "gta" else all(learning[labels:]), "gta's teacher passes once more for each part"


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_a_part_holds_the_same_images_on_any_number_of_ranks(accumulate: int) -> None:
    """And its groups keep their global numbers, by which CutMix draws."""
    schedule = ScheduleConfig(batch_size=24, group_size=3, accumulate=accumulate)
    for world_size in (1, 2):
        parts: list[list[int]] = [[] for _ in range(accumulate)]
        for rank in range(world_size):
            mine = positions(schedule, world_size, rank)
            places = torch.tensor(mine)[:, None, None]
            images = places[..., None].expand(-1, 3, 1, 1)
            labeled = labeled_parts(Labeled(images, places, mine[0] // 3), schedule)
            unlabeled = unlabeled_parts(Unlabeled(images, None, places == 0, mine[0] // 3, images), schedule)
            for part, (one, other) in enumerate(zip(labeled, unlabeled, strict=True)):
                assert int(one.mask[0]) // 3 == one.first_group == other.first_group
                assert torch.equal(one.image, other.weak)
                assert other.strong is None
                assert other.strong2 is not None
                parts[part] += one.mask.flatten().tolist()
        assert parts == torch.arange(24).view(accumulate, -1).tolist()
