"""Our step of a method against the plain one (`benchmarks/plain`): the same maths, the same losses, other seconds.

usage: python benchmarks/against_plain.py [method=gta|all|NAME,NAME] [encoder=auto] [crop=auto] [batch=auto]
       [rounds=auto] [steps=1] [compared=10] [threads=1] [classes=21] [device=auto] [precision=auto] [free=auto]
       [compile=no] [clock=auto] [json=FILE]

Rows of a method: the plain step; ours in contiguous memory; ours in channels_last, as the shipped ResNets train; all in
float32 as PyTorch has it by itself. With precision=bf16 (auto: on a GPU) one more in channels_last and bf16, with
free=yes (auto: on a GPU) whose kernels cuDNN chooses (`deterministic=false`), and with compile=yes the same with
compiled regions. On a GPU the last one's ratio is held against the 5 that is asked for.

auto: ResNet-101, crop 321, 2 + 2 images, 2 rounds (5 on a GPU); with method=all ResNet-18, crop 97, on a GPU
ResNet-101, crop 513, 3 + 3 images, 2 rounds. Rounds go over all rows in turn, so that a machine that slows down slows
them all; medians and the spread count. Seconds are of the clock, or (clock=cpu; auto: of one thread on a CPU) those
that the process got of its core, which others on the machine change less.

First `compared` steps, the last two of them in the middle of the schedule, are held against each other at a small size
in float32: the largest difference of a loss, relative to it, and at the end that of all weights and BatchNorm
statistics of the scored network (norm of the difference over the norm). What is off, and what both sides are given:
`benchmarks/plain/__init__.py`. It needs torch and numpy alone (compile=yes: a C++ compiler; on a GPU Triton).
"""

from __future__ import annotations

import gc
import json
import platform
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import given
from benchmarks.options import parse
from benchmarks.plain import PLAIN
from gta.config import PRECISIONS

DEFAULTS: dict[str, Any] = {
    "method": "gta", "encoder": "auto", "crop": "auto", "batch": "auto", "rounds": "auto", "steps": 1, "compared": 10,
    "threads": 1, "classes": 21, "device": "auto", "precision": "auto", "free": "auto", "compile": "no",
    "clock": "auto", "json": "",
}  # fmt: skip
ALL = "all"
# What auto stands for: of (all methods, on a GPU).
SIZES: dict[tuple[bool, bool], dict[str, Any]] = {
    (False, False): {"encoder": "resnet101", "crop": 321, "batch": 2, "rounds": 2},
    (False, True): {"encoder": "resnet101", "crop": 321, "batch": 2, "rounds": 5},
    (True, False): {"encoder": "resnet18", "crop": 97, "batch": 2, "rounds": 2},
    (True, True): {"encoder": "resnet101", "crop": 513, "batch": 3, "rounds": 2},
}
# Where losses are compared: seconds.
SMALL = {"encoder": "tiny", "crop": 65, "batch": 4, "classes": 5, "threshold": 0.24}
FORMATS = ("contiguous", "channels_last")
ASKED = 5.0  # times the plain step on a GPU


