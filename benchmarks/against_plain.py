"""Our step of GTA against the plain one (`benchmarks/plain.py`): the same maths, the same losses, other seconds.

usage: python benchmarks/against_plain.py [encoder=resnet101] [crop=321] [batch=2] [rounds=5] [steps=1] [compared=10]
       [threads=1] [classes=21] [device=auto] [precision=auto] [free=auto] [compile=no] [json=FILE]

Rows: the plain step; ours in contiguous memory; ours in channels_last, as the shipped ResNets train; all in float32 as
PyTorch has it by itself. With precision=bf16 (auto: on a GPU) one more in channels_last and bf16, with free=yes (auto:
on a GPU) whose kernels cuDNN chooses (`deterministic=false`), and with compile=yes the same with compiled regions. On a
GPU the last one's ratio is held against the 5 that is asked for. Rounds go over all in turn, so that a machine that
slows down slows them all; medians and the spread count. First the losses of `compared` steps are held against each
other, at a small size, in float32. It needs torch and numpy alone (compile=yes: a C++ compiler; on a GPU Triton).
"""

from __future__ import annotations

import copy
import json
import platform
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.options import parse
from benchmarks.plain import PlainGTA
from gta.config import PRECISIONS, ModelConfig, ScheduleConfig
from gta.methods import METHODS, Method
from gta.models import SegmentationModel, build_model
from gta.ops.batch import Labeled, Unlabeled

DEFAULTS: dict[str, Any] = {
    "encoder": "resnet101", "crop": 321, "batch": 2, "rounds": 5, "steps": 1, "compared": 10, "threads": 1,
    "classes": 21, "device": "auto", "precision": "auto", "free": "auto", "compile": "no", "json": "",
}  # fmt: skip
SMALL = {"encoder": "tiny", "crop": 65, "batch": 4, "classes": 5}  # where losses are compared: seconds
FORMATS = ("contiguous", "channels_last")
ASKED = 5.0  # times the plain step on a GPU


