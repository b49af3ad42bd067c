"""A few real steps of a cell, timed: what its seconds are by, before it has run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from gta.config import Config
from gta.data.loaders import train_loader
from gta.data.splits.split import Split
from gta.train import kernels
from gta.train.evaluate import confusion_matrices
from gta.train.run import build_method, prepare_device

STEPS = 3  # that count; the one before them makes networks, chooses kernels and fills memory
IMAGES = 4


@dataclass(frozen=True)
class Timed:
    """Seconds on `device`: of a `step` after the warm-up; of the `wait` for its batch; of a `scored` image."""

    device: str
    step: float
    wait: float
    scored: float


def timed(config: Config, split: Split) -> Timed:
    """Trains random weights for a few steps on this machine and keeps nothing; one process, whatever the ranks.

    Raises UserError for data that cannot be read, and where `compile` has no compiler.
    """
    schedule = replace(config.schedule, warm_up=0, iterations=1 + STEPS)
    config = replace(config, schedule=schedule, model=replace(config.model, weights="random"))
    device = prepare_device(config)
    kernels.compiling(config, device)
    method = build_method(config, device)
    loader = train_loader(config, split, 1, 0, 0, strong=method.strong_views, unlabeled=method.uses_unlabeled)
    clock = _clock(device, config.num_threads)
    stepped, waited, batches = 0.0, 0.0, iter(loader)
    for iteration in range(1 + STEPS):
        asked = time.monotonic()
        labeled, unlabeled = next(batches)
        came, began = time.monotonic(), clock()
        with kernels.in_a_step(config, device):
            method.step(labeled.to(device), unlabeled.to(device) if unlabeled else None, iteration)
        _finish(device)
        if iteration:
            stepped, waited = stepped + clock() - began, waited + came - asked
    alone = replace(config, site=replace(config.site, workers=0))  # starting workers would be what is timed
    seconds = []
    for _ in range(2):
        began = clock()
        confusion_matrices(method.networks(), alone, split.val[:IMAGES], device)
        seconds.append(clock() - began)
    scored = min(seconds) / max(1, len(split.val[:IMAGES]))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return Timed(name, stepped / STEPS, waited / STEPS, scored)


def _clock(device: torch.device, threads: int) -> Callable[[], float]:
    """The wall's; of one thread on a CPU that of the process, to which others who use the machine do not matter."""
    return time.process_time if device.type == "cpu" and threads == 1 else time.monotonic


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