def main(arguments: list[str]) -> None:
    options = chosen(parse(arguments, DEFAULTS, __doc__))
    torch.set_num_threads(options["threads"])
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}, {options['threads']} "
        f"threads, {options['device']}; {options['encoder']}, crop {options['crop']}, {options['batch']} + "
        f"{options['batch']} images; seconds of {options['clock']}, medians of {options['rounds']} rounds\n"
    )
    print("| method | step | seconds | smallest to largest | plain / this | losses apart | network apart |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    every: dict[str, Any] = {}
    apart: dict[str, dict[str, Apart]] = {}
    for method in options["method"]:
        apart[method] = {form: deviation(method, {**options, **SMALL}, form) for form in FORMATS}
        every[method] = measure(method, options)
        plain = median(every[method]["plain"])
        for name, taken in every[method].items():
            found = apart[method].get(name)
            far = [f"{found.loss:.1e}", f"{found.network:.1e}"] if found else ["-", "-"]
            spread = f"{min(taken):.3f} to {max(taken):.3f}"
            print(
                f"| {method} | {name} | {median(taken):.3f} | {spread} | {plain / median(taken):.2f} | {far[0]} | "
                f"{far[1]} |",
                flush=True,
            )
    if options["device"].startswith("cuda"):
        reached = [f"{method} {reached_of(seconds):.2f}" for method, seconds in every.items()]
        print(f"\nAsked for on a GPU: {ASKED:g} times the plain step. Reached by the last rows: {', '.join(reached)}.")
    if options["json"]:
        Path(options["json"]).write_text(json.dumps({"options": options, "seconds": every, "apart": apart}, indent=1))


def reached_of(seconds: dict[str, list[float]]) -> float:
    return median(seconds["plain"]) / median(list(seconds.values())[-1])


def chosen(options: dict[str, Any]) -> dict[str, Any]:
    """The options with what `auto` stands for here; exits with a sentence for a value that is none."""
    device = options["device"]
    options["device"] = device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    on_gpu = device.startswith("cuda")
    auto: dict[str, Any] = {
        **SIZES[options["method"] == ALL, on_gpu],
        "precision": "bf16" if on_gpu else "fp32",
        "free": "yes" if on_gpu else "no",
        "clock": "cpu" if not on_gpu and options["threads"] == 1 else "wall",
    }
    for name, value in auto.items():
        if options[name] == "auto":
            options[name] = value
        elif isinstance(value, int):
            if not options[name].isdigit():
                sys.exit(f"{name}={options[name]}: use a number")
            options[name] = int(options[name])
    yes_no = ("yes", "no")
    known = {"precision": PRECISIONS, "free": yes_no, "compile": yes_no, "clock": ("cpu", "wall")}
    for name, values in known.items():
        if options[name] not in values:
            sys.exit(f"{name}={options[name]}: use {' or '.join(values)}")
    options["method"] = list(PLAIN) if options["method"] == ALL else options["method"].split(",")
    if unknown := set(options["method"]) - set(PLAIN):
        sys.exit(f"method={','.join(sorted(unknown))}: use {ALL}, or of {', '.join(PLAIN)}")
    options["threshold"] = 1.2 / options["classes"]
    return options


def measure(method: str, options: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds of a step in each round: of the plain one, of ours in each memory format, and of the faster ones."""
    plain = given.plain_step(method, options)
    ours = {form: given.our_step(method, options, form) for form in FORMATS}
    faster = {}
    free = options["free"] == "yes"
    if options["precision"] == "bf16" or free:
        name = ", ".join(["channels_last", *(["bf16"] * (options["precision"] == "bf16")), *(["free"] * free)])
        faster[name] = given.our_step(method, options, "channels_last", options["precision"])
    if options["compile"] == "yes":
        faster["the same, compiled" if faster else "channels_last, compiled"] = given.our_step(
            method, options, "channels_last", options["precision"], compiled=True
        )
    ours |= faster
    seconds: dict[str, list[float]] = {"plain": [], **{name: [] for name in ours}}
    for number in range(options["rounds"] + 1):
        # The first round counts for nothing. On a GPU it chooses kernels; on a CPU small images will do.
        first = number == 0
        side = min(options["crop"], 33) if first and options["device"] == "cpu" else options["crop"]
        batch = given.batch_of({**options, "crop": side}, 0)
        drawn = given.drawn_of(method, options, batch, number)
        labeled, unlabeled = given.as_ours(batch)
        for name, taken in seconds.items():
            torch.backends.cudnn.benchmark = free and name in faster
            torch.backends.cudnn.deterministic = not torch.backends.cudnn.benchmark
            begin = now(options)
            for _ in range(options["steps"]):
                if name == "plain":
                    plain.step(batch, drawn, number)
                else:
                    ours[name].step(labeled, unlabeled, number)
            if not first:
                taken.append((now(options) - begin) / options["steps"])
    del plain, ours, faster
    gc.collect()
    if options["device"].startswith("cuda"):
        torch.cuda.empty_cache()
    return seconds


class Apart(NamedTuple):
    """How far ours is from the plain step."""

    loss: float  # the largest difference of a loss, relative to it
    network: float  # of the scored network's weights and statistics after the last step, relative to their norm
    values: list[dict[str, float]]  # what ours reported of each step


def deviation(method: str, options: dict[str, Any], form: str) -> Apart:
    """Over `compared` steps, the last two in the middle of the schedule, where moving averages are at their caps."""
    plain, ours = given.plain_step(method, options), given.our_step(method, options, form)
    far, values = 0.0, []
    for place in range(options["compared"]):
        left = options["compared"] - place
        iteration = place if left > 2 else given.ITERATIONS // 2 - left
        batch = given.batch_of(options, iteration)
        theirs = plain.step(batch, given.drawn_of(method, options, batch, iteration), iteration)
        mine = {name: float(value) for name, value in ours.step(*given.as_ours(batch), iteration).items()}
        far = max(far, *(abs(mine[name] - value) / (abs(value) or 1.0) for name, value in theirs.items()))
        values.append(mine)
    network = ours.headline_network()[1].state_dict()
    state = {name: tensor for name, tensor in plain.scored.state_dict().items() if tensor.is_floating_point()}
    difference = torch.stack([(network[name] - tensor).norm() for name, tensor in state.items()]).norm()
    return Apart(far, float(difference / torch.stack([tensor.norm() for tensor in state.values()]).norm()), values)


def now(options: dict[str, Any]) -> float:
    if options["device"].startswith("cuda"):
        torch.cuda.synchronize()
    return time.process_time() if options["clock"] == "cpu" else time.perf_counter()


if __name__ == "__main__":
    main(sys.argv[1:])
