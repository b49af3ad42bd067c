"""A trained checkpoint of the public GTA-Seg or U2PL code, brought into our network for scoring.

Structure and names are those of its DeepLabV3+ (facts of the public code; no line of it is here): the file holds
`model_state` and `teacher_state`, names may carry DDP's `module.`, and beside the network there is a representation
head that plays no part in a prediction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gta.errors import UserError
from gta.models import files
from gta.models.deeplab import SegmentationModel

STATES = {"student": "model_state", "teacher": "teacher_state"}

# (pattern of a public name, ours), tried in order. `{minus_two}` stands for the number in the first group less 2:
# the public ASPP counts its branches from 1, the first of them the pooling one.
NAMES: tuple[tuple[str, str], ...] = (
    (r"encoder\.(.+)", r"feature_extractor.encoder.\1"),
    (r"decoder\.aspp\.conv1\.(.+)", r"feature_extractor.aspp.pooling.\1"),
    (r"decoder\.aspp\.conv(\d+)\.(.+)", r"feature_extractor.aspp.branches.{minus_two}.\2"),
    (r"decoder\.head\.(.+)", r"feature_extractor.head.\1"),
    (r"decoder\.low_conv\.(.+)", r"feature_extractor.low_level.\1"),
    (r"decoder\.classifier\.(.+)", r"mask_predictor.\1"),
    (r"auxor\.aux\.(.+)", r"auxiliary.\1"),
)


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
        ours = our_name(files.strip(name, ("module.",)), names)
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


def _pick(content: Any, network: str, path: Path) -> tuple[dict[str, Tensor], str]:
    """The state dict of the wanted network, and whose it is."""
    if network not in ("", *STATES):
        raise UserError(f"--network {network}: use student or teacher.")
    held_states = content if isinstance(content, dict) else {}
    found = {name: held_states[key] for name, key in STATES.items() if _filled(held_states.get(key))}
    if not found and isinstance(content, dict) and network in ("", "student"):
        found = {"student": content.get("state_dict", content)}  # a bare state dict is a network
        found = found if _filled(found["student"]) else {}
    network = network or ("teacher" if "teacher" in found else "student")
    if network not in found:
        held = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise UserError(f"{path} has no {STATES[network]} (it holds {held}): name the other network, or another file.")
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
        "Say the network that was trained, with data=... (its classes) and model=... (model.stem, model.aspp_rates)."
    )
