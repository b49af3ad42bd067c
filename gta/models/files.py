"""Reading weight files of other programs: tensors by name, and nothing in the file is ever executed."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gta.errors import UserError

# Scores stand in checkpoints as numpy scalars. These rebuild plain numbers; all else a pickle may ask for is refused.
_SCALAR = np.float64(0).__reduce__()[0]
NUMPY_SCALARS: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32)),
]


def read(path: Path, what: str, lazily: bool = False) -> Any:
    """The content of a PyTorch file, on the CPU. `what` it is, in error messages ("The initial weights").

    lazily: numbers are read where they are used, for who wants names and shapes (where the file's format allows it).

    Raises UserError for a file that is absent, damaged, or a pickle that wants to run anything beyond rebuilding
    tensors, plain Python and numpy scalars.
    """
    if not path.is_file():
        raise UserError(f"{what} {path} are not there; put the file in place.")
    try:
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            mapped = lazily and zipfile.is_zipfile(path)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked:
            raise UserError(
                f"{what} {path} are a pickle that asks for {asked[1]}: it could run code, so it is refused and nothing "
                "of it was run. Ask for a file that holds a state dict (tensors by name) only."
            ) from None
        raise UserError(f"{what} {path} cannot be read as a PyTorch state dict.") from None
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        raise UserError(f"{what} {path} cannot be read as a PyTorch state dict.") from error


def strip(name: str, prefixes: tuple[str, ...]) -> str:
    """A tensor's name without any of the prefixes, however many of them stand before it."""
    stripped = True
    while stripped:
        stripped = False
        for prefix in prefixes:
            if name.startswith(prefix):
                name, stripped = name[len(prefix) :], True
    return name
