"""A trained checkpoint of the public GTA-Seg, U2PL or UniMatch V2 code, brought into our network for scoring.

Structure and names are those of its network (facts of the public code; no line of it is here). Of GTA-Seg's and U2PL's
DeepLabV3+ the file holds `model_state` and `teacher_state`, and beside the network there is a representation head that
plays no part in a prediction; of UniMatch V2's DPT, `model` and `model_ema`. Names may carry DDP's `module.`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gta.errors import UserError
from gta.models import files
from gta.models.segmentation import SegmentationModel

STATES = {"student": ("model_state", "model"), "teacher": ("teacher_state", "model_ema")}

# (pattern of a public name, ours), tried in order. `{minus_two}` stands for the number in the first group less 2:
# the public ASPP counts its branches from 1, the first of them the pooling one. `decoder.` is one of DECODER.
NAMES: tuple[tuple[str, str], ...] = (
    (r"encoder\.(.+)", r"feature_extractor.encoder.\1"),
    (r"decoder\.aspp\.conv1\.(.+)", r"feature_extractor.aspp.pooling.\1"),
    (r"decoder\.aspp\.conv(\d+)\.(.+)", r"feature_extractor.aspp.branches.{minus_two}.\2"),
    (r"decoder\.head\.(.+)", r"feature_extractor.head.\1"),
    (r"decoder\.low_conv\.(.+)", r"feature_extractor.low_level.\1"),
    (r"decoder\.classifier\.(.+)", r"mask_predictor.\1"),
    (r"auxor\.aux\.(.+)", r"auxiliary.\1"),
    (r"backbone\.(.+)", r"feature_extractor.encoder.\1"),
    (r"head\.projects\.(.+)", r"decoder.reassemble.projects.\1"),
    (r"head\.resize_layers\.(.+)", r"decoder.reassemble.resizes.\1"),
    *((rf"head\.scratch\.layer{i + 1}_rn\.(.+)", rf"decoder.reassemble.widens.{i}.\1") for i in range(4)),
    (r"head\.scratch\.refinenet(\d)\.out_conv\.(.+)", r"decoder.fusion\1.out.\2"),
    (r"head\.scratch\.refinenet(\d)\.resConfUnit1\.(.+)", r"decoder.fusion\1.level_unit.\2"),
    (r"head\.scratch\.refinenet(\d)\.resConfUnit2\.(.+)", r"decoder.fusion\1.path_unit.\2"),
    (r"head\.scratch\.output_conv\.0\.(.+)", r"decoder.output.conv.\1"),
    (r"head\.scratch\.output_conv\.2\.(.+)", r"decoder.classifier.\1"),
)
# A step of DPT is a part of the one or the other, as `model.mask_predictor` says.
DECODER = ("feature_extractor.", "mask_predictor.")


@dataclass
class PublicReport:
    """Which network was taken, and what became of every tensor of the file and of the model."""

    network: str  # student or teacher
    matched: list[str]  # of the model
    unused: list[str]  # of the file, in its own names
    missing: list[str]  # of the model's auxiliary head, which no prediction needs

    def __str__(self) -> str:
        parts = [f"{self.network}: {len(self.matched)} tensors loaded, none of the prediction path missing"]
        for what, names in (("unused in the file", self.unused), ("not in the file", self.missing)):
            if names:
                heads = sorted({".".join(name.split(".")[:2]) for name in names})
                parts.append(f"{what}: {len(names)} ({', '.join(heads[:6])}{', ...' if len(heads) > 6 else ''})")
        return "; ".join(parts)


def our_name(name: str, names: Sequence[tuple[str, str]] = NAMES) -> str | None:
    """Our name of a tensor, for its name in the public code (without `module.`); None for one that we do not have."""
    for pattern, template in names:
        found = re.fullmatch(pattern, name)
        if found:
            number = found[1] if found[1].isdigit() else "2"
            return found.expand(template.replace("{minus_two}", str(int(number) - 2)))
    return None


def load_public_checkpoint(
    model: SegmentationModel, path: str | Path, network: str = "", names: Sequence[tuple[str, str]] = NAMES
) -> PublicReport:
    """Fill `model` with the student or the teacher (the default, where the file has one) of a public checkpoint.

    Nothing in the file is executed. Raises UserError for a file that is absent, unreadable or wants to run code, for
    a network that it does not have, and where a tensor that a prediction needs is missing or has another shape: a
    network that is partly random is never scored.
    """
    state, network = _pick(files.read(Path(path), "The checkpoint's weights"), network, Path(path))
    given: dict[str, Tensor] = {}
    unused = []
    own = model.state_dict()
    for name, tensor in state.items():
        ours = _placed(our_name(files.strip(name, ("module.",)), names), own)
        if ours in own:
            given[ours] = tensor
        else:
            unused.append(name)
    # a counter does nothing in eval mode, and the auxiliary head no predicting
    needed = [name for name in own if not name.endswith("num_batches_tracked") and not name.startswith("auxiliary.")]
    missing = [name for name in needed if name not in given]
    reshaped = [name for name in own if name in given and given[name].shape != own[name].shape]
    if missing or reshaped:
        raise UserError(_refusal(path, state, missing, reshaped, own, given))
    files.check_finite(given, f"{path}: the {network}")
    model.load_state_dict(given, strict=False)
    auxiliary = [name for name in own if name.startswith("auxiliary.") and name not in given]
    return PublicReport(network, sorted(given), sorted(unused), auxiliary)


def _placed(name: str | None, own: Mapping[str, Tensor]) -> str | None:
    """The name with that part of the model for `decoder.` which has it."""
    rest = (name or "").removeprefix("decoder.")
    return next((part + rest for part in DECODER if part + rest in own), name) if rest != name else name


def _pick(content: Any, network: str, path: Path) -> tuple[dict[str, Tensor], str]:
    """The state dict of the wanted network, and whose it is."""
    if network not in ("", *STATES):
        raise UserError(f"--network {network}: use student or teacher.")
    held_states = content if isinstance(content, dict) else {}
    found = {name: held_states[key] for name, keys in STATES.items() for key in keys if _filled(held_states.get(key))}
    if not found and isinstance(content, dict) and network in ("", "student"):
        found = {"student": content.get("state_dict", content)}  # a bare state dict is a network
        found = found if _filled(found["student"]) else {}
    network = network or ("teacher" if "teacher" in found else "student")
    if network not in found:
        held = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise UserError(
            f"{path} has no {' or '.join(STATES[network])} (it holds {held}): name the other network, or another file."
        )
    state = {str(name): value for name, value in found[network].items() if isinstance(value, Tensor)}
    return state, network


def _filled(state: Any) -> bool:
    return isinstance(state, dict) and bool(state)


def _refusal(
    path: str | Path, state: dict[str, Tensor], missing: list[str], reshaped: list[str],
    own: dict[str, Tensor], given: dict[str, Tensor],
) -> str:  # fmt: skip
    parts = []
    if missing:
        parts.append(f"{len(missing)} tensors are missing ({', '.join(missing[:3])}{', ...' if missing[3:] else ''})")
    if reshaped:
        shown = [f"{n} is {tuple(given[n].shape)}, the model's {tuple(own[n].shape)}" for n in reshaped[:2]]
        parts.append(f"{len(reshaped)} have another shape ({'; '.join(shown)})")
    return (
        f"{path} is no checkpoint of the configured network: {' and '.join(parts)}, of {len(state)} in the file. "
        "Say the network that was trained, with data=... (its classes) and model=... (model.encoder, model.stem, "
        "model.aspp_rates, model.register_tokens)."
    )
