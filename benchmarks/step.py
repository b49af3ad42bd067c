"""Iterations a second, peak memory and distance to the roofline of one training step of each method.

usage: python benchmarks/step.py [method=gta,cutmix] [precision=fp32,bf16] [device=cuda] [encoder=resnet101] [crop=513]
       [batch=3] [accumulate=1] [classes=21] [rounds=3] [steps=3] [memory=yes]

On made-up batches, so that nothing is loaded from disk; needs torch and numpy alone. Run it in the root of the project.
On a GPU the default is the published VOC setting as one GPU sees it: ResNet-101, crop 513, 3 labeled and 3 unlabeled
images, one group. With accumulate=K the batch is K groups that pass one after the other (batch=12 accumulate=4: the
whole published batch on one GPU, 3 + 3 images at a time). On a CPU it is the tiny encoder at crop 65: how the methods
compare, not how fast a GPU is. Kernels are PyTorch's own choice: with `deterministic=true` a GPU's step takes longer.
Memory is the GPU's; on a CPU, with memory=yes, that of a process of its own for each method, PyTorch included.
Rounds go over all methods in turn, so that a machine that slows down slows them all; the median round counts.
The last columns: arithmetic of a step and the least bytes that it must move, and what share of the device's rates that
is in the time it took (`benchmarks/roofline.py`). The nearer one of the two comes to 100, the less is left to gain.
"""

from __future__ import annotations

import copy
import gc
import platform
import resource
import subprocess
import sys
import time
from dataclasses import fields
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.roofline import Work, rates_of, work_of
from gta.config import ModelConfig, ScheduleConfig
from gta.methods import METHODS, Method
from gta.models import SegmentationModel, build_model
from gta.ops.batch import Labeled, Unlabeled

