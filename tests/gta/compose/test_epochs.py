"""A schedule in epochs: the facts' rounding, what is refused, and a cell that freezes plain iterations."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell, of_length
from gta.cli.composing import grid
from gta.compose import compose
from gta.compose.epochs import in_iterations, scaled
from gta.compose.hydra import ConfigLoaderImpl
from gta.compose.validate import check_optimizer
from gta.config import ScheduleConfig
from gta.errors import UserError
from gta.fields import result_fields
from gta.train.run import train
from tests.helpers.configs import changed
from tests.helpers.program import SMALL_SHAPES
from tests.helpers.training import make


def schedule(**changes: object) -> ScheduleConfig:
    given = {"iterations": 0, "batch_size": 12, "group_size": 3, "lr": 0.001, "eval_every": 5, **changes}
    return ScheduleConfig(**given)  # type: ignore[arg-type]


def test_the_published_voc_schedule_has_866_steps_an_epoch() -> None:
    """183 labels of 10582: the facts count 866 steps an epoch and about 69,000 in all."""
    found = in_iterations(schedule(epochs=80, warm_up_epochs=1), 10582 - 183)
    assert (found.iterations, found.warm_up) == (80 * 866, 866)
    assert (found.epochs, found.warm_up_epochs) == (0, 0), "said once, in iterations"


def test_the_teachers_delay_in_epochs_is_one_in_iterations() -> None:
    """And a schedule without one is the same cell as before there were any."""
    found = in_iterations(schedule(epochs=80, ema_delay_epochs=1, batch_size=16, group_size=8), 10582 - 183)
    assert (found.iterations, found.ema_delay, found.ema_delay_epochs) == (80 * 650, 650, 0)
    assert in_iterations(schedule(iterations=9, ema_delay=4), 400).ema_delay == 4
    plain = result_fields(in_iterations(schedule(iterations=9), 400))
    assert not {"ema_delay", "ema_delay_epochs"} & set(plain)


def sampler(images: int, gpus: int, batch: int) -> int:
    """Batches of one GPU, drawn one by one: every `gpus`-th image of a list that is repeated to a multiple of them."""
    ids = list(range(images))
    while len(ids) % gpus:
        ids.append(ids[len(ids) - images])
    mine, batches = ids[::gpus], 0
    while len(mine) >= batch:
        mine, batches = mine[batch:], batches + 1
    return batches


VOC, CITYSCAPES = 10582, 2975
PUBLIC = {
    "GTA-Seg's VOC": (VOC, 4, 3, (92, 183, 366, 662, 732, 1323, 1464, 2646, 5291)),
    "U2PL's VOC": (VOC, 4, 4, (92, 183, 366, 662, 732, 1323, 1464, 2646, 5291)),
    "U2PL's Cityscapes": (CITYSCAPES, 8, 2, (100, 186, 372, 744, 1488)),
    "AugSeg's VOC": (VOC, 2, 8, (92, 183, 366, 662, 732, 1323, 1464, 2646, 5291)),
    "AugSeg's Cityscapes": (CITYSCAPES, 4, 4, (186, 372, 744, 1488)),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_an_epoch_has_the_steps_of_the_public_sampler_at_every_published_list(name: str) -> None:
    images, gpus, batch, labels = PUBLIC[name]
    asked = schedule(epochs=1, batch_size=gpus * batch, group_size=batch)
    for count in labels:
        assert in_iterations(asked, images - count).iterations == sampler(images - count, gpus, batch), count


@pytest.mark.parametrize(
    ("images", "batch", "labels", "steps"),
    [
        (VOC, 4, (92, 183, 366, 732, 1464), (655, 650, 638, 615, 570)),
        (CITYSCAPES, 2, (186, 372, 744, 1488), (349, 325, 279, 186)),
        (20210, 2, (316, 631, 1263, 2526, 5052), (2487, 2447, 2368, 2210, 1895)),
        (118287, 4, (232, 3697), (7378, 7162)),
    ],
)
def test_steps_an_epoch_that_public_logs_print(
    images: int, batch: int, labels: tuple[int, ...], steps: tuple[int, ...]
) -> None:
    """UniMatch V2 on 4 GPUs: VOC, Cityscapes, ADE20K and COCO."""
    asked = schedule(epochs=1, batch_size=4 * batch, group_size=batch)
    assert tuple(in_iterations(asked, images - count).iterations for count in labels) == steps


def test_a_schedule_in_iterations_stays_as_it_is() -> None:
    plain = schedule(iterations=100, warm_up=7)
    assert in_iterations(plain, 400) == plain


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 2, "iterations": 5}, "schedule.epochs=0 counts in iterations"),
        ({"iterations": 5, "warm_up": 2, "warm_up_epochs": 1}, "schedule.warm_up_epochs=0"),
        ({"iterations": 5, "ema_delay": 2, "ema_delay_epochs": 1}, "schedule.ema_delay_epochs=0"),
        ({}, "give schedule.iterations or schedule.epochs"),
        ({"epochs": 2, "batch_size": 600}, "make no batch of 600"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        in_iterations(schedule(**changes), 400)


def test_a_warm_up_of_lr_that_outlasts_the_training_is_refused(tmp_path: Path) -> None:
    """Of any method, and of a length in epochs, 8 steps."""
    fits = make(tmp_path, "supervised", iterations=8, warm_up=0, lr_warm_up=8)
    assert of_length(fits, 32).schedule.lr_warm_up == 8
    for plain in ({"iterations": 8}, {"iterations": 0, "epochs": 1}):
        config = make(tmp_path, "supervised", **{"warm_up": 0, "lr_warm_up": 9, **plain})
        with pytest.raises(UserError, match=r"lr_warm_up=9 is longer than schedule\.iterations=8: lr would never be"):
            of_length(config, 32)


def test_the_learning_rate_is_scaled_only_when_asked() -> None:
    assert in_iterations(schedule(iterations=5, batch_size=24), 400).lr == 0.001
    assert in_iterations(schedule(iterations=5, batch_size=24, lr_batch_size=24), 400).lr == 0.001
    found = in_iterations(schedule(iterations=5, batch_size=24, lr_batch_size=12, scale_lr=True), 400)
    assert found == schedule(iterations=5, batch_size=24, lr=0.002), "the same cell as with that lr"


def test_a_learning_rate_that_is_scaled_is_said_once_and_no_other_is(
    tmp_path: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaled(schedule(lr_batch_size=12, scale_lr=True)) == scaled(schedule()) == ""
    words = ["sweep=shapes", f"paths.data={generated}", f"paths.runs={tmp_path}", *SMALL_SHAPES, "data.split=1/5"]
    _, cells = grid([*words, "schedule.lr_batch_size=4", "schedule.scale_lr=true"])
    assert {cell.config.schedule.lr for cell in cells} == {0.2}
    said = "schedule.scale_lr=true: lr is 0.2 for the global batch of 8, since 0.1 is meant for one of 4.\n"
    assert capsys.readouterr().err == said
    grid(words)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lr_batch_size": 24}, "lr=0.001 is meant for a global batch of 24, and schedule.batch_size is 12: "
         "schedule.scale_lr=true makes it 0.0005, schedule.lr_batch_size=0 leaves it as it is"),
        ({"scale_lr": True}, "which global batch lr is meant for"),
        ({"optimizer": "adamw", "momentum": 0.8}, "momentum is 0.8, and adamw has no such setting: leave it at 0.9"),
        ({"lr_schedule": "cosine", "power": 1.0}, "power is 1, and cosine has no such setting: leave it at 0.9"),
    ],
)  # fmt: skip
def test_an_optimizers_settings_are_its_own_and_lr_that_of_the_batch(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_optimizer(schedule(iterations=5, **changes))


WORDS = ["data=shapes", "model=dinov2_small", "method=unimatch_v2"]
DINOV2 = {
    "voc_dinov2": (VOC, (16, 4, 0, 100_000), {92: 39300, 183: 39000, 366: 38280, 732: 36900, 1464: 34200}),
    "cityscapes_dinov2": (CITYSCAPES, (8, 2, 0.7, 200_000), {186: 62820, 372: 58500, 744: 50220, 1488: 33480}),
    "ade20k_dinov2": (20210, (8, 2, 0, 100_000), {316: 149220, 631: 146820, 1263: 142080, 2526: 132600, 5052: 113700}),
    "coco_dinov2": (118287, (16, 4, 0, 100_000), {232: 147560, 3697: 143240}),
}


@pytest.mark.parametrize("name", DINOV2)
def test_the_schedules_of_unimatch_v2_have_its_steps(loader: ConfigLoaderImpl, name: str) -> None:
    """The steps that the facts count for each list, global batch, group and OHEM, and the optimizer of all four."""
    made = compose.typed(compose.Composer(loader).compose([*WORDS, f"schedule={name}"])).schedule
    images, parts, steps = DINOV2[name]
    found = {labels: in_iterations(made, images - labels).iterations for labels in steps}
    assert found == steps
    assert (made.optimizer, made.lr, made.decoder_lr_factor, made.weight_decay) == ("adamw", 5e-6, 40, 0.01)
    assert (made.ema_decay, made.lr_schedule, made.power, made.warm_up) == (0.996, "poly", 0.9, 0)
    assert (made.batch_size, made.group_size, made.ohem_threshold, made.ohem_min_kept) == parts


AUGSEG = {
    "voc_augseg": (VOC, (16, 8, 0), (0.001, 10, 1e-4, 0.999), 80, {92: 655, 183: 650, 662: 620, 1464: 569}),
    "cityscapes_augseg": (CITYSCAPES, (16, 4, 0.7), (0.01, 1, 5e-4, 0.996), 240, {186: 174, 372: 162, 744: 139}),
}


@pytest.mark.parametrize("name", AUGSEG)
def test_the_schedules_of_augseg_have_its_figures(loader: ConfigLoaderImpl, name: str) -> None:
    """Global batch, group and OHEM; SGD; epochs of so many steps, the first of which the teacher is a copy through."""
    config = compose.typed(compose.Composer(loader).compose(["data=shapes", "model=tiny", f"schedule={name}"]))
    made = config.schedule
    images, parts, rates, epochs, steps = AUGSEG[name]
    for labels, count in steps.items():
        found = in_iterations(made, images - labels)
        assert (found.iterations, found.ema_delay, found.warm_up) == (epochs * count, count, 0), labels
    assert (made.optimizer, made.momentum, made.lr_schedule, made.power) == ("sgd", 0.9, "poly", 0.9)
    assert (made.lr, made.decoder_lr_factor, made.weight_decay, made.ema_decay) == rates
    assert (made.batch_size, made.group_size, made.ohem_threshold) == parts
    assert (made.ohem_min_kept, made.lr_batch_size) == (100_000, 16)
    city = name == "cityscapes_augseg"
    assert config.evaluation.protocol == ("sliding_window" if city else "original_size")
    assert not city or (config.data.crop_size, config.evaluation.window_mean) == (800, "probabilities")


@pytest.mark.parametrize(
    ("name", "parts", "rates", "epochs", "steps"),
    [
        ("voc_u2pl", (16, 4, 0), (0.001, 10, 1e-4, 0.99), 80, {92: 655, 183: 650, 1464: 570}),
        ("cityscapes_u2pl", (16, 2, 0.7), (0.01, 1, 5e-4, 0.99), 200, {186: 174, 372: 163, 744: 139}),
    ],
)
def test_the_schedules_of_u2pl_have_its_figures_and_its_method_their_epochs(
    loader: ConfigLoaderImpl, name: str, parts: tuple[Any, ...], rates: tuple[Any, ...], epochs: int, steps: Any
) -> None:
    """Another batch is refused, unless lr follows it: 0.0005 on 2 GPUs of VOC (its issue 43)."""
    words = ["data=shapes", "model=tiny", "method=u2pl", f"schedule={name}"]
    config = compose.typed(compose.Composer(loader).compose(words))
    config = changed(config, {"model.auxiliary": False})
    made = config.schedule
    assert (made.batch_size, made.group_size, made.ohem_threshold) == parts
    assert (made.lr, made.decoder_lr_factor, made.weight_decay, made.ema_decay) == rates
    for labels, count in steps.items():
        found = of_length(config, (VOC if "voc" in name else CITYSCAPES) - labels)
        assert (found.schedule.iterations, found.schedule.ema_delay) == (epochs * count, count), labels
        assert found.method == replace(config.method, epochs=epochs)  # type: ignore[call-arg]
        assert of_length(found, 1000) == found, "frozen"
    other = changed(config, {"schedule.epochs": 7})
    assert of_length(other, 1000).method == replace(config.method, epochs=7)  # type: ignore[call-arg]
    given = changed(other, {"method.epochs": 9})
    assert of_length(given, 1000).method == given.method, "what is given stays"
    smaller = changed(made, {"batch_size": 8})
    with pytest.raises(UserError, match=f"scale_lr=true makes it {made.lr / 2:g}"):
        check_optimizer(smaller)


def test_a_method_counts_no_epochs_in_a_schedule_without(tmp_path: Path) -> None:
    config = make(tmp_path, "u2pl")
    assert of_length(config, 32).method == config.method
    assert asdict(config.method)["epochs"] == 0


def test_augseg_on_cityscapes_says_what_its_code_has_there(loader: ConfigLoaderImpl) -> None:
    """Of any schedule; the rows that have it are not spoken of, nor is another data set."""

    def remark(method: str, data: str = "cityscapes", *more: str) -> str:
        words = [f"data={data}", "model=tiny", f"method={method}", "schedule=cityscapes_augseg", *more]
        config = compose.typed(compose.Composer(loader).compose(words))
        return config.method.remark(config.data)

    said = (
        "method=augseg on cityscapes has threshold 0.95 and teacher_decay 0.999; AugSeg's code has no threshold and "
        "0.996 there: method=augseg_cityscapes, or augseg_as_code_cityscapes."
    )
    assert remark("augseg") == remark("augseg_as_code") == remark("augseg", "cityscapes_trainids") == said
    assert "threshold 0 and teacher_decay 0.999" in remark("augseg", "cityscapes", "method.threshold=0")
    fitting = ["augseg_cityscapes", "augseg_as_code_cityscapes", "gta_cityscapes", "supervised"]
    assert not any(remark(method) for method in fitting)
    assert not remark("augseg", "voc_classic")


def test_a_remark_is_said_once_before_a_grid(
    tmp_path: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep=shapes", f"paths.data={generated}", f"paths.runs={tmp_path}", *SMALL_SHAPES, "data.split=1/5"]
    grid([*words, "method=augseg,gta", "seed=0,1", "data.name=cityscapes"])
    assert capsys.readouterr().err.count("method=augseg on cityscapes has threshold 0.95") == 1


def test_a_cell_freezes_iterations_and_epochs_are_the_same_cell(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 training images, 8 of them labeled: an epoch is ceil(32 / 4) // 3 = 2 steps."""
    monkeypatch.chdir(tmp_path)
    words = [*SMALL_SHAPES, f"paths.data={generated}", "data.split=1/5", "schedule=voc"]
    _, (in_epochs,) = grid(words)
    assert (in_epochs.config.schedule.iterations, in_epochs.config.schedule.warm_up) == (160, 2)
    in_steps = ["schedule.epochs=0", "schedule.warm_up_epochs=0", "schedule.iterations=160", "schedule.warm_up=2"]
    _, (plain,) = grid([*words, *in_steps])
    assert plain.signature == in_epochs.signature
    with pytest.raises(UserError, match=r"schedule\.epochs=80 and schedule\.iterations=9 are both set"):
        grid([*words, "schedule.iterations=9"])


