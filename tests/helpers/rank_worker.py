"""The ranks of tests/gta/methods/test_ranks.py: one, two and four train on their shares and write what came out."""

from __future__ import annotations

import copy
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from gta.config import ScheduleConfig
from gta.methods import METHODS
from gta.ops import distributed, dropout
from gta.ops.batch import Labeled, Unlabeled, positions
from gta.ops.dropout import Draws
from tests.helpers.methods import make_batch, make_method
from tests.helpers.ranks import forked

IMAGES, GROUP, STEPS = 8, 2, 4
# In float32, and of what is not in SYNCHRONISED.
SCENARIOS: dict[str, dict[str, Any]] = {
    "mean_teacher": {"name": "mean_teacher"},
    "cutmix": {"name": "cutmix", "cutmix_probability": 0.7},
    "gta": {"name": "gta", "cutmix_probability": 0.7},
    "fixmatch": {"name": "fixmatch", "threshold": 0.3},
    "unimatch_levelled": {"name": "unimatch", "threshold": 0.3, "joint_batches": True},
    "augseg": {"name": "augseg", "threshold": 0.3, "schedule": {"ema_delay": 2}},
    "cps_plain": {"name": "cps", "cutmix": False},
    "student_teacher": {"name": "student_teacher"},
    "gta_separate": {"name": "gta", "joint_batches": False, "confidence": "pseudo_label"},
    "gta_shared": {"name": "gta", "share_mask_predictor": True, "transfer": "all"},
    "supervised_ohem": {"name": "supervised", "schedule": {"ohem_threshold": 0.3, "ohem_min_kept": 400}},
    "gta_dpt": {"name": "gta", "cutmix_probability": 0.7, "dpt": "output"},
    "unimatch_v2_dpt": {"name": "unimatch_v2", "threshold": 0.3, "dpt": "output"},
    "gta_adamw": {"name": "gta", "dpt": "output", "schedule": {"optimizer": "adamw", "lr": 0.001, "lr_warm_up": 2}},
}

# Every method's steps on two ranks in two parts are those of one rank in one part.
ACCUMULATED: dict[str, dict[str, Any]] = {name: {} for name in METHODS if name != "fully_supervised"}
ACCUMULATED["fixmatch"] = {"threshold": 0.3}
ACCUMULATED["unimatch"] = {"threshold": 0.3}
ACCUMULATED["unimatch_v2"] = {"threshold": 0.3}
ACCUMULATED["augseg"] = {"threshold": 0.3}
ACCUMULATED["u2pl"] = {"low_rank": 1, "high_rank": 4, "memory_size": 100, "memory_size_first": 150}
SYNCHRONISED = ("gta", "u2pl", "supervised", "unimatch", "unimatch_v2", "cps")
ON_FOUR = 2  # of these also on four ranks: the one with most networks, and the one with a memory
DROPOUT = 0.3  # of every network, but beside the reference, which knows none


NORMALISED = ("gta", "unimatch", "cps")


def share(iteration: int, accumulate: int = 1) -> tuple[Labeled, Unlabeled]:
    """This rank's part of the global batch, as the loader gives it."""
    labeled, unlabeled = make_batch(iteration, IMAGES)
    schedule = ScheduleConfig(batch_size=IMAGES, group_size=GROUP, accumulate=accumulate)
    mine = positions(schedule, distributed.world_size(), distributed.rank())
    first = mine[0] // GROUP
    assert unlabeled.strong is not None
    assert unlabeled.strong2 is not None
    views = (unlabeled.weak[mine], unlabeled.strong[mine], unlabeled.padding[mine])
    return Labeled(labeled.image[mine], labeled.mask[mine], first), Unlabeled(*views, first, unlabeled.strong2[mine])


def train(
    name: str, model: dict[str, Any] | None = None, schedule: dict[str, Any] | None = None, **config: Any
) -> dict[str, Any]:
    """Values of each step, averaged over the ranks as the trainer does, and every network at the end."""
    schedule = {"batch_size": IMAGES, "group_size": GROUP, "warm_up": 2, "iterations": 50, **(schedule or {})}
    method = make_method(name, model={"dropout": DROPOUT, **(model or {})}, schedule=schedule, **config)
    values = []
    DRAWN.clear()
    for iteration in range(STEPS):
        torch.manual_seed(1000 * iteration + distributed.rank())
        step = method.step(*share(iteration, method.schedule.accumulate), iteration)
        means = {k: distributed.all_reduce_sum(v) / distributed.world_size() for k, v in step.items()}
        values.append({k: v.item() for k, v in means.items()})
    return {"values": values, "networks": method.state_dict()["networks"]}


def float64() -> list[dict[str, Any]]:
    """Losses (mean over the ranks) and every network after each of five steps of GTA in float64."""
    schedule = {"batch_size": IMAGES, "group_size": GROUP}
    model = {"dropout": 0.0, "auxiliary": True}
    method = make_method("gta", model, schedule, dtype=torch.float64, cutmix_probability=0.7)
    answers = []
    for iteration in range(5):
        labeled, unlabeled = share(iteration)
        labeled.image, unlabeled.weak = labeled.image.double(), unlabeled.weak.double()
        step = method.step(labeled, unlabeled, iteration)
        losses = {k: distributed.all_reduce_sum(v) / distributed.world_size() for k, v in step.items() if "loss" in k}
        answers.append({"losses": losses, "networks": copy.deepcopy(method.state_dict()["networks"])})
    return answers