ON_GPU = {
    "encoder": "resnet101",
    "crop": "513",
    "batch": "3",
    "accumulate": "1",
    "classes": "21",
    "rounds": "3",
    "steps": "3",
}
ON_CPU = {**ON_GPU, "encoder": "tiny", "crop": "65", "rounds": "5", "steps": "3"}
BASELINE = "supervised"
PROBE = "--probe"  # first word of the processes that this one starts


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    device = torch.device(options["device"])
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {device_name(device)}; {options['encoder']}, "
        f"crop {options['crop']}, {options['batch']} + {options['batch']} images, {options['classes']} classes; "
        f"{options['accumulate']} parts; "
        f"medians of {options['rounds']} rounds of {options['steps']} steps\n"
    )
    print(f"| precision | method | iterations/s | time, {BASELINE} = 1 | peak memory (MB) |", end="")
    print(" GFLOP | of the device's (%) | GB at least | of the device's (%) |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    names, precisions = options["method"].split(","), options["precision"].split(",")
    asked = device.type == "cpu" and options["memory"] == "yes"
    peaks = {pair: process_peak(*pair, options) for pair in product(precisions, names)} if asked else {}
    rates = {precision: rates_of(device, precision) for precision in precisions}
    for precision in precisions:
        seconds, memory, works = measure(options, precision, device)
        for name, taken in seconds.items():
            peak = memory.get(name) or peaks.get((precision, name))
            shown = f"{peak / 2**20:.0f}" if peak else "-"
            work, (arithmetic, moved) = works[name], rates[precision].shares(works[name], taken)
            print(
                f"| {precision} | {name} | {1 / taken:.3f} | {taken / seconds[BASELINE]:.2f} | {shown} | "
                f"{work.flops / 1e9:.4g} | {arithmetic:.1f} | {work.bytes / 1e9:.4g} | {moved:.1f} |",
                flush=True,
            )
    print()
    for precision, rate in rates.items():
        print(
            f"The device's, {precision}: {rate.flops / 1e12:.2f} TFLOP/s, {rate.bytes / 1e9:.0f} GB/s ({rate.source})."
        )


def parse(arguments: list[str]) -> dict[str, str]:
    """The options with their defaults; exits with a sentence for an unknown word."""
    given = dict(word.partition("=")[::2] for word in arguments)
    device = given.get("device", "cuda" if torch.cuda.is_available() else "cpu")
    defaults = ON_GPU if device.startswith("cuda") else ON_CPU
    options = {"method": ",".join(METHODS), "precision": "fp32,bf16", "device": device, "memory": "no", **defaults}
    unknown = set(given) - set(options)
    names = given.get("method", options["method"]).split(",")
    if unknown or not set(names) <= set(METHODS):
        print(__doc__, file=sys.stderr)
        sys.exit(f"unknown: {', '.join(sorted(unknown | (set(names) - set(METHODS))))}")
    options |= given
    if int(options["batch"]) % int(options["accumulate"]):
        sys.exit(f"accumulate={options['accumulate']} does not divide batch={options['batch']}")
    options["method"] = ",".join(dict.fromkeys([BASELINE, *names]))  # the ratio needs its baseline
    return options


def measure(
    options: dict[str, str], precision: str, device: torch.device
) -> tuple[dict[str, float], dict[str, int], dict[str, Work]]:
    """Median seconds of a step by method, on a GPU its peak bytes (networks, optimizers, activations), and its work."""
    names = options["method"].split(",")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    memory: dict[str, int] = {}
    works: dict[str, Work] = {}
    labeled, unlabeled = batches(options, device)
    for _ in range(int(options["rounds"])):
        for name in names:
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(device)
            method = make(name, options, precision, device)
            given = unlabeled if method.uses_unlabeled else None
            method.step(labeled, given, 0)  # the first one makes networks and chooses kernels
            synchronise(device)
            start = time.perf_counter()
            for iteration in range(1, 1 + int(options["steps"])):
                method.step(labeled, given, iteration)
            synchronise(device)
            seconds[name].append((time.perf_counter() - start) / int(options["steps"]))
            if device.type == "cuda":
                memory[name] = max(memory.get(name, 0), torch.cuda.max_memory_allocated(device))
            if name not in works:
                works[name] = work_of(partial(method.step, labeled, given, 1 + int(options["steps"])))
            del method
    return {name: median(taken) for name, taken in seconds.items()}, memory, works


def make(name: str, options: dict[str, str], precision: str, device: torch.device) -> Method:
    """The method in the published VOC setting, past its warm-up, with random weights."""
    size, parts = int(options["batch"]), int(options["accumulate"])
    schedule = ScheduleConfig(
        iterations=1000, batch_size=size, group_size=size // parts, accumulate=parts, lr=0.001, decoder_lr_factor=10.0,
        eval_every=1000,
    )  # fmt: skip
    if options["encoder"] == "tiny":
        model = ModelConfig(encoder="tiny", width=4, decoder_channels=8, aspp_rates=[1, 2, 3])
    else:
        model = ModelConfig(encoder=options["encoder"], output_stride=8, aspp_rates=[12, 24, 36])
    first = network(model, int(options["classes"]))
    kind = METHODS[name]
    return kind(kind.Config(), lambda: copy.deepcopy(first), schedule, 0, device, precision)


def network(model: ModelConfig, classes: int) -> SegmentationModel:
    """A network that is copied: drawing its weights anew for each method and round would take longer than the steps."""
    key = (repr(model), classes)
    if key not in _networks:
        _networks[key] = build_model(model, classes)
    return _networks[key]


_networks: dict[tuple[str, int], SegmentationModel] = {}


def batches(options: dict[str, str], device: torch.device) -> tuple[Labeled, Unlabeled]:
    """Noise in the shape of training batches, with every strong view that a method may ask for."""
    size, side, classes = int(options["batch"]), int(options["crop"]), int(options["classes"])
    generator = torch.Generator().manual_seed(0)

    def images() -> torch.Tensor:
        return torch.randn(size, 3, side, side, generator=generator)

    mask = torch.randint(classes, (size, side, side), generator=generator)
    views: dict[str, Any] = {
        item.name: images() for item in fields(Unlabeled) if item.name.startswith(("weak", "strong"))
    }
    padding = torch.zeros(size, side, side, dtype=torch.bool)
    return Labeled(images(), mask).to(device), Unlabeled(padding=padding, **views).to(device)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"


def process_peak(precision: str, name: str, options: dict[str, str]) -> int | None:
    """Peak resident bytes of a process that does two steps on the CPU, PyTorch included; None but on Linux."""
    if sys.platform != "linux":
        return None
    given = [f"{key}={value}" for key, value in {**options, "method": name, "precision": precision}.items()]
    answer = subprocess.run([sys.executable, __file__, PROBE, *given], check=True, stdout=subprocess.PIPE, text=True)
    return int(answer.stdout)


def probe(options: dict[str, str]) -> None:
    """The process that `process_peak` starts: prints its peak in bytes."""
    device, name = torch.device("cpu"), options["method"].split(",")[-1]
    method = make(name, options, options["precision"], device)
    labeled, unlabeled = batches(options, device)
    for iteration in range(2):
        method.step(labeled, unlabeled if method.uses_unlabeled else None, iteration)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)  # Linux counts in KiB


if __name__ == "__main__":
    if sys.argv[1:2] == [PROBE]:
        probe(parse(sys.argv[2:]))
    else:
        main(sys.argv[1:])
