"""What GTA's settings do to storage and parts, and what a step of each method costs (docs/explanation/method.md)."""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gta.methods import METHODS, Method
from gta.methods.gta import GTA
from gta.models import SegmentationModel

Make = Callable[..., Method]
DOCS = Path(__file__).parents[3] / "docs/explanation/method.md"
PARTS = ("feature_extractor.encoder", "feature_extractor", "mask_predictor")


def tensors(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The parts of the network in which something is different."""
    names = {name for name in before if not torch.equal(before[name], after[name])}
    encoder = {name for name in names if name.startswith(PARTS[0])}
    rest = {name for name in names - encoder if name.startswith(PARTS[1])}
    found = {"encoder": encoder, "decoder": rest, "mask predictor": names - encoder - rest}
    return {part for part, those in found.items() if those}


class Watched(GTA):
    """Notes the student before the assistant's step, after it, and after the transfer."""

    def update(self, name: str, *arguments: Any) -> dict[str, Tensor]:
        before = tensors(self.models["student"])
        values = super().update(name, *arguments)
        if name == "assistant":
            self.before, self.between = before, tensors(self.models["student"])
        return values

    def transfer(self, iteration: int) -> None:
        super().transfer(iteration)
        self.after = tensors(self.models["student"])


@pytest.mark.parametrize(
    ("transfer", "parts"),
    [
        ("none", set()),
        ("encoder", {"encoder"}),
        ("feature_extractor", {"encoder", "decoder"}),
        ("all", {"encoder", "decoder", "mask predictor"}),
    ],
)
def test_the_student_takes_over_what_transfer_says(transfer: str, parts: set[str], make: Make, run: Any) -> None:
    method: Any = make(Watched, transfer=transfer)
    run(method, 0, 4)
    assert moved(method.before, method.between) == set()
    assert moved(method.between, method.after) == parts


def test_a_shared_mask_predictor_is_one_storage_that_pseudo_labels_move(make: Make, run: Any) -> None:
    """The public code's defect 1: the assistant's step moves the student's mask predictor, and that part alone."""
    method: Any = make(Watched, share_mask_predictor=True)
    run(method, 0, 4)
    assert moved(method.before, method.between) == {"mask predictor"}
    student, assistant, teacher = (method.models[name] for name in ("student", "assistant", "teacher"))
    for mine, other, third in zip(
        *(network.mask_predictor.parameters() for network in (student, assistant, teacher)), strict=True
    ):
        assert mine.data_ptr() == other.data_ptr() != third.data_ptr()
    for mine, other in zip(
        student.feature_extractor.parameters(), assistant.feature_extractor.parameters(), strict=True
    ):
        assert mine.data_ptr() != other.data_ptr()


def test_a_resumed_run_still_shares_the_mask_predictor(make: Make, run: Any) -> None:
    whole, resumed = make("gta", share_mask_predictor=True), make("gta", share_mask_predictor=True)
    run(whole, 0, 3)
    resumed.load_state_dict(copy.deepcopy(whole.state_dict()))
    assert run(whole, 3, 6) == run(resumed, 3, 6)


def units(method: Method, batch: Callable[..., Any], run: Any) -> float:
    """Work of a step in forward passes of B images; a pass with gradients counts three times (its backward is two)."""
    run(method, 0, 3)
    counted: list[float] = []

    def count(_: nn.Module, images: tuple[Tensor, ...]) -> None:
        counted.append(len(images[0]) / 4 * (3 if torch.is_grad_enabled() else 1))

    for network in method.models.values():
        if isinstance(network, SegmentationModel):  # a head is part of the network that it is on
            network.register_forward_pre_hook(count)
    method.step(*batch(3), 3)
    return sum(counted)


COSTS: dict[str, tuple[str, dict[str, Any]]] = {
    "gta": ("gta", {}),
    "gta_label_confidence": ("gta", {"confidence": "pseudo_label"}),
    "gta_separate": ("gta", {"joint_batches": False}),
    "gta_lean": ("gta", {"joint_batches": False, "confidence": "pseudo_label"}),
    "student_teacher": ("student_teacher", {}),
    "mean_teacher": ("mean_teacher", {}),
    "cutmix": ("cutmix", {}),
    "fixmatch": ("fixmatch", {}),
    "unimatch": ("unimatch", {}),
    "unimatch_v2": ("unimatch_v2", {}),
    "fixmatch_v2": ("unimatch_v2", {"views": 1, "joint_batches": True}),
    "augseg": ("augseg", {}),
    "u2pl": ("u2pl", {}),
    "cps": ("cps", {}),
    "cps_plain": ("cps", {"cutmix": False}),
    "supervised": ("supervised", {}),
    "fully_supervised": ("fully_supervised", {}),
}


def test_the_cost_of_every_method_is_documented() -> None:
    assert set(METHODS) <= set(COSTS)


@pytest.mark.parametrize("row", COSTS)
def test_the_documented_cost_of_a_step_is_what_it_costs(
    row: str, make: Make, batch: Callable[..., Any], run: Any
) -> None:
    name, config = COSTS[row]
    documented = re.search(rf"^\| `{row}` \| [^|]* \| (\d+) ", DOCS.read_text(), re.MULTILINE)
    assert documented, f"docs/explanation/method.md says nothing of the cost of {row}"
    assert units(make(name, **config), batch, run) == int(documented[1])


def test_a_run_in_channels_last_resumes_bit_for_bit(make: Make, run: Any) -> None:
    whole, resumed = (make("gta", model={"memory_format": "channels_last"}) for _ in range(2))
    run(whole, 0, 4)
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert run(whole, 4, 7) == run(resumed, 4, 7)
    kernel = resumed.models["student"].encoder.stage2[0].weight  # type: ignore[union-attr]
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert all(
        momentum["momentum_buffer"].stride() == parameter.stride()
        for optimizer in resumed.optimizers.values()
        for parameter, momentum in optimizer.state.items()
    )
