"""The named rows of the ablation: each composes, differs from plain GTA in what its name says, and trains."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gta.compose import compose
from gta.compose.hydra import ConfigLoaderImpl
from gta.config import Config

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
OTHERS = {"supervised", "student_teacher", "student_teacher_weight_none", "gta"}


def composed(loader: ConfigLoaderImpl, *overrides: str) -> Config:
    return compose.typed(compose.Composer(loader).compose(overrides))


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.slow
def test_a_row_is_gta_but_for_what_it_says(row: str, loader: ConfigLoaderImpl) -> None:
    plain, found = asdict(composed(loader, "method=gta").method), asdict(composed(loader, f"method={row}").method)
    assert {key: value for key, value in found.items() if key != "label" and value != plain[key]} == ROWS[row]


def test_student_teacher_without_weights(loader: ConfigLoaderImpl) -> None:
    method: Any = composed(loader, "method=student_teacher_weight_none").method
    assert (method.name, method.weighting, method.drop_percent) == ("student_teacher", "none", 80.0)


@pytest.mark.slow
def test_every_file_is_a_row_of_the_sweep(loader: ConfigLoaderImpl) -> None:
    """But that of Cityscapes, which is no ablation; no label is there twice."""
    sweep = OmegaConf.load(compose.SWEEPS / "ablation_gta.yaml")
    parser = OverridesParser.create(config_loader=loader)
    (override,) = parser.parse_overrides([f"method={sweep.hydra.sweeper.params.method}"])
    rows = list(override.sweep_string_iterator())
    assert set(rows) == set(ROWS) - {"gta_cityscapes"} | OTHERS
    assert {path.stem for path in Path(compose.CONF / "method").glob("*.yaml")} <= {*ROWS, *OTHERS}
    labels = [m.label or m.name for m in (composed(loader, f"method={row}").method for row in rows)]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("row", ["gta_transfer_all", "gta_teacher_decay_99"])
def test_the_sweep_is_overridable_to_voc(row: str, loader: ConfigLoaderImpl) -> None:
    config = composed(
        loader, "sweep=ablation_gta", "data=voc_classic", "model=resnet101", "schedule=voc", f"method={row}"
    )
    assert (config.data.crop_size, config.model.encoder, config.schedule.lr) == (513, "resnet101", 0.001)
    assert (config.schedule.batch_size, config.schedule.group_size, config.schedule.ema_decay) == (12, 3, 0.999)
