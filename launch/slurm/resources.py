"""What a cell's job holds while it runs: GPUs or cores, by whichever of Slurm's words they are asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from gta.compose import sbatch
from gta.config import Config

# the kernel's names of GPUs: NVIDIA's, AMD's
_DEVICES = ("nvidia[0-9]*", "kfd")


@dataclass(frozen=True)
class Resources:
    """GPUs, or, where it uses none, cores; a share of them where cells are packed."""

    gpus: float = 0.0
    cores: float = 0.0

    @property
    def unit(self) -> str:
        return "GPU" if self.gpus else "core"

    @property
    def units(self) -> float:
        return self.gpus or self.cores


def held(config: Config, gpus_here: bool | None = None) -> Resources:
    """What a cell of this config holds.

    `gpus_here`: whether this process, which is the cell's own, sees a GPU. None: the cell runs elsewhere, or later;
    then what the site asks for tells, and where it asks for nothing, what this machine has.
    """
    site = config.site
    gpus = sbatch.gpus(site) or 0
    if site.device == "cpu" or gpus_here is False:
        gpus = 0
    elif not gpus and (site.device == "cuda" or gpus_here or (gpus_here is None and machine_has_gpus())):
        gpus = site.ranks * site.nodes
    if gpus:
        return Resources(gpus=gpus / site.cells_per_gpu)
    cores = site.ranks * site.nodes * max(site.cpus_per_rank, config.num_threads)
    return Resources(cores=cores / site.cells_per_gpu)


def machine_has_gpus() -> bool:
    """Whether this machine has a GPU that torch could use, without importing torch, which takes seconds."""
    return torch_may_use_gpus() and _has_device()


def torch_may_use_gpus() -> bool:
    """Whether torch is worth asking for GPUs: it is built for them, and none says that there are none to be seen."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return False
    return _built_for_gpus()


@cache  # these two are asked for every cell of a grid
def _has_device() -> bool:
    return any(any(Path("/dev").glob(pattern)) for pattern in _DEVICES)


@cache
def _built_for_gpus() -> bool:
    try:
        return not metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return False
