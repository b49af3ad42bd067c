"""The rivals' steps against implementations of their own in float64: losses and weights to 1e-9, over the warm-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from gta.methods import Method
from gta.methods.mixing import cutmix_mask
from tests.helpers.methods import difference, doubles
from tests.helpers.reference_gta import Setting
from tests.helpers.reference_rivals import (
    CPSReference,
    FixMatchReference,
    MeanTeacherReference,
    Rival,
    UniMatchReference,
    UniMatchV2Reference,
)

pytestmark = pytest.mark.slow

SURE = {"threshold": 0.308}
LEVELLED = {"joint_batches": True, "cutmix_boxes": "gta", "loss_factor": 1.0}
UNIMATCH = {"threshold": 0.308, "weights": [0.25, 0.25, 0.5]}
PLAIN = {"cutmix": False, "unsupervised_weight": 1.5}
HARD = {"consistency": "cross_entropy", "unsupervised_weight": 1.0, "training_labels": False, **SURE}
TAUGHT = {"training": True, "strong": True, "on_labeled": True, "joint": True, "hard": False, "threshold": 0.0,
          "mean": True, "weight": 100.0, "buffers": False}  # fmt: skip
MIXED = TAUGHT | {"strong": False, "on_labeled": False, "joint": False, "threshold": 0.308, "mean": False,
                  "weight": 1.0, "buffers": True}  # fmt: skip
LABELS = {"training": False, "on_labeled": False, "hard": True, "buffers": True, "mean": False, "weight": 1.0, **SURE}
CASES: dict[str, tuple[str, dict[str, Any], type[Rival], dict[str, Any]]] = {
    "mean_teacher": ("mean_teacher", {}, MeanTeacherReference, TAUGHT),
    "mean_teacher levelled": ("mean_teacher", HARD, MeanTeacherReference, TAUGHT | LABELS),
    "cutmix": ("cutmix", SURE, MeanTeacherReference, MIXED),
    "cutmix levelled": ("cutmix", HARD | {"cutmix_boxes": "gta", "joint_batches": True}, MeanTeacherReference,
                        MIXED | LABELS | {"joint": True}),
    "fixmatch": ("fixmatch", SURE, FixMatchReference, {**SURE, "weights": [1.0]}),
    "fixmatch levelled": ("fixmatch", SURE | LEVELLED, FixMatchReference,
                          {**SURE, "weights": [1.0], "joint": True, "divisor": 1}),
    "unimatch": ("unimatch", SURE, UniMatchReference, UNIMATCH),
    "unimatch levelled": ("unimatch", SURE | LEVELLED, UniMatchReference, {**UNIMATCH, "joint": True, "divisor": 1}),
    "unimatch_v2": ("unimatch_v2", SURE, UniMatchV2Reference, {**SURE, "joint": False, "decay": 0.996}),
    "fixmatch_v2": ("unimatch_v2", {**SURE, "views": 1, "joint_batches": True, "teacher_decay": 0.6},
                    UniMatchV2Reference, {**SURE, "joint": True, "decay": 0.6}),
    "cps": ("cps", {}, CPSReference, {"cutmix": True, "training": True, "weight": 1.0}),
    "cps on Cityscapes": ("cps", {"unsupervised_weight": 5.0}, CPSReference,
                          {"cutmix": True, "training": True, "weight": 5.0}),
    "cps without CutMix": ("cps", PLAIN, CPSReference, {"cutmix": False, "weight": 1.5}),
    "cps levelled": ("cps", {"joint_batches": True, "cutmix_boxes": "gta", "training_labels": False}, CPSReference,
                     {"cutmix": True, "training": False, "weight": 1.0, "joint": True}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_five_steps_agree(case: str, make: Callable[..., Method], batch: Callable[..., Any]) -> None:
    name, config, kind, knobs = CASES[case]
    often = {"cutmix_probability": 0.8} if name != "mean_teacher" else {}
    method = make(name, model={"dropout": 0.0}, dtype=torch.float64, **often, **config)
    setting = Setting(iterations=20, warm_up=2, group_size=2, lr=0.05, decoder_lr_factor=2.0, ema_decay=0.9)
    reference = kind(method.networks(), setting, **knobs)
    mixed, shares = 0, []
    for iteration in range(5):
        labeled, unlabeled = doubles(*batch(iteration))
        settings: Any = method.config
        boxes = [
            cutmix_mask(unlabeled, 2, 0.8, 0, iteration, view, boxes=settings.cutmix_boxes)
            for view in range(max(method.strong_views, 1) if often else 0)
        ]
        mixed += sum(int(inside.any()) for inside in boxes)
        expected = reference.run(labeled, unlabeled, boxes, iteration)
        values = method.step(labeled, unlabeled, iteration)
        assert {key for key in values if key.startswith("loss/")} == set(expected)
        for key, value in expected.items():
            assert values[key].dtype == torch.float64
            assert values[key].item() == pytest.approx(value, abs=1e-9, rel=0), (iteration, key)
        if "pseudo/kept" in values and settings.threshold:
            shares.append(values["pseudo/kept"].item())
        assert method.models.keys() == reference.networks.keys()
        for network, model in method.models.items():
            assert difference(model, reference.networks[network]) < 1e-9, (iteration, network)
    assert mixed > 3 or not often
    assert all(0 < share < 1 for share in shares[-2:]), f"the threshold must matter in this test: {shares}"