def accumulated(name: str, accumulate: int, frozen: bool) -> dict[str, Any]:
    """Losses and networks of three steps in float64, BatchNorm's statistics frozen or not; what dropout drew; and how
    many times DDP averaged the student's gradients.
    """
    schedule = {"batch_size": IMAGES, "group_size": GROUP, "warm_up": 1, "accumulate": accumulate}
    model = {"dropout": DROPOUT, "auxiliary": True}
    method = make_method(name, model, schedule, dtype=torch.float64, frozen=frozen, **ACCUMULATED[name])
    averaged: list[int] = []

    def note(_, bucket):  # type: ignore[no-untyped-def]  # torch would read the annotations
        averaged.append(bucket.index())
        return allreduce_hook(None, bucket)

    if distributed.world_size() > 1:
        method.models["student"].register_comm_hook(None, note)  # type: ignore[operator]
    values = []
    DRAWN.clear()
    for iteration in range(3):
        labeled, unlabeled = share(iteration, accumulate)
        assert unlabeled.strong is not None
        assert unlabeled.strong2 is not None
        labeled.image, unlabeled.weak = labeled.image.double(), unlabeled.weak.double()
        unlabeled.strong, unlabeled.strong2 = unlabeled.strong.double(), unlabeled.strong2.double()
        step = method.step(labeled, unlabeled, iteration)
        losses = {k: distributed.all_reduce_sum(v) / distributed.world_size() for k, v in step.items() if "loss" in k}
        values.append({k: v.item() for k, v in losses.items()})
    networks = method.state_dict()["networks"]
    return {"values": values, "networks": networks, "averaged": len(averaged), "drawn": dict(DRAWN)}


# (iteration, network, how many draws before) -> planes kept of each (view, image of the global batch); -1: not ours
DRAWN: dict[tuple[int, str, int], Tensor] = {}


def record_draws() -> None:
    """From now on, what dropout draws stands in `DRAWN`."""
    kept = dropout._Pass.kept
    calls: Counter[tuple[Draws, str, int]] = Counter()

    def recording(self: Any, images: int, planes: int, probability: float) -> Tensor:
        found = kept(self, images, planes, probability)
        _, first, share = self.begun
        call = (self.draws, self.network, first)
        key = (self.draws.iteration, self.network, calls[call])
        calls[call] += 1
        whole = DRAWN.setdefault(key, torch.full((images // share, IMAGES, planes), -1))
        whole[:, first : first + share] = found.view(-1, share, planes).long()
        return found

    dropout._Pass.kept = recording  # type: ignore[method-assign]


def batchnorm() -> dict[str, Tensor]:
    """Synchronised BatchNorm on unequal shares of 8 images; the output, gradients and statistics of this rank."""
    torch.manual_seed(0)
    x, weights = torch.randn(8, 3, 4, 5) * 3 + 10, torch.randn(8, 3, 4, 5)
    shares = {1: [slice(0, 8)], 2: [slice(0, 3), slice(3, 8)]}[distributed.world_size()]
    mine = shares[distributed.rank()]
    norm = nn.BatchNorm2d(3)
    nn.init.normal_(norm.weight)
    model = distributed.synchronise_batchnorm(nn.Sequential(norm))
    own = x[mine].requires_grad_()
    out = model(own)
    (out * weights[mine]).square().sum().backward()
    assert own.grad is not None
    grads = {n: distributed.all_reduce_sum(p.grad) for n, p in model.named_parameters() if p.grad is not None}
    evaluated = model.eval()(x[mine])
    return {
        "out": out.detach(),
        "grad": own.grad,
        **grads,
        **dict(model.named_buffers()),
        "evaluated": evaluated.detach(),
    }


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    for world in (1, 2, 4):
        forked(world, partial(train_and_write, folder))


def train_and_write(folder: Path) -> None:
    """What one rank does."""
    device = distributed.init_from_env("cpu")
    assert device.type == "cpu"
    rank, world = distributed.rank(), distributed.world_size()
    record_draws()
    parts = {1: 1, 2: 2, 4: 1}[world]
    synchronised = SYNCHRONISED[:ON_FOUR] if world == 4 else SYNCHRONISED
    answer: dict[str, Any] = {}
    answer["accumulated"] = {name: accumulated(name, parts, frozen=True) for name in ACCUMULATED}
    answer["synchronised"] = {name: accumulated(name, 1, frozen=False) for name in synchronised}
    if world <= 2:
        answer |= more()
    torch.save(answer, folder / f"{world}_{rank}.pt")
    distributed.barrier()
    distributed.shutdown()


def more() -> dict[str, Any]:
    """What one and two ranks are compared by."""
    rank, world = distributed.rank(), distributed.world_size()
    answer: dict[str, Any] = {name: train(**scenario) for name, scenario in SCENARIOS.items()}
    answer["float64"] = float64()
    answer["normalised"] = {name: accumulated(name, accumulate=2, frozen=False) for name in NORMALISED}
    answer["batchnorm"] = batchnorm()
    counts = torch.tensor([2**40 + rank, 1])
    answer["collectives"] = {
        "sum": distributed.all_reduce_sum(counts),
        "argument": counts,
        "highest": [distributed.highest(0), distributed.highest(2 * (rank == world - 1)), distributed.highest(1)],
        "broadcast": distributed.broadcast_object({"from": rank}),
    }
    return answer


if __name__ == "__main__":
    main(Path(sys.argv[1]))
