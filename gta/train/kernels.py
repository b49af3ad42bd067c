"""Which kernels PyTorch takes: what `deterministic`, `tf32` and `compile` set for a process, and within a step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from gta.config import ALL, NONE, Config
from gta.data.private import private_folder
from gta.errors import UserError

CACHE = "TORCHINDUCTOR_CACHE_DIR"  # where PyTorch keeps what it compiled, for the next process


def choose(config: Config) -> None:
    """For this process. cuDNN tries out nothing outside of a step (`in_a_step`): images that are scored have many
    sizes, and each would be tried anew.
    """
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = config.deterministic
    torch.backends.cudnn.allow_tf32 = config.tf32 != NONE
    torch.backends.cuda.matmul.allow_tf32 = config.tf32 == ALL


def compiling(config: Config, device: torch.device) -> None:
    """For a process that trains with `compile`, before its networks are made. Nothing is compiled outside of a step.

    What is compiled is kept for all cells: in a folder of one's own below `site.stage` where there is one, which is the
    node's, else in `paths.runs`; an environment that names a folder counts more. Raises what `private_folder` does, and
    UserError where the machine has no compiler that PyTorch's needs.
    """
    if config.compile:
        _check_compiler(device)
        kept = private_folder(Path(config.site.stage)) if config.site.stage else Path(config.paths.runs).absolute()
        os.environ.setdefault(CACHE, str(kept / "compiled"))
        torch.compiler.set_stance("force_eager")


def _check_compiler(device: torch.device) -> None:
    variable, *known = ("CC", "gcc", "clang") if device.type == "cuda" else ("CXX", "g++", "clang++")
    names = [os.environ[variable]] if os.environ.get(variable) else known
    if not any(map(shutil.which, names)):
        raise UserError(
            f"compile=true needs a compiler ({' or '.join(names)}), and this machine has none: name it in {variable}, "
            "load it in site.setup, or leave out compile."
        )


@contextmanager
def in_a_step(config: Config) -> Iterator[None]:
    """Around a step, whose batches have one size: cuDNN may try what is fastest, and compiled regions run as such."""
    torch.backends.cudnn.benchmark = not config.deterministic
    if config.compile:
        torch.compiler.set_stance("default")
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = False
        if config.compile:
            torch.compiler.set_stance("force_eager")