def main(arguments: list[str]) -> None:
    options = chosen(parse(arguments, DEFAULTS, __doc__))
    torch.set_num_threads(options["threads"])
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}, {options['threads']} "
        f"threads, {options['device']}; {options['encoder']}, crop {options['crop']}, {options['batch']} + "
        f"{options['batch']} images\n"
    )
    apart = {form: deviation({**options, **SMALL}, form) for form in FORMATS}
    seconds = measure(options)
    plain = median(seconds["plain"])
    print("| step | seconds (median) | smallest to largest | plain / this | largest difference of a loss |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, taken in seconds.items():
        far = f"{apart[name]:.1e}" if name in apart else "-"
        spread = f"{min(taken):.3f} to {max(taken):.3f}"
        print(f"| {name} | {median(taken):.3f} | {spread} | {plain / median(taken):.2f} | {far} |")
    if options["device"].startswith("cuda"):
        print(f"\nAsked for on a GPU: {ASKED:g} times the plain step. Reached: {plain / median(taken):.2f} ({name}).")
    if options["json"]:
        Path(options["json"]).write_text(json.dumps({"options": options, "seconds": seconds, "apart": apart}, indent=1))


def chosen(options: dict[str, Any]) -> dict[str, Any]:
    """The options with what `auto` stands for here; exits with a sentence for a value that is none."""
    device = options["device"]
    options["device"] = device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    on_gpu = device.startswith("cuda")
    if options["precision"] == "auto":
        options["precision"] = "bf16" if on_gpu else "fp32"
    if options["free"] == "auto":
        options["free"] = "yes" if on_gpu else "no"
    for name, known in (("precision", PRECISIONS), ("free", ("yes", "no")), ("compile", ("yes", "no"))):
        if options[name] not in known:
            sys.exit(f"{name}={options[name]}: use {' or '.join(known)}")
    return options


def measure(options: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds of a step in each round: of the plain one, of ours in each memory format, and of the faster ones."""
    plain = plain_one(options)
    ours = {form: our_one(options, form) for form in FORMATS}
    faster = {}
    free = options["free"] == "yes"
    if options["precision"] == "bf16" or free:
        name = ", ".join(["channels_last", *(["bf16"] * (options["precision"] == "bf16")), *(["free"] * free)])
        faster[name] = our_one(options, "channels_last", options["precision"])
    if options["compile"] == "yes":
        faster["the same, compiled" if faster else "channels_last, compiled"] = our_one(
            options, "channels_last", options["precision"], compiled=True
        )
    ours |= faster
    seconds: dict[str, list[float]] = {"plain": [], **{name: [] for name in ours}}
    batch = batches(options, 0)
    iteration = 1
    for number in range(options["rounds"] + 1):  # the first one chooses kernels and fills memory
        for name, taken in seconds.items():
            torch.backends.cudnn.benchmark = free and name in faster
            torch.backends.cudnn.deterministic = not torch.backends.cudnn.benchmark
            begin = now(options)
            for _ in range(options["steps"]):
                plain.step(*batch, iteration) if name == "plain" else step(ours[name], batch, iteration)
            if number:
                taken.append((now(options) - begin) / options["steps"])
        iteration += 1
    return seconds


def deviation(options: dict[str, Any], form: str) -> float:
    """The largest difference of a loss between ours and the plain step, relative to the loss, over `compared` steps."""
    plain, ours, far = plain_one(options), our_one(options, form), 0.0
    for iteration in range(options["compared"]):
        batch = batches(options, iteration)
        theirs, mine = plain.step(*batch, iteration), step(ours, batch, iteration)
        far = max(far, *(abs(float(mine[name]) - value) / abs(value) for name, value in theirs.items()))
    return far


def plain_one(options: dict[str, Any]) -> PlainGTA:
    first = network(options)
    student, assistant, teacher = (copy.deepcopy(first).to(options["device"]) for _ in range(3))
    made = PlainGTA((student, assistant, teacher), schedule(options))
    for one in (made.student, made.assistant, made.teacher):
        one.to(options["device"])
    return made


def our_one(options: dict[str, Any], form: str, precision: str = "fp32", compiled: bool = False) -> Method:
    kind = METHODS["gta"]
    first = network(options, form)
    first.compiled = compiled
    return kind(
        kind.Config(cutmix_probability=0.0), lambda: copy.deepcopy(first), schedule(options), 0,
        torch.device(options["device"]), precision,
    )  # fmt: skip


def network(options: dict[str, Any], form: str = "contiguous") -> SegmentationModel:
    tiny: dict[str, Any] = {"width": 8, "decoder_channels": 16, "aspp_rates": [1, 2, 3]}
    wide: dict[str, Any] = {"aspp_rates": [12, 24, 36]}
    size = tiny if options["encoder"] == "tiny" else wide
    model = ModelConfig(encoder=options["encoder"], output_stride=8, dropout=0.0, memory_format=form, **size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_model(model, options["classes"])


def schedule(options: dict[str, Any]) -> ScheduleConfig:
    size = options["batch"]
    return ScheduleConfig(
        iterations=1000, batch_size=size, group_size=size, lr=0.001, decoder_lr_factor=10.0, eval_every=1000
    )


def batches(options: dict[str, Any], number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise: labeled images, their masks, unlabeled images."""
    generator = torch.Generator().manual_seed(number)
    size, side = options["batch"], options["crop"]
    image, weak = torch.randn(2, size, 3, side, side, generator=generator)
    mask = torch.randint(options["classes"], (size, side, side), generator=generator)
    return image.to(options["device"]), mask.to(options["device"]), weak.to(options["device"])


def step(method: Method, batch: tuple[Tensor, Tensor, Tensor], iteration: int) -> dict[str, Tensor]:
    image, mask, weak = batch
    padding = torch.zeros(mask.shape, dtype=torch.bool, device=mask.device)
    return method.step(Labeled(image, mask), Unlabeled(weak, None, padding), iteration)


def now(options: dict[str, Any]) -> float:
    if options["device"].startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main(sys.argv[1:])
