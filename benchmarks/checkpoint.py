"""What a save costs the training: written by it, and behind it by a thread.

usage: python benchmarks/checkpoint.py [megabytes=250] [tensors=2800] [step=0.02] [rounds=5] [device=auto] [folder=]
       [json=FILE]

The state is `megabytes` (10**6 bytes) of float32 in `tensors` tensors; that of GTA on ResNet-101 for VOC holds 1,254 in
2,785. The training is a product of matrices that takes about `step` seconds, of one thread on a CPU. A round
writes the state once while the training waits (`site.save_behind=false`) and once behind it. `the call` is the time for
which no step can go on; `step meanwhile` is the median time of the steps that go on while the thread writes, as a ratio
to that of the steps just before. `folder` is where the file is written (a temporary one where nothing is said); it is
flushed to the disk, whose speed is most of what is measured. Whether the two files are the same is looked at each time.
"""

from __future__ import annotations

import filecmp
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.options import parse
from gta.train import checkpoint
from gta.train.writer import Writer

DEFAULTS: dict[str, Any] = {
    "megabytes": 250, "tensors": 2800, "step": 0.02, "rounds": 5, "device": "auto", "folder": "", "json": "",
}  # fmt: skip
WAITS, BEHIND = "training waits", "behind the training"
STEPS = 20  # before each write


def main(arguments: list[str]) -> None:
    options = parse(arguments, DEFAULTS, __doc__)
    torch.set_num_threads(1)
    chosen = options["device"]
    device = torch.device("cuda" if chosen == "auto" and torch.cuda.is_available() else chosen.replace("auto", "cpu"))
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {where}; {options['megabytes']} MB in "
        f"{options['tensors']} tensors; medians of {options['rounds']} rounds, smallest and largest in brackets\n"
    )
    with tempfile.TemporaryDirectory(dir=options["folder"] or None) as folder:
        calls, meanwhile = measure(options, device, Path(folder))
    print("| save | the call (s) | ratio | step meanwhile |\n| --- | ---: | ---: | ---: |")
    for who, taken in calls.items():
        slower = _shown(meanwhile, 2) if who == BEHIND else "-"
        print(f"| {who} | {_shown(taken, 3)} | {median(taken) / median(calls[WAITS]):.3f} | {slower} |")
    if options["json"]:
        found = {"options": options, "seconds": calls, "meanwhile": meanwhile}
        Path(options["json"]).write_text(json.dumps(found, indent=1))


def measure(options: dict[str, Any], device: torch.device, folder: Path) -> tuple[dict[str, list[float]], list[float]]:
    """Seconds of the call of each way to save, and by how much a step is slower during a write, round by round."""
    state, step = made(options["megabytes"], options["tensors"], device), step_of(options["step"], device)
    save = partial(_save, folder / "checkpoint.pt", folder / "checkpoint.previous.pt")
    writers = {WAITS: Writer(behind=False), BEHIND: Writer()}
    calls: dict[str, list[float]] = {who: [] for who in writers}
    meanwhile: list[float] = []
    for number in range(options["rounds"] + 1):  # the first one warms up
        for who, writer in writers.items():
            alone = [timed(step, 1) for _ in range(STEPS)]
            call = timed(lambda writer=writer: writer.write(state, save), 1)  # type: ignore[misc]
            steps = [timed(step, 1)]
            while writer.writing:
                steps.append(timed(step, 1))
            writer.wait()
            if number:
                calls[who].append(call)
                meanwhile += [median(steps) / median(alone)] * (who == BEHIND)
        if not filecmp.cmp(folder / "checkpoint.pt", folder / "checkpoint.previous.pt", shallow=False):
            sys.exit("the two ways to save made different files")
    return calls, meanwhile


def _save(path: Path, before: Path, state: dict[str, Any]) -> None:
    checkpoint.save(path, state, before)


def made(megabytes: int, tensors: int, device: torch.device) -> dict[str, Any]:
    """A state of that size, with what each checkpoint says of itself."""
    each = max(1, megabytes * 10**6 // 4 // tensors)
    values = {str(number): torch.rand(each, device=device) for number in range(tensors)}
    return {"signature": "benchmark", "iteration": 1, "method": values}


def step_of(seconds: float, device: torch.device) -> Callable[[], None]:
    """Work that takes about so long on the device, and is over when it returns."""
    side = 512 if device.type == "cpu" else 4096
    matrix = torch.rand(side, side, device=device)

    def product() -> None:
        (matrix @ matrix)[0, 0].item()

    product()
    products = max(1, round(seconds / (timed(product, 20) / 20)))

    def step() -> None:
        for _ in range(products):
            product()

    return step


def timed(work: Callable[[], None], times: int) -> float:
    """Seconds that it takes so many times."""
    began = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - began


def _shown(values: list[float], digits: int) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main(sys.argv[1:])
