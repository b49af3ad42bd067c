"""Initial weights of the encoder from a local file, with an account of what matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from gta.errors import UserError
from gta.models import files
from gta.models.segmentation import SegmentationModel

# Wrappers that training programs put around a state dict, and before its names.
CONTAINERS = ("state_dict", "model", "model_state", "model_ema", "teacher")
PREFIXES = ("module.", "backbone.", "encoder.", "feature_extractor.encoder.", "timm_model.")
# A deep stem as public ResNets spell it: conv1 to conv3 side by side, or one `stem`. Ours is timm's spelling.
FLAT_STEM = {
    "conv1": "conv1.0",
    "bn1": "conv1.1",
    "conv2": "conv1.3",
    "bn2": "conv1.4",
    "conv3": "conv1.6",
    "bn3": "bn1",
}
ONE_STEM = {**{f"stem.{number}": f"conv1.{number}" for number in (0, 1, 3, 4, 6)}, "stem.7": "bn1"}
UNUSED = ("num_batches_tracked", "mask_token")  # ends of names that no training needs: files may lack them
SHOWN = 3  # names in a message


@dataclass
class WeightsReport:
    """What was loaded: `matched`, every tensor of the encoder; `unused`, what else the file holds (a classifier)."""

    matched: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        unused = f"; unused in the file ({len(self.unused)}): {_some(self.unused, 8)}" if self.unused else ""
        return f"{len(self.matched)} tensors of the encoder's initial weights loaded, none missing{unused}"


def load_initial_weights(model: SegmentationModel, path: str | Path) -> WeightsReport:
    """Fill the encoder from a file, whole or not at all; says what of the file was used.

    Understood are the names of torchvision and timm (plain stem), of timm's and the usual deep-stem files, and of
    deep stems spelled conv1, conv2, conv3 or `stem`; for DINOv2 those of Meta and of timm; for a backbone of timm its
    own. Raises UserError for an absent or unreadable file, and for one of another network: another stem, a ResNet-D,
    other register tokens, a tensor that is missing or of another shape, layers that the encoder does not have. An
    encoder that is partly random is never trained.
    """
    encoder, of_timm = _holder(model.encoder)
    given = _state_dict(Path(path)) if of_timm else _named(_state_dict(Path(path)))
    report = _match(encoder, given, path)
    files.check_finite({name: given[name] for name in report.matched}, f"The file of initial weights {path}")
    encoder.load_state_dict({name: given[name] for name in report.matched}, strict=False)
    return report


def check_initial_weights(encoder: nn.Module, path: str | Path) -> None:
    """Raise what `load_initial_weights` raises for a model of this encoder, without reading or changing a number."""
    encoder, of_timm = _holder(encoder)
    given = _state_dict(Path(path), lazily=True)
    _match(encoder, given if of_timm else _named(given), path)


def _holder(encoder: nn.Module) -> tuple[nn.Module, bool]:
    """What a file's names are of, and whether that is timm's own model, whose files have its names."""
    inner = getattr(encoder, "timm_model", None)
    return (encoder, False) if inner is None else (inner, True)


def _match(encoder: nn.Module, given: dict[str, Tensor], path: str | Path) -> WeightsReport:
    """Which tensors fill the encoder; raises UserError where they do not fill it."""
    own = encoder.state_dict()
    _check_kind(set(given), getattr(encoder, "stem", None), path)
    _check_registers(own, given, path)
    needed = [name for name in own if not name.endswith(UNUSED)]
    matched = [name for name in own if name in given and given[name].shape == own[name].shape]
    if not set(matched) & set(needed):
        raise UserError(
            f"Nothing in the weights file {path} matches the encoder by name and shape "
            f"(its names begin: {_some(sorted(given), SHOWN)}); give a file for this encoder, or model.weights=random."
        )
    unused = sorted(set(given) - set(own))
    if troubles := _troubles(own, needed, given, unused):
        raise UserError(
            f"The weights file {path} is of another network than the encoder: {', and '.join(troubles)}; give a file "
            "of this encoder, choose the file's with model=..., or start with model.weights=random."
        )
    return WeightsReport(matched, unused)


def _troubles(
    own: dict[str, Tensor], needed: Sequence[str], given: dict[str, Tensor], unused: Sequence[str]
) -> list[str]:
    """What would leave the encoder partly random, or a part of another network, in words."""
    missing = [name for name in needed if name not in given]
    reshaped = [
        f"{name} is {tuple(given[name].shape)} and the encoder's {tuple(own[name].shape)}"
        for name in needed
        if name in given and given[name].shape != own[name].shape
    ]
    parts = {name.split(".")[0] for name in own}
    beyond = [name for name in unused if name.split(".")[0] in parts]
    troubles = []
    if missing:
        troubles.append(f"{len(missing)} of the encoder's {len(own)} tensors are missing ({_some(missing, SHOWN)})")
    if reshaped:
        troubles.append(f"{len(reshaped)} have another shape ({_some(reshaped, SHOWN)})")
    if beyond:
        troubles.append(f"it holds {len(beyond)} tensors that the encoder does not have ({_some(beyond, SHOWN)})")
    return troubles


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _state_dict(path: Path, lazily: bool = False) -> dict[str, Tensor]:
    """Tensors by name, without wrappers and prefixes."""
    if not path.is_file():
        raise UserError(
            f"The initial weights {path} are not there; put the file in place, or use model.weights=random."
        )
    content = files.read(path, "The initial weights", lazily)
    for key in CONTAINERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise UserError(f"The initial weights {path} hold a {type(content).__name__}, not a state dict.")
    return {files.strip(str(name), PREFIXES): value for name, value in content.items() if isinstance(value, Tensor)}


def _named(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under our names."""
    if "reg_token" in given:
        return _timm_registers(given)
    if "stem.0.weight" in given:
        spelled = ONE_STEM
    elif {"conv1.weight", "conv2.weight", "conv3.weight"} <= set(given):
        spelled = FLAT_STEM
    else:
        return given
    renamed = {}
    for name, tensor in given.items():
        module, _, part = name.rpartition(".")
        renamed[f"{spelled.get(module, module)}.{part}" if module else name] = tensor
    return renamed


def _timm_registers(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's DINOv2 with registers under Meta's names: its class token has its position added already."""
    renamed = {name.replace("reg_token", "register_tokens"): tensor for name, tensor in given.items()}
    positions, token = renamed.get("pos_embed"), renamed.get("cls_token")
    if positions is not None and token is not None and positions.shape[2:] == token.shape[2:]:
        renamed["pos_embed"] = torch.cat([torch.zeros_like(token), positions], dim=1)
    return renamed


def _check_registers(own: dict[str, Tensor], given: dict[str, Tensor], path: str | Path) -> None:
    """Raises UserError where a vision transformer has register tokens and the file has none, or the other way round."""
    name = "register_tokens"
    if "cls_token" not in own or "cls_token" not in given or (name in own) == (name in given):
        return
    count = given[name].shape[1] if name in given else 0
    raise UserError(
        f"The weights file {path} has {count or 'no'} register tokens and the model "
        f"{own[name].shape[1] if name in own else 'none'}: use model.register_tokens={count}, or give another file."
    )


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
