"""This machine: the code that runs, torch and its CUDA, GPUs, and what ranks speak to each other by."""

from __future__ import annotations

import os
from collections.abc import Iterator

from gta.config import SiteConfig
from gta.finding import Finding, missing, ok, problem
from gta.provenance import code
from gta.provenance.environment import cpu_model, driver_version


def running_code() -> Iterator[Finding]:
    """Commit and tree of the code; a snapshot says so."""
    running = code.running()
    commit = f"commit {running['commit'][:9]}" if running["commit"] else "no git checkout"
    changed = ", with uncommitted changes" if running["dirty"] else ""
    kind = f"snapshot {running['snapshot']}" if running["snapshot"] else str(code.ROOT)
    yield ok("code", f"{kind}, {commit}{changed}, tree {running['tree'][:12]}")


def torch(site: SiteConfig, on_slurm: bool) -> Iterator[Finding]:
    """torch and the GPUs it sees here. On Slurm they are on other nodes, and none here is as it should be."""
    import torch

    cuda = torch.version.cuda
    yield ok("torch", f"{torch.__version__}, {f'CUDA {cuda}' if cuda else 'a build without CUDA'}")
    yield ok("CPU", f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores for this process")
    wanted = site.device == "cuda" or (site.device == "auto" and bool(site.gpus_per_node))
    driver = driver_version()
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        names = sorted({torch.cuda.get_device_name(index) for index in range(count)})
        cudnn = torch.backends.cudnn.version()
        yield ok("GPU", f"{count}: {', '.join(names)}; driver {driver or 'unknown'}, cuDNN {cudnn}")
    elif wanted and not cuda:
        yield problem(
            "GPU", "cells are to train on GPUs, and this torch is built without CUDA",
            "Install a CUDA build of torch (make clean, then make install without a CPU index), or site.device=cpu.",
        )  # fmt: skip
    elif driver:
        report = problem if wanted and not on_slurm else missing
        yield report(
            "GPU", f"driver {driver} is there, but torch sees no GPU" + ("" if cuda else ": it is built without CUDA"),
            "Install a CUDA build of torch that this driver supports; look at CUDA_VISIBLE_DEVICES.",
        )  # fmt: skip
    elif wanted and not on_slurm:
        yield problem(
            "GPU", "cells are to train on GPUs, and this machine has none", "site.device=cpu, or hydra/launcher=slurm."
        )
    else:
        where = "here; the nodes' own are looked at by the jobs" if on_slurm else "here: cells train on the CPU"
        yield missing("GPU", f"none {where}")


def backends(site: SiteConfig) -> Iterator[Finding]:
    """NCCL (GPUs) and gloo (CPUs): needed where a cell has several ranks."""
    import torch.distributed as dist
    from torch import cuda

    several = site.ranks * site.nodes > 1
    gpus = site.device == "cuda" or (site.device == "auto" and (bool(site.gpus_per_node) or cuda.is_available()))
    there = dist.is_available()
    for name, found, needed in (
        ("NCCL", there and dist.is_nccl_available(), several and gpus),
        ("gloo", there and dist.is_gloo_available(), several and not gpus),
    ):
        if found:
            version = f" {'.'.join(map(str, cuda.nccl.version()))}" if name == "NCCL" else ""
            yield ok(name, f"built in{version}")
        else:
            report = problem if needed else missing
            yield report(
                name,
                "not in this torch",
                "Needed for several ranks only." if not needed else "site.ranks=1, or another torch.",
            )
