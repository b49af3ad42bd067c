"""Arithmetic and memory of one training step of a method, counted and not measured: no weights, no data, no GPU.

usage: python benchmarks/count.py [model=resnet101] [method=gta] [crop=513] [batch=8] [classes=21] [stride=8]
       [optimizer=sgd] [auxiliary=no] [recompute=no] [gib=40] [json=FILE]

Networks are made of PyTorch's fake tensors, which have shapes and no memory. A pass is followed by PyTorch's own FLOP
counter (a multiplication and an addition are two; convolutions, matrix products and attention alone), and by what
autograd keeps for the backward pass, each storage once. Of a step there are counted:

- arithmetic: every pass of the method (`WORKS` below; docs/explanation/method.md has them in words), both ways;
- memory: parameters and buffers of all networks, gradients and the optimizer's state of the trained ones, and what the
  largest optimizer step keeps for its backward pass, with the logits at full size, their softmax and their gradient.

Not counted: what one block holds while it passes once more (`recompute`), work space of cuDNN, fragments, the next
batch, dropout's masks. Attention is counted as the fused kernels have it, which keep no matrix of all pairs. bf16 is
autocast's: weights stay float32.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.options import parse
from gta.config import ModelConfig
from gta.encoders import VITS
from gta.models import SegmentationModel, build_model

GIB = 2**30
DEFAULTS: dict[str, Any] = {
    "model": "resnet101", "method": "gta", "crop": 513, "batch": 8, "classes": 21, "stride": 8, "optimizer": "sgd",
    "auxiliary": "no", "recompute": "no", "gib": 40.0, "json": "",
}  # fmt: skip
DPT_PLANES = {"dinov2_small": 64, "dinov2_base": 128, "dinov2_large": 256}
STATES = {"sgd": 1, "adamw": 2}  # tensors that an optimizer keeps for each parameter


@dataclass(frozen=True)
class Work:
    """What a method does in a step with B labeled and B unlabeled images, in batches of B: passes without gradient;
    and, for each optimizer step, the passes whose activations are kept until its backward pass. Also, how many networks
    are trained and how many follow. docs/explanation/method.md has the same in words.
    """

    looks: tuple[int, ...]
    updates: tuple[tuple[int, ...], ...]
    trained: int = 1
    following: int = 1

    @property
    def units(self) -> int:
        """The work in forward passes of B images, a backward pass being two."""
        return sum(self.looks) + 3 * sum(map(sum, self.updates))


WORKS = {
    "supervised": Work((), ((1,),), following=0),
    "mean_teacher": Work((2,), ((2,),)),
    "cutmix": Work((1,), ((1, 1),)),
    "student_teacher": Work((1, 2), ((2,),)),
    "fixmatch": Work((1,), ((2, 1),), following=0),
    "unimatch_v2": Work((1,), ((1, 2),)),
    "augseg": Work((1,), ((2,),)),
    "cps": Work((1, 1), ((1, 1), (1, 1)), trained=2, following=0),
    "gta": Work((1, 2), ((2,), (2,)), trained=2),
}


@dataclass(frozen=True)
class Pass:
    """One pass of `images` images: FLOPs forward and backward, and bytes kept for the backward pass."""

    images: int
    flops: int
    backward: int
    kept: int


def main(arguments: list[str]) -> None:
    options = chosen(arguments)
    found = {precision: count(options, precision) for precision in ("fp32", "bf16")}
    who = (
        f"{options['method']} over {options['model']}, crop {options['crop']}, {options['batch']} + {options['batch']}"
    )
    print(
        f"{who} images, {options['classes']} classes, {options['optimizer']}; counted with torch {torch.__version__}\n"
    )
    print(
        "| precision | TFLOP a step | networks and optimizers (GiB) | kept for backward (GiB) | in all (GiB) |", end=""
    )
    print(f" fits in {options['gib']:g} |\n| --- | ---: | ---: | ---: | ---: | --- |")
    for precision, row in found.items():
        fits = "yes" if row["total"] <= options["gib"] * GIB else "no"
        sizes = " | ".join(f"{row[name] / GIB:.1f}" for name in ("standing", "kept", "total"))
        print(f"| {precision} | {row['flops'] / 1e12:.1f} | {sizes} | {fits} |")
    if options["json"]:
        Path(options["json"]).write_text(json.dumps({"options": options, "counted": found}, indent=1))


def chosen(arguments: list[str]) -> dict[str, Any]:
    """The options with their defaults; exits with a sentence for an unknown word, method or optimizer."""
    options = parse(arguments, DEFAULTS, __doc__)
    for name, known in (("method", WORKS), ("optimizer", STATES)):
        if options[name] not in known:
            sys.exit(f"{name}={options[name]}: use {', '.join(known)}")
    return options


def count(options: dict[str, Any], precision: str) -> dict[str, float]:
    """FLOPs of a step, and bytes: `standing` (networks, gradients, optimizers), `kept` (the largest pass), `total`."""
    work = WORKS[options["method"]]
    network = made(options)
    with FakeTensorMode(
        allow_non_fake_inputs=True
    ) as fake:  # blocks that pass once more meet the network's own weights
        state = {name: fake.from_tensor(value) for name, value in tensors(network).items()}
        counted = {images: counted_pass(network, state, options, images, precision) for images in (1, 2)}
    weights = sum(value.nbytes for value in network.state_dict().values())
    gradients = sum(value.nbytes for value in network.parameters() if value.requires_grad)
    of_trained = (1 + STATES[options["optimizer"]]) * gradients
    standing = (work.trained + work.following) * weights + work.trained * of_trained
    kept = max(sum(counted[images].kept for images in update) for update in work.updates)
    flops = sum(work.looks) * counted[1].flops
    flops += sum(map(sum, work.updates)) * (counted[1].flops + counted[1].backward)
    return {"flops": flops, "standing": standing, "kept": kept, "total": standing + kept}


def made(options: dict[str, Any]) -> SegmentationModel:
    """The network, in training mode."""
    name = options["model"]
    special: dict[str, Any] = {"dropout": 0.0, "output_stride": options["stride"], "aspp_rates": [12, 24, 36]}
    special["auxiliary"] = options["auxiliary"] == "yes"
    if name in VITS:
        special = {"decoder_channels": DPT_PLANES[name], "dropout": 0.0, "recompute": options["recompute"] == "yes"}
    elif name == "tiny":
        special |= {"width": 8, "decoder_channels": 8, "aspp_rates": [1, 2, 3]}
    return build_model(ModelConfig(encoder=name, weights="random", **special), options["classes"])


def tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def counted_pass(
    network: nn.Module, state: dict[str, torch.Tensor], options: dict[str, Any], batch_share: int, precision: str
) -> Pass:
    """What one pass of `batch_share` x batch images computes and keeps, its loss over all pixels included."""
    images, side = batch_share * options["batch"], options["crop"]
    side -= side % 14 if options["model"] in VITS else 0
    shown = torch.empty(images, 3, side, side)
    standing = {value.untyped_storage()._cdata for value in state.values()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage._cdata not in standing:
            kept[storage._cdata] = storage  # held, so that its number is no other's
        return value

    bf16 = torch.autocast("cpu", torch.bfloat16, precision == "bf16")
    with FlopCounterMode(display=False) as counter, saved_tensors_hooks(keep, lambda value: value), bf16:
        logits = functional_call(network, state, (shown,)).float()
        loss = nn.functional.cross_entropy(logits, torch.zeros(images, side, side, dtype=torch.long))
    gradient = logits.nbytes  # the first of the backward pass, beside all that is kept
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    flops = counter.get_total_flops(), backward.get_total_flops()
    return Pass(images, *flops, sum(storage.nbytes() for storage in kept.values()) + gradient)


if __name__ == "__main__":
    main(sys.argv[1:])
