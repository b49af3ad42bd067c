"""Checkpoints: whole or absent, loaded without executing anything in them, and refused where they do not belong."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from gta.errors import UserError
from gta.files import replacing
from gta.text import first_line

FORMAT = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain Python) to `path`, atomically.

    Raises RuntimeError or OSError where its folder is gone: somebody deleted it meanwhile, and it is not made anew.
    """
    with replacing(path, parents=False) as temporary:
        torch.save({"format": FORMAT, **state}, temporary)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What `save` wrote. Raises UserError for a file that is absent, damaged, or no checkpoint of this program."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise UserError(f"There is no checkpoint {path}.") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        first = first_line(error)
        raise UserError(
            f"{path} cannot be read as a checkpoint ({first}); remove it to start the cell again."
        ) from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(
            f"{path} is not a checkpoint of this program (format {FORMAT}); remove it to start the cell again."
        )
    return state


def check_owner(path: Path, state: dict[str, Any], signature: str) -> None:
    """Raises UserError where a checkpoint was made by another cell than `signature`."""
    if state["signature"] != signature:
        raise UserError(
            f"{path} belongs to the cell {state['signature'][:8]}, not to {signature[:8]} "
            "(another model, data set or setting); remove it to start this cell from the beginning."
        )
