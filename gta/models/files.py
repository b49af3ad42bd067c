"""Reading weight files of other programs: tensors by name, and nothing in the file is ever executed."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gta.errors import UserError
from gta.ops.finite import not_finite

# Scores stand in checkpoints as numpy scalars. These rebuild plain numbers; all else a pickle may ask for is refused.
_SCALAR = np.float64(0).__reduce__()[0]
NUMPY_SCALARS: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32)),
]


def read(path: Path, what: str, lazily: bool = False) -> Any:
    """The content of a PyTorch file, or of a .safetensors, on the CPU. `what` it is, in error messages ("The initial
    weights").

    lazily: numbers are read where they are used, for who wants names and shapes (where the file's format allows it).

    Raises UserError for a file that is absent, empty, cut, damaged or of another kind, and for a pickle that wants to
    run anything beyond rebuilding tensors, plain Python and numpy scalars.
    """
    if not path.is_file():
        raise UserError(f"{what} {path} are not there; put the file in place.")
    if path.suffix == ".safetensors":
        return _safetensors(path, what)
    try:
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            mapped = lazily and zipfile.is_zipfile(path)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a file of any other kind, or a part of one: torch raises all sorts
        if "allocate memory" in str(error):  # torch's words on a CPU, and of mmap: none of the file's
            raise
        raise UserError(
            f"{what} {path} cannot be read as a PyTorch state dict: the file {why_unreadable(path, error)}."
        ) from None


def _safetensors(path: Path, what: str) -> dict[str, Tensor]:
    """Tensors by name. Raises UserError where the file, or the package that reads it, is not whole or not there."""
    try:
        from safetensors.torch import load_file
    except ModuleNotFoundError:
        raise UserError(
            f"{what} {path} are a .safetensors, and the package that reads it is not installed: pip install "
            "safetensors, or give a PyTorch file (pytorch_model.bin)."
        ) from None
    try:
        return load_file(path, device="cpu")
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception:  # safetensors raises its own errors, and those of the system
        raise UserError(
            f"{what} {path} cannot be read as a .safetensors: the file is damaged, or of another kind."
        ) from None


def why_unreadable(path: Path, error: Exception) -> str:
    """What is wrong with a file of which torch.load raised this, as the end of a sentence: "is empty".

    Torch's own words are left out: they advise to load a refused pickle with everything that it wants to run.
    """
    try:
        with open(path, "rb") as file:
            begin = file.read(4)
    except OSError as denied:
        return f"cannot be opened ({denied.strerror})"
    if asked := re.search(r"GLOBAL (\S+)", str(error)):
        return (
            f"is a pickle that asks for {asked[1]}: it could run code, so it is refused and nothing of it was run; ask "
            "for one that holds tensors by name only"
        )
    if not begin:
        return "is empty"
    if begin == b"PK\x03\x04" and not zipfile.is_zipfile(path):  # it begins as torch.save's do
        return "is cut off"
    if "TorchScript" in str(error):
        return "is a TorchScript program; ask for one that holds tensors by name only"
    return "is damaged, or none of PyTorch's"


def check_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """Raises UserError where one of the tensors holds NaN or infinity."""
    if broken := not_finite(tensors):
        rest = f" and {len(broken) - 1} more tensors" if len(broken) > 1 else ""
        raise UserError(f"{what} is not finite ({broken[0]}{rest}): nothing can be made of it; give another file.")


def strip(name: str, prefixes: tuple[str, ...]) -> str:
    """A tensor's name without any of the prefixes, however many of them stand before it."""
    stripped = True
    while stripped:
        stripped = False
        for prefix in prefixes:
            if name.startswith(prefix):
                name, stripped = name[len(prefix) :], True
    return name