def test_a_prepared_cell_trains_so_many_iterations(tmp_path: Path) -> None:
    """Without a grid: 40 images, 8 labeled, batches of 4, so 8 steps an epoch."""
    config = make(tmp_path, "supervised", iterations=0, warm_up=0, epochs=1)
    cell = Cell.prepare(changed(config, {"paths.runs": str(tmp_path)}), {})
    assert train(cell)
    assert json.loads(cell.folder.result_file.read_text())["iteration"] == 8


def test_the_cityscapes_schedule_is_the_published_one(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2 + 2 on 8 GPUs, lr 0.01, weight decay 5e-4, OHEM 0.7 / 100,000, auxiliary 0.4, EMA 0.99, sliding window."""
    monkeypatch.chdir(tmp_path)
    words = [*SMALL_SHAPES, f"paths.data={generated}", "data.split=1/5", "schedule=cityscapes"]
    _, (cell,) = grid([*words, "method=supervised"])
    found = cell.config.schedule
    assert (found.batch_size, found.group_size, found.lr, found.decoder_lr_factor) == (16, 2, 0.01, 1.0)
    assert (found.weight_decay, found.ema_decay, found.auxiliary_weight, found.power) == (5e-4, 0.99, 0.4, 0.9)
    assert (found.ohem_threshold, found.ohem_min_kept) == (0.7, 100_000)
    assert (found.iterations, found.warm_up) == (200 * (32 // 16), 0)
    assert cell.config.model.auxiliary
    assert cell.config.evaluation.protocol == "sliding_window"
    assert cell.config.evaluation.stride == pytest.approx(2 / 3)
    _, (whole,) = grid([*words, "method=supervised", "evaluation.protocol=original_size"])
    assert whole.config.evaluation.protocol == "original_size"
    assert whole.signature != cell.signature, "another protocol is another number"
