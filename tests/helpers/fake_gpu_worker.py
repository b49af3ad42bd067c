"""Steps and scoring on a GPU that computes nothing (`fake_gpu`), in a process of their own; what was found, as JSON."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch

from gta.config import Config
from gta.methods import METHODS, Method
from gta.ops.finite import tensors_in
from gta.ops.transfer import to_device
from gta.train import counting, kernels
from gta.train.counting import Counts
from tests.helpers.cells import config
from tests.helpers.configs import changed
from tests.helpers.fake_gpu import FakeGpu, fake_gpu, install
from tests.helpers.methods import SCHEDULE, SIDE, make_batch, make_method

SAME = ("fully_supervised",)  # as supervised
CUDA = torch.device("cuda", 0)
AFTER = SCHEDULE["warm_up"]
ALL = {"accumulate": 2, "ohem_threshold": 0.3, "ohem_min_kept": 50, "optimizer": "adamw", "lr_schedule": "cosine"}
PROTOCOLS: dict[str, dict[str, Any]] = {
    "windows, bf16": {"protocol": "sliding_window", "window": 20, "batch": 3, "precision": "bf16"},
    "scales": {"scales": [0.5, 1.5], "flip": True},
}
TOGETHER: dict[str, dict[str, Any]] = {
    "whole": {},
    "crop": {"protocol": "center_crop", "crop": 20},
    "padded crop": {"protocol": "center_crop_padded_background", "crop": 60},
}


def method_of(name: str, precision: str, every: bool = False, dpt: str = "", device: str = "cuda") -> Method:
    """`every`: with all that a schedule and a network may ask for."""
    ranks = {"low_rank": 1, "high_rank": 4} if name == "u2pl" else {}
    model = {"aspp_rates": [2], "dropout": 0.2, "auxiliary": every}
    return make_method(name, model, ALL if every else {}, precision, dpt=dpt, device=device, **ranks)


def step(gpu: FakeGpu, method: Method, iteration: int, deterministic: bool = False) -> None:
    """Only what the step itself does is looked at."""
    if iteration >= AFTER and not method.started:
        method.end_warm_up()
    labeled, unlabeled = (one.to(CUDA) for one in make_batch(iteration))
    for found in (gpu.mixed, gpu.waits, gpu.seen, gpu.types):
        found.clear()  # type: ignore[attr-defined]
    with kernels.deterministic() if deterministic else nullcontext():
        values = method.step(labeled, unlabeled, iteration)
    assert all(value.is_cuda and not value.dim() for value in values.values()), "what it says is on the GPU"


def bf16(gpu: FakeGpu, name: str) -> None:
    step(gpu, method_of(name, "bf16", every=name == "gta"), AFTER)


def loaded(gpu: FakeGpu, state: dict[str, Any]) -> None:
    """u2pl's state as it lies on the CPU."""
    method = method_of("u2pl", "fp32")
    gpu.waits.clear()
    method.load_state_dict(state)
    left = [name for name, tensor in tensors_in(method.state_dict()) if not tensor.is_cuda]
    assert not left, f"left on the CPU: {left}"


def trained() -> dict[str, Any]:
    method = method_of("u2pl", "fp32", device="cpu")
    for iteration in (AFTER, AFTER + 1):
        method.step(*make_batch(iteration), iteration)
    return method.state_dict()


def scored(gpu: FakeGpu, chosen: list[Config]) -> None:
    method = method_of("supervised", "fp32")
    networks = {name: network.eval() for name, network in method.networks().items()}
    images, masks = torch.empty(2, 3, SIDE, SIDE + 8, device=CUDA), torch.zeros(2, SIDE, SIDE + 8, device=CUDA)
    indices = torch.zeros(2, dtype=torch.int64, device=CUDA)
    counts = [{name: Counts.none(len(one.data.classes), 2, CUDA) for name in networks} for one in chosen]
    unsound = {name: torch.zeros(2, dtype=torch.int64, device=CUDA) for name in networks}
    gpu.mixed.clear()
    gpu.waits.clear()
    counting.count_batch(networks, chosen, images, masks.to(torch.uint8), indices, counts, unsound)


def wrong(gpu: FakeGpu) -> None:
    """What is looked for, one each."""
    there = to_device(torch.rand(3), CUDA)
    assert not gpu.waits, "what goes from pinned memory is not waited for"
    there[torch.tensor([0, 1])]
    torch.tensor([1.0, 2.0], device=CUDA)
    there.cpu()
    there.sum().item()
    there[there > 0]
    there.nonzero()
    torch.rand(3).to(CUDA, non_blocking=True)
    there.requires_grad_()
    (there.masked_select(there > 0).sum() * 2).backward()
    there.detach() + torch.rand(3)


def main() -> None:
    warnings.simplefilter("ignore")
    install()
    torch.set_num_threads(1)
    small = changed(config(), {"data.classes": ["a", "b", "c", "d"], "model.encoder": "tiny"})
    protocols, together = (
        {name: changed(small, {f"evaluation.{key}": value for key, value in of.items()}) for name, of in some.items()}
        for some in (PROTOCOLS, TOGETHER)
    )
    cases: dict[str, Callable[[FakeGpu], None]] = {
        **{f"step {name}": lambda gpu, name=name: bf16(gpu, name) for name in METHODS if name not in SAME},
        "warm-up cps": lambda gpu: step(gpu, method_of("cps", "bf16"), 0),
        "deterministic": lambda gpu: step(gpu, method_of("supervised", "fp32"), 0, deterministic=True),
        "DPT unimatch_v2": lambda gpu: step(gpu, method_of("unimatch_v2", "bf16", dpt="output"), AFTER),
        "loaded u2pl": partial(loaded, state=trained()),
        **{f"scored {name}": lambda gpu, one=one: scored(gpu, [one]) for name, one in protocols.items()},
        "scored together": lambda gpu: scored(gpu, list(together.values())),
        "wrong": wrong,
    }
    found = {}
    for name, case in cases.items():
        error = ""
        with fake_gpu() as gpu:
            try:
                case(gpu)
            except Exception as problem:
                error = f"{type(problem).__name__}: {problem}"
        types = sorted(str(one) for one in gpu.types)
        found[name] = {"mixed": gpu.mixed, "waits": gpu.waits, "seen": gpu.seen, "types": types, "error": error}
    print(json.dumps(found))
