"""Initial weights of the encoder from a local file, with an account of what matched."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from gta.errors import UserError
from gta.models import files
from gta.models.deeplab import SegmentationModel

# Wrappers that training programs put around a state dict, and before its names.
CONTAINERS = ("state_dict", "model", "model_state")
PREFIXES = ("module.", "backbone.", "encoder.", "feature_extractor.encoder.", "timm_model.")
# A deep stem as some public ResNets spell it (conv1 to conv3 side by side), and as ours and timm's do.
FLAT_STEM = {
    "conv1": "conv1.0",
    "bn1": "conv1.1",
    "conv2": "conv1.3",
    "bn2": "conv1.4",
    "conv3": "conv1.6",
    "bn3": "bn1",
}


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

    Understood are the names of torchvision and timm (plain stem), of timm's and the usual deep-stem files, and of
    deep stems spelled conv1, conv2, conv3. Raises UserError for an absent or unreadable file, for one of another
    stem than the model's, for a ResNet-D, and for one that matches nothing.
    """
    given = _named(_state_dict(Path(path)))
    own = model.encoder.state_dict()
    _check_kind(set(given), getattr(model.encoder, "stem", None), path)
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


def _state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name, without wrappers and prefixes."""
    if not path.is_file():
        raise UserError(
            f"The initial weights {path} are not there; put the file in place, or use model.weights=random."
        )
    content = files.read(path, "The initial weights")
    for key in CONTAINERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise UserError(f"The initial weights {path} hold a {type(content).__name__}, not a state dict.")
    return {files.strip(str(name), PREFIXES): value for name, value in content.items() if isinstance(value, Tensor)}


def _named(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under our names."""
    if not {"conv1.weight", "conv2.weight", "conv3.weight"} <= set(given):
        return given
    renamed = {}
    for name, tensor in given.items():
        first, _, rest = name.partition(".")
        renamed[f"{FLAT_STEM.get(first, first)}.{rest}"] = tensor
    return renamed


def _check_kind(names: set[str], stem: str | None, path: str | Path) -> None:
    """Raises UserError for a network that would match in most of its tensors and yet be another one."""
    if stem is None:  # no ResNet
        return
    found = "plain" if "conv1.weight" in names else "deep" if "conv1.0.weight" in names else stem
    if found != stem:
        raise UserError(
            f"The weights file {path} has a {found} stem and the model a {stem} one: "
            f"use model.stem={found}, or give a file with a {stem} stem."
        )
    if any(".downsample.2." in name for name in names):
        raise UserError(
            f"The weights file {path} is of a ResNet-D, whose shortcuts average before they project: another network. "
            "Give a file of the plain or the deep-stem ResNet."
        )
