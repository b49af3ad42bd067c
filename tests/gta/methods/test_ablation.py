"""The named rows: each composes, and differs from its method in what its name says."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gta.cell import Cell
from gta.cellfolder import CellFolder
from gta.compose import compose
from gta.compose.hydra import ConfigLoaderImpl
from gta.config import Config
from gta.data.splits.split import Sizes

ROWS: dict[str, dict[str, Any]] = {
    "gta_transfer_all": {"transfer": "all"},
    "gta_transfer_encoder": {"transfer": "encoder"},
    "gta_transfer_none": {"transfer": "none"},
    "gta_weight_none": {"weighting": "none"},
    "gta_weight_confidence": {"weighting": "confidence"},
    "gta_transfer_decay_90": {"transfer_decay": 0.9},
    "gta_transfer_decay_99": {"transfer_decay": 0.99},
    "gta_teacher_decay_90": {"teacher_decay": 0.9},
    "gta_teacher_decay_99": {"teacher_decay": 0.99},
    "gta_drop_100": {"drop_percent": 100.0},
    "gta_drop_60": {"drop_percent": 60.0},
    "gta_drop_40": {"drop_percent": 40.0},
    "gta_separate": {"joint_batches": False},
    "gta_label_confidence": {"confidence": "pseudo_label"},
    "gta_lean": {"joint_batches": False, "confidence": "pseudo_label"},
    "gta_shared": {"share_mask_predictor": True},
    "gta_cityscapes": {"transfer_decay": 0.999},
}
# Rivals: their variants, and what they differ in from the method's own settings.
LEVELLED = {"cutmix_boxes": "gta", "joint_batches": True}
HARD = {"consistency": "cross_entropy", "training_labels": False}
RIVALS: dict[str, dict[str, Any]] = {
    "mean_teacher_levelled": {**HARD, "unsupervised_weight": 1.0},
    "cutmix_levelled": {**LEVELLED, **HARD, "threshold": 0.0, "cutmix_probability": 0.5},
    "fixmatch_levelled": {**LEVELLED, "loss_factor": 1.0},
    "unimatch_levelled": {**LEVELLED, "loss_factor": 1.0},
    "cps_levelled": {**LEVELLED, "cutmix_probability": 0.5, "training_labels": False},
    "fixmatch_v2": {"views": 1, "complementary_dropout": False, "joint_batches": True},
    "augseg_cityscapes": {"threshold": 0.0, "teacher_decay": 0.996},
    "augseg_as_code": {"padding": "as_code"},
    "augseg_as_code_cityscapes": {"threshold": 0.0, "teacher_decay": 0.996, "padding": "as_code"},
    "u2pl_as_code": {"negatives": "as_code", "pairing": "as_code", "contrast_weight": None},
    "cps_cityscapes": {"unsupervised_weight": 5.0},
    "cps_plain": {"cutmix": False, "unsupervised_weight": 1.5},
    "cps_plain_cityscapes": {"cutmix": False, "unsupervised_weight": 6.0},
}
OTHERS = {"supervised", "student_teacher", "student_teacher_weight_none", "gta"}


def composed(loader: ConfigLoaderImpl, *overrides: str) -> Config:
    return compose.typed(compose.Composer(loader).compose(overrides))


@pytest.mark.parametrize("row", [*ROWS, *RIVALS])
@pytest.mark.slow
def test_a_row_is_its_method_but_for_what_it_says(row: str, loader: ConfigLoaderImpl) -> None:
    found = asdict(composed(loader, f"method={row}").method)
    plain = asdict(composed(loader, f"method={found['name']}").method)
    assert row.startswith(found["name"]) or row == "fixmatch_v2"
    expected = {**ROWS, **RIVALS}[row]
    named = ("label", "paper_label")
    assert {key: value for key, value in found.items() if key not in named and value != plain[key]} == expected


def test_a_paper_names_every_row_of_the_sweeps_of_unimatch_v2(loader: ConfigLoaderImpl) -> None:
    """By titles: no key of a method is left in it."""
    rows = OmegaConf.load(compose.SWEEPS / "voc_dinov2.yaml").hydra.sweeper.params.method.split(",")
    configs = [composed(loader, "data=shapes", f"method={row}") for row in rows]
    told = [Cell(config, None, "", {}, CellFolder(Path()), Sizes()).paper_row for config in configs]
    assert told == ["Supervised", "FixMatch (UniMatch V2)", "UniMatch V2", "GTA-Seg"]
    assert [config.method.label or config.method.name for config in configs] == rows, "as it is asked for"


def test_student_teacher_without_weights(loader: ConfigLoaderImpl) -> None:
    method: Any = composed(loader, "method=student_teacher_weight_none").method
    assert (method.name, method.weighting, method.drop_percent) == ("student_teacher", "none", 80.0)


@pytest.mark.slow
def test_every_file_is_a_row_of_the_sweep(loader: ConfigLoaderImpl) -> None:
    """But that of Cityscapes and the rivals', which are no ablation; no label is there twice."""
    sweep = OmegaConf.load(compose.SWEEPS / "ablation_gta.yaml")
    parser = OverridesParser.create(config_loader=loader)
    (override,) = parser.parse_overrides([f"method={sweep.hydra.sweeper.params.method}"])
    rows = list(override.sweep_string_iterator())
    assert set(rows) == set(ROWS) - {"gta_cityscapes"} | OTHERS
    assert {path.stem for path in Path(compose.CONF / "method").glob("*.yaml")} <= {*ROWS, *RIVALS, *OTHERS}
    labels = [m.label or m.name for m in (composed(loader, f"method={row}").method for row in rows)]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("row", ["gta_transfer_all", "gta_teacher_decay_99"])
def test_the_sweep_is_overridable_to_voc(row: str, loader: ConfigLoaderImpl) -> None:
    config = composed(
        loader, "sweep=ablation_gta", "data=voc_classic", "model=resnet101", "schedule=voc", f"method={row}"
    )
    assert (config.data.crop_size, config.model.encoder, config.schedule.lr) == (513, "resnet101", 0.001)
    assert (config.schedule.batch_size, config.schedule.group_size, config.schedule.ema_decay) == (12, 3, 0.999)
