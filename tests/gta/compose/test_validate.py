"""Every check of a config runs before anything is submitted, and says in a sentence what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell
from gta.compose.validate import check_batch, check_config, check_prediction
from gta.config import ModelConfig, ScheduleConfig, ShapesConfig
from gta.errors import UserError
from tests.helpers.cells import config
from tests.helpers.configs import changed


def dino(**changes: Any) -> ModelConfig:
    return ModelConfig(**{"encoder": "dinov2_small", "weights": "random", "dropout": 0.0, **changes})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"precision": "fp8"}, "precision is 'fp8'; it must be fp32 or bf16"),
        ({"tf32": "some"}, "tf32 is 'some'; it must be none, convolutions or all"),
        ({"model": dino(recompute=True), "compile": True}, "compile and model.recompute do not go together"),
        ({"num_threads": 0}, "num_threads is 0; it must be a whole number, 1 to 1,024"),
        ({"site.device": "gpu"}, "site.device is 'gpu'; it must be auto, cpu or cuda"),
        ({"site.ranks": 3}, "do not divide over 3 ranks"),
        ({"schedule.eval_every": 0}, "schedule.eval_every is 0; it must be a whole number, 1 to 1,000,000,000"),
        ({"schedule.lr": 0.0}, "schedule.lr is 0.0; it must be a number, above 0 to 1,000"),
        ({"schedule.ohem_threshold": 1.5}, "schedule.ohem_threshold is 1.5; it must be a number, 0 to 1"),
        ({"schedule.group_size": 3}, "does not divide into groups"),
        ({"data.crop_size": 8}, "data.crop_size is 8; it must be a whole number, 16 to 16,384"),
        ({"data.augment.blur_probability": 2.0}, "data.augment.blur_probability is 2.0; it must be a number, 0 to 1"),
        ({"data.classes": []}, "names no classes"),
        ({"data.label_map": [[0, 0], [7, 9]]}, "is no pair of a label"),
        ({"data.palette": [[0, 0, 0]]}, "data.palette has 1 colours for 2 classes"),
        (
            {"data.palette": [[0, 0, 0], [0, 300, 0]]},
            r"data.palette is .*300.*; it must be a list of lists of .*0 to 255",
        ),
        ({"data.palette": [[0, 0, 0], [0, 0]]}, r"\[0, 0\] is no colour"),
        ({"data.generator": ShapesConfig(train=1)}, "data.generator.train is 1; it must be .*, 2 to 100,000"),
        ({"model.encoder": "tinny"}, "model.encoder=tinny.*did you mean tiny"),
        ({"model.output_stride": 4}, "model.output_stride is 4; it must be 8 or 16"),
        ({"model.width": 0}, "model.width is 0"),
        ({"model": dino(), "data.crop_size": 513}, "is no multiple of 14, .*dinov2_small's patches: use 504 or 518"),
        ({"model": dino(), "data.crop_size": 17}, "use 28"),
        (
            {"model": dino(auxiliary=True)},
            "model.auxiliary is True, and dinov2_small has no such setting: leave it out",
        ),
        ({"model": dino(dropout=0.1)}, "model.dropout is 0.1, and dinov2_small has no such setting: leave it at 0"),
        ({"model": dino(aspp_rates=[1])}, r"model.aspp_rates is \[1\], and dinov2_small has no such setting"),
        ({"model": dino(output_stride=8)}, "model.output_stride is 8, and dinov2_small has no such setting"),
        ({"model": dino(width=8)}, "model.width is 8, and dinov2_small has no such setting: leave it at 0"),
        ({"model": dino(stem="plain")}, "model.stem is plain, and dinov2_small has no such setting"),
        ({"model": dino(low_level_channels=48)}, "model.low_level_channels is 48, and dinov2_small has no such"),
        ({"model": dino(head_kernel=1)}, "model.head_kernel is 1, and dinov2_small has no such setting"),
        ({"model.dry": True, "model.weights": "w.pth"}, "no file of weights is of .*add model.weights=random"),
        ({"model.head_kernel": 2}, "model.head_kernel is 2; it must be 1 or 3"),
        ({"model.register_tokens": 4}, "model.register_tokens is 4, and the tiny encoder has no such setting"),
        ({"model.mask_predictor": "fusion"}, "model.mask_predictor is fusion, and the tiny encoder has no such"),
        ({"method.drop_percent": 120.0}, "method.drop_percent is 120.0; it must be a number, 0 to 100"),
        ({"method.transfer": "decoder"}, "method.transfer is 'decoder'; it must be none, encoder, .* or all"),
        ({"method.teacher_decay": -0.5}, "method.teacher_decay is -0.5"),
        ({"evaluation.protocol": "center"}, "evaluation.protocol is 'center'; it must be original_size"),
        ({"evaluation.scales": []}, r"evaluation.scales is \[\]; it must be a list of 1 to 32 numbers, 0.1 to 10"),
    ],
)
def test_what_no_cell_can_be_trained_with_is_refused_before_anything_is_made(
    values: dict[str, Any], says: str, tmp_path: Path
) -> None:
    """Before the data set is even looked at: there is none."""
    wrong = changed(config(), {"data.root": str(tmp_path / "data"), "paths.runs": str(tmp_path / "runs"), **values})
    with pytest.raises(UserError, match=says):
        Cell.prepare(wrong, {})
    assert not list(tmp_path.iterdir())


def test_a_part_of_an_image_is_no_prediction() -> None:
    with pytest.raises(UserError, match="predict labels whole ones"):
        check_prediction(changed(config(), {"evaluation.protocol": "center_crop"}))
    with pytest.raises(UserError, match=r"19 train ids.* has 2 classes"):
        check_prediction(config(), cityscapes=19)


@pytest.mark.parametrize(
    ("batch", "group", "world_size", "says"),
    [
        (8, 3, 1, "batch_size=8 does not divide into groups of schedule.group_size=3"),
        (8, 2, 3, "The 4 groups of a batch .* do not divide over 3 ranks"),
        (8, 8, 2, "The 1 groups of a batch .* do not divide over 2 ranks"),
        (8, 0, 1, "schedule.group_size is 0; it must be a whole number, 1 to"),
        (0, 2, 1, "schedule.batch_size is 0; it must be a whole number, 1 to"),
    ],
)
def test_a_batch_that_does_not_divide_is_refused_at_once(batch: int, group: int, world_size: int, says: str) -> None:
    schedule = ScheduleConfig(iterations=5, batch_size=batch, group_size=group)
    with pytest.raises(UserError, match=says):
        check_batch(schedule, world_size)


@pytest.mark.parametrize(
    ("accumulate", "world_size", "says"),
    [
        (3, 1, "schedule.accumulate=3 does not divide the 4 groups of a batch .*use a number that divides 4"),
        (0, 1, "schedule.accumulate is 0; it must be a whole number, 1 to"),
        (2, 4, "The 2 groups of each of the 2 parts of a batch .*accumulate=2.* do not divide over 4 ranks"),
    ],
)
def test_parts_that_are_not_whole_groups_are_refused(accumulate: int, world_size: int, says: str) -> None:
    schedule = ScheduleConfig(iterations=5, batch_size=8, group_size=2, accumulate=accumulate)
    with pytest.raises(UserError, match=says):
        check_batch(schedule, world_size)


@pytest.mark.parametrize(("batch", "accumulate"), [(1, 1), (4, 4)])
def test_one_image_at_a_time_is_refused(batch: int, accumulate: int) -> None:
    schedule = ScheduleConfig(iterations=5, batch_size=batch, group_size=1, accumulate=accumulate)
    with pytest.raises(UserError, match=rf"accumulate={accumulate} passes 1 image at a time"):
        check_batch(schedule, 1)


def test_one_image_at_a_time_is_enough_without_batchnorm() -> None:
    check_batch(ScheduleConfig(iterations=5, batch_size=4, group_size=1, accumulate=4), 1, batchnorm=False)
    values = {"model": dino(), "data.crop_size": 42, "schedule.batch_size": 1, "schedule.group_size": 1}
    check_config(changed(config(), values))
    with pytest.raises(UserError, match="BatchNorm needs at least 2"):
        check_config(changed(config(), {**values, "model": config().model}))
