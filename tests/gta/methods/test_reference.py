"""GTA's step against an implementation of its own in float64: losses and weights to 1e-10, over the warm-up's end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gta.methods import Method
from gta.methods.mixing import cutmix_mask
from tests.helpers.methods import difference
from tests.helpers.reference_gta import Reference, Setting

STEPS, TOLERANCE = 5, 1e-10
KNOBS: dict[str, dict[str, Any]] = {
    "default": {},
    "auxiliary": {"auxiliary": True},
    "not weighted, all kept": {"weighting": "none", "drop_percent": 100.0},
    "weighted by confidence": {"weighting": "confidence", "drop_percent": 50.0},
    "confidence of the label": {"confidence": "pseudo_label"},
    "separate batches": {"joint_batches": False},
    "separate batches, confidence of the label": {"joint_batches": False, "confidence": "pseudo_label"},
    "no transfer": {"transfer": "none"},
    "transfer of the encoder": {"transfer": "encoder"},
    "transfer of everything": {"transfer": "all"},
    "decays": {"transfer_decay": 0.3, "teacher_decay": 0.6},
    "shared mask predictor": {"share_mask_predictor": True},
}


@pytest.mark.parametrize("knobs", KNOBS.values(), ids=KNOBS)
@pytest.mark.slow
def test_five_steps_agree(knobs: dict[str, Any], make: Callable[..., Method], batch: Callable[..., Any]) -> None:
    config = {key: value for key, value in knobs.items() if key != "auxiliary"}
    model = {"dropout": 0.0, "auxiliary": "auxiliary" in knobs}
    method = make("gta", model=model, cutmix_probability=0.7, dtype=torch.float64, **config)
    setting = Setting(iterations=20, warm_up=2, group_size=2, lr=0.05, decoder_lr_factor=2.0, ema_decay=0.9, **config)
    reference = Reference(method.networks()["student"], setting)
    mixed = 0
    for iteration in range(STEPS):
        labeled, unlabeled = batch(iteration)
        labeled.image, unlabeled.weak = labeled.image.double(), unlabeled.weak.double()
        boxes = cutmix_mask(unlabeled, 2, 0.7, seed=0, iteration=iteration)
        mixed += int(boxes.any()) if iteration >= 2 else 0
        expected = reference.step(labeled.image, labeled.mask, unlabeled.weak, unlabeled.padding, boxes, iteration)
        values = method.step(labeled, unlabeled, iteration)
        for name, value in expected.items():
            assert values[name].dtype == torch.float64
            assert values[name].item() == pytest.approx(value, abs=TOLERANCE, rel=0), (iteration, name)
        assert method.models.keys() == reference.networks.keys()
        for name, network in method.models.items():
            assert difference(network, reference.networks[name]) < TOLERANCE, (iteration, name)
    assert mixed >= 2
    assert set(reference.networks) == {"student", "teacher", "assistant"}


@pytest.mark.parametrize("knobs", [knobs for name, knobs in KNOBS.items() if name not in ("default", "auxiliary")])
def test_every_knob_changes_the_outcome(knobs: dict[str, Any], make: Callable[..., Method], run: Any) -> None:
    """The teacher after the second step past the warm-up is another than with the defaults."""
    weights: list[Tensor] = []
    for config in ({}, knobs):
        method = make("gta", model={"dropout": 0.0}, **config)
        run(method, 0, 4)
        weights.append(torch.cat([p.detach().flatten() for p in method.models["teacher"].parameters()]))
    assert float((weights[0] - weights[1]).abs().max()) > 1e-4
