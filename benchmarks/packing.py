"""Cells side by side on one device: images a second of 1, 2 and 4 processes together that train at once.

usage: python benchmarks/packing.py [processes=1,2,4] [method=gta] [encoder=resnet50] [crop=321] [batch=4] [classes=21]
       [precision=bf16] [threads=1] [rounds=5] [steps=5] [device=cuda] [mps=auto] [json=FILE]

What `site.cells_per_gpu` gives, and on a CPU, where the default is the tiny encoder at crop 65 in fp32, what
`site.cells_at_once` does. Each process is one cell's step on made-up batches, so that nothing is loaded from disk; it
needs torch and numpy alone. All processes stand ready from the beginning; those of a turn begin together, and a turn
lasts until the last is done. Rounds go over all numbers of processes in turn, so that a machine that slows down slows
them all; medians and the spread count.
On a GPU the turns are made once more under NVIDIA's MPS where `nvidia-cuda-mps-control` is there (mps=no: not), by a
server of its own in a temporary folder, which is ended afterwards; no setting of the GPU is touched.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import step
from benchmarks.options import parse
from gta.methods import METHODS

ON_GPU: dict[str, Any] = {
    "processes": "1,2,4", "method": "gta", "encoder": "resnet50", "crop": 321, "batch": 4, "classes": 21,
    "precision": "bf16", "threads": 1, "rounds": 5, "steps": 5, "device": "cuda", "mps": "auto", "json": "",
}  # fmt: skip
ON_CPU = {**ON_GPU, "encoder": "tiny", "crop": 65, "batch": 3, "precision": "fp32", "device": "cpu"}
WORKER = "--worker"  # first word of the processes that this one starts
MPS = "nvidia-cuda-mps-control"


def main(arguments: list[str]) -> None:
    device = dict(word.partition("=")[::2] for word in arguments).get("device")
    on_gpu = device.startswith("cuda") if device else torch.cuda.is_available()
    options = parse(arguments, ON_GPU if on_gpu else ON_CPU, __doc__)
    numbers = processes(options["processes"])
    if options["method"] not in METHODS:
        sys.exit(f"method={options['method']}: use {', '.join(METHODS)}")
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {place(options)}; {options['method']}, "
        f"{options['encoder']}, crop {options['crop']}, {options['batch']} + {options['batch']} images, "
        f"{options['precision']}; medians of {options['rounds']} rounds of {options['steps']} steps\n"
    )
    print(
        "| | processes | images/s in all | smallest to largest | one process = 1 |\n| --- | ---: | ---: | ---: | ---: |"
    )
    found: dict[str, dict[int, list[float]]] = {}
    for name in ("plain", "MPS") if on_gpu and options["mps"] != "no" and shutil.which(MPS) else ("plain",):
        with mps() if name == "MPS" else nullcontext({}) as environment:
            found[name] = measure(options, numbers, environment)
        show(name if on_gpu else "cores", found[name], found["plain"])
    if options["json"]:
        Path(options["json"]).write_text(json.dumps({"options": options, "images_a_second": found}, indent=1))


def processes(text: str) -> list[int]:
    """1,2,4 as numbers, 1 among them; exits with a sentence for what is none."""
    words = text.split(",")
    if not all(word.isdigit() and int(word) > 0 for word in words):
        sys.exit(f"processes={text}: give numbers, as in processes=1,2,4")
    return sorted({1, *map(int, words)})


def place(options: dict[str, Any]) -> str:
    if options["device"].startswith("cuda"):
        return torch.cuda.get_device_name(options["device"])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} CPU cores ({platform.machine()}), {options['threads']} threads a process"


def measure(options: dict[str, Any], numbers: list[int], environment: dict[str, str]) -> dict[int, list[float]]:
    """Images a second of all processes together, by how many they are: of each round; [] where they do not all fit."""
    command = [sys.executable, __file__, WORKER, *(f"{name}={value}" for name, value in options.items())]
    rates: dict[int, list[float]] = {number: [] for number in numbers}
    with ExitStack() as stack:
        workers = [stack.enter_context(_started(command, environment)) for _ in range(max(numbers))]
        answers = [(worker, _says(worker)) for worker in workers]
        ready = [worker for worker, answer in answers if answer]
        images = max((int(answer) for _, answer in answers if answer), default=0) * options["steps"]
        for turn in range(options["rounds"] + 1):  # the first one is not counted
            for number in [number for number in numbers if number <= len(ready)]:
                began = time.perf_counter()
                for worker in ready[:number]:
                    _tell(worker, "go")
                done = [_says(worker) == "done" for worker in ready[:number]]
                if turn and all(done):
                    rates[number].append(number * images / (time.perf_counter() - began))
    return rates


@contextmanager
def _started(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **environment}) as worker:
        try:
            yield worker
        finally:
            if worker.stdin:
                worker.stdin.close()  # which ends it


def _tell(worker: subprocess.Popen[str], word: str) -> None:
    assert worker.stdin is not None
    with suppress(BrokenPipeError):  # it ran out of memory, say; it will not answer
        worker.stdin.write(f"{word}\n")
        worker.stdin.flush()


def _says(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def work(options: dict[str, Any]) -> None:
    """A process that `measure` starts: ready, it says how many images a step has; it does its steps at each word."""
    device = torch.device(options["device"])
    torch.set_num_threads(options["threads"])
    words = {**{name: str(value) for name, value in options.items()}, "accumulate": "1"}
    method = step.make(options["method"], words, options["precision"], device)
    labeled, unlabeled = step.batches(words, device)
    given = unlabeled if method.uses_unlabeled else None
    for iteration in range(2):
        method.step(labeled, given, iteration)
    step.synchronise(device)
    print(options["batch"] * (2 if given else 1), flush=True)
    iteration = 2
    for _ in sys.stdin:
        for _ in range(options["steps"]):
            method.step(labeled, given, iteration)
            iteration = min(iteration + 1, 900)  # of the 1,000 that the schedule has
        step.synchronise(device)
        print("done", flush=True)


def show(name: str, rates: dict[int, list[float]], plain: dict[int, list[float]]) -> None:
    one = median(plain[1]) if plain[1] else 0.0
    for number, found in rates.items():
        if not found:
            print(f"| {name} | {number} | did not fit | - | - |", flush=True)
            continue
        spread = f"{min(found):.1f} to {max(found):.1f}"
        print(f"| {name} | {number} | {median(found):.1f} | {spread} | {median(found) / one:.2f} |", flush=True)


@contextmanager
def mps() -> Iterator[dict[str, str]]:
    """What a process has in its environment to share the GPU by an MPS server, which runs while this is entered."""
    with tempfile.TemporaryDirectory() as folder:
        found = {"CUDA_MPS_PIPE_DIRECTORY": f"{folder}/pipe", "CUDA_MPS_LOG_DIRECTORY": f"{folder}/log"}
        for path in found.values():
            Path(path).mkdir()
        environment = {**os.environ, **found}
        subprocess.run([MPS, "-d"], env=environment, check=True)
        try:
            yield found
        finally:
            subprocess.run([MPS], input="quit\n", text=True, env=environment, check=False)


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        given = dict(word.partition("=")[::2] for word in sys.argv[2:])
        work({name: type(default)(given[name]) for name, default in ON_GPU.items()})
    else:
        main(sys.argv[1:])
