"""Initial weights of the encoder from a local file, with an account of what matched."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from gta.errors import UserError
from gta.models.deeplab import SegmentationModel

# Wrappers that training programs put around a state dict, and before its names.
CONTAINERS = ("state_dict", "model", "model_state")
PREFIXES = ("module.", "backbone.", "encoder.", "feature_extractor.encoder.")


@dataclass
class WeightsReport:
    """What became of each tensor of the encoder and of the file.

    Of the encoder: `matched`, `missing` from the file, `reshaped` (there in another shape). Of the file:
    `unused`.
    """

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    reshaped: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{len(self.matched)} tensors of the encoder's initial weights loaded"]
        for what in ("missing", "reshaped", "unused"):
            names: list[str] = getattr(self, what)
            if names:
                lines.append(f"{what} ({len(names)}): {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}")
        return "; ".join(lines)


def load_initial_weights(model: SegmentationModel, path: str | Path) -> WeightsReport:
    """Load what matches by name and shape into the encoder; says what did and what did not.

    Raises UserError for an absent or unreadable file, and for one that matches nothing.
    """
    given = _read(Path(path))
    own = model.encoder.state_dict()
    report = WeightsReport(unused=sorted(set(given) - set(own)))
    for name, tensor in own.items():
        if name not in given:
            if not name.endswith("num_batches_tracked"):  # a counter that older files do not have
                report.missing.append(name)
        elif given[name].shape != tensor.shape:
            report.reshaped.append(name)
        else:
            report.matched.append(name)
    if not any(name in dict(model.encoder.named_parameters()) for name in report.matched):
        shown = ", ".join(sorted(given)[:3])
        raise UserError(
            f"Nothing in the weights file {path} matches the encoder by name and shape "
            f"(its names begin: {shown}); "
            "give a file for this encoder, or model.weights=random."
        )
    model.encoder.load_state_dict({name: given[name] for name in report.matched}, strict=False)
    return report


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(
            f"The initial weights {path} are not there; put the file in place, or use model.weights=random."
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise UserError(f"The initial weights {path} cannot be read as a PyTorch state dict.") from error
    for key in CONTAINERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise UserError(f"The initial weights {path} hold a {type(content).__name__}, not a state dict.")
    return {_strip(str(name)): value for name, value in content.items() if isinstance(value, Tensor)}


def _strip(name: str) -> str:
    stripped = True
    while stripped:
        stripped = False
        for prefix in PREFIXES:
            if name.startswith(prefix):
                name, stripped = name[len(prefix) :], True
    return name
