"""Which kernels PyTorch takes: what `deterministic`, `tf32` and `compile` set for a process, and within a step."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from gta.config import ALL, NONE, Config
from gta.data.private import COMPILED, check_no_link, place, private_folder
from gta.errors import UserError

CACHE = "TORCHINDUCTOR_CACHE_DIR"  # where PyTorch keeps what it compiled, for the next process
BF16 = 8  # compute capability from which NVIDIA's GPUs compute in bfloat16
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"  # of matrix products on a GPU: with a fixed one two runs agree


def choose(config: Config) -> None:
    """For this process. cuDNN tries out nothing outside of a step (`in_a_step`): images that are scored have many
    sizes, and each would be tried anew.
    """
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = config.deterministic
    torch.backends.cudnn.allow_tf32 = config.tf32 != NONE
    torch.backends.cuda.matmul.allow_tf32 = config.tf32 == ALL
    if config.deterministic and torch.cuda.is_available():
        os.environ.setdefault(WORKSPACE, ":4096:8")  # cuBLAS reads it at its first product


def emulated(config: Config, device: torch.device) -> str | None:
    """What to say where this GPU has no arithmetic in the precision that was asked for; None where it has."""
    if config.precision != "bf16" or device.type != "cuda" or torch.version.hip:
        return None
    major, minor = torch.cuda.get_device_capability(device)
    if major >= BF16:
        return None
    name = torch.cuda.get_device_name(device)
    return (
        f"precision=bf16: {name} (compute capability {major}.{minor}) has no bfloat16, as from {BF16}.0 on. PyTorch "
        "computes it by other kernels, which may be slower than precision=fp32."
    )


def compiling(config: Config, device: torch.device) -> None:
    """For a process that trains with `compile`, before its networks are made. Nothing is compiled outside of a step.

    What is compiled is kept for all cells, in a folder of one's own below `site.stage` where there is one, which is the
    node's, else below `paths.runs`: PyTorch runs what it finds there. An environment that names a folder counts more.
    Raises UserError where there can be no such folder, and where the machine has no compiler that PyTorch's needs.
    """
    if config.compile:
        _check_compiler(device)
        if not os.environ.get(CACHE):
            os.environ[CACHE] = str(_cache(config))
        if device.type == "cuda":
            import torch._inductor.config as inductor

            if hasattr(inductor, "deterministic"):  # else it times kernels, and two runs may take others
                inductor.deterministic = config.deterministic
        torch.compiler.set_stance("force_eager")


def _cache(config: Config) -> Path:
    """The folder, made where it is absent but for its last part."""
    setting = "site.stage" if config.site.stage else "paths.runs"
    above = place(config.site.stage) if config.site.stage else Path(config.paths.runs).absolute()
    try:
        kept = private_folder(above, setting) / COMPILED
    except OSError as error:
        raise UserError(
            f"{setting}: what compile=true makes cannot be kept in {above} on {socket.gethostname()} ({error}): name a "
            f"folder that you may write to, here or in {CACHE}, or leave out compile."
        ) from None
    check_no_link(kept, setting)
    return kept


def _check_compiler(device: torch.device) -> None:
    variable, *known = ("CC", "gcc", "clang") if device.type == "cuda" else ("CXX", "g++")
    names = [os.environ[variable]] if os.environ.get(variable) else known
    if not any(map(shutil.which, names)):
        raise UserError(
            f"compile=true needs a compiler ({' or '.join(names)}), and this machine has none: name it in {variable}, "
            "load it in site.setup, or leave out compile."
        )


@contextmanager
def in_a_step(config: Config, device: torch.device) -> Iterator[None]:
    """Around a step, whose batches have one size: cuDNN may try what is fastest, and compiled regions run as such.

    With `deterministic` a GPU's other operations take deterministic kernels too, where PyTorch has such.
    """
    torch.backends.cudnn.benchmark = not config.deterministic
    if config.compile:
        torch.compiler.set_stance("default")
    try:
        with deterministic() if config.deterministic and device.type == "cuda" else nullcontext():
            yield
    finally:
        torch.backends.cudnn.benchmark = False
        if config.compile:
            torch.compiler.set_stance("force_eager")


@contextmanager
def deterministic() -> Iterator[None]:
    """Deterministic kernels within; an operation that has none runs as ever, and PyTorch warns of it once.

    Not by PyTorch's own function, which imports its compiler: a second or more of every cell's start.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch._C._get_deterministic_fill_uninitialized_memory()
    torch._C._set_deterministic_fill_uninitialized_memory(False)  # what is made empty is written before it is read
    torch._C._set_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch._C._set_deterministic_algorithms(before[0], warn_only=before[1])
        torch._C._set_deterministic_fill_uninitialized_memory(filled)
