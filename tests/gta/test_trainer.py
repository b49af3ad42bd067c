"""The loop: a resumed run is the uninterrupted one, a foreign checkpoint is refused, results come last."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gta import checkpoint, journal
from gta.config import (
    AugmentConfig,
    Config,
    DataConfig,
    ModelConfig,
    PathsConfig,
    ScheduleConfig,
    ShapesConfig,
    SiteConfig,
)
from gta.control import Control, Wish
from gta.data.prepare import prepare
from gta.data.splits import load_split
from gta.errors import UserError
from gta.methods import METHODS
from gta.train import build_method, train
from gta.trainer import Trainer, step_seed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trainer")


def make(folder: Path, method: str = "gta", **schedule: Any) -> Config:
    """A cell that trains in a second, with dropout and augmentation on."""
    data = DataConfig(
        name="shapes",
        root=str(folder / "shapes"),
        classes=["background", "red", "green", "cyan", "violet"],
        split="1/5",
        split_dir=str(folder / "splits"),
        crop_size=32,
        augment=AugmentConfig(),
        generator=ShapesConfig(train=40, val=5),
    )
    times = {
        "iterations": 10,
        "warm_up": 4,
        "eval_every": 5,
        "checkpoint_every": 3,
        "log_every": 1,
        "lr": 0.05,
        **schedule,
    }
    config = Config(
        method=METHODS[method].Config(),
        data=data,
        model=ModelConfig(encoder="tiny", width=4, decoder_channels=8, output_stride=8, weights="random"),
        schedule=ScheduleConfig(batch_size=4, group_size=2, ema_decay=0.9, **times),
        site=SiteConfig(workers=0, device="cpu"),
        paths=PathsConfig(),
    )
    prepare(config.data)
    return config


class StopAfter(Control):
    """Asks to stop at the end of the n-th step."""

    def __init__(self, steps: int):
        self.left = steps

    def wish(self) -> Wish:
        self.left -= 1
        return Wish.STOP if self.left <= 0 else Wish.NONE


class DieAfter(Control):
    """Stands for a kill -9: leaves within the n-th step, with nothing saved of it."""

    def __init__(self, steps: int):
        self.left = steps

    def wish(self) -> Wish:
        self.left -= 1
        if self.left <= 0:
            raise KeyboardInterrupt
        return Wish.NONE


def points(cell: Path) -> dict[tuple[str, int], float]:
    """Every metric but times and the machine's, the first occurrence of each, as MLflow will have it."""
    found: dict[tuple[str, int], float] = {}
    for record in journal.read(cell / "journal.jsonl"):
        if record["kind"] == "metrics":
            for name, value in record["values"].items():
                found.setdefault((name, record["iteration"]), value)
    return {key: value for key, value in found.items() if key[0] != "seconds" and not key[0].startswith("system/")}


def result(cell: Path) -> dict[str, Any]:
    return json.loads((cell / "result.json").read_text())


@pytest.mark.parametrize("method", ["supervised", "gta"])
def test_stopped_and_killed_runs_become_the_undisturbed_one(folder: Path, tmp_path: Path, method: str) -> None:
    config = make(folder, method)
    assert train(config, tmp_path / "whole", "sig")

    stopped = tmp_path / "stopped"
    for _ in range(2):  # stopped in the warm-up, and after it
        assert not train(config, stopped, "sig", StopAfter(3))
        assert not (stopped / "result.json").exists()
    assert train(config, stopped, "sig")

    killed = tmp_path / "killed"
    for steps in (5, 4):
        with pytest.raises(KeyboardInterrupt):
            train(config, killed, "sig", DieAfter(steps))
    assert train(config, killed, "sig")

    for cell in (stopped, killed):
        assert points(cell) == points(tmp_path / "whole")
        assert result(cell)["networks"] == result(tmp_path / "whole")["networks"]
        mine, whole = (checkpoint.load(path / "checkpoint.pt")["method"] for path in (cell, tmp_path / "whole"))
        for name, network in whole["networks"].items():
            for key, value in network.items():
                assert torch.equal(mine["networks"][name][key], value), f"{name}.{key}"


def test_two_runs_of_one_config_give_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    for name in "ab":
        train(make(folder), tmp_path / name, "sig")
    assert points(tmp_path / "a") == points(tmp_path / "b")


def test_last_is_the_headline_and_best_is_kept(folder: Path, tmp_path: Path) -> None:
    train(make(folder, iterations=8, eval_every=2), tmp_path, "sig")
    found = result(tmp_path)
    series = {i: v for (name, i), v in points(tmp_path).items() if name == "val/teacher/miou"}
    assert found["headline"] == "teacher"
    assert found["networks"]["teacher"]["last"]["miou"] == series[8]
    assert found["networks"]["teacher"]["best"]["miou"] == max(series.values())
    best = checkpoint.load(tmp_path / "best.pt")
    assert best["iteration"] == found["networks"]["teacher"]["best"]["iteration"]
    assert found["evaluation"] == "original size"


def test_a_checkpoint_of_another_cell_or_model_is_refused(folder: Path, tmp_path: Path) -> None:
    assert not train(make(folder), tmp_path, "one", StopAfter(2))
    with pytest.raises(UserError, match="belongs to the cell one, not to another"):
        train(make(folder), tmp_path, "another")
    other = make(folder)
    other.model.width = 8
    with pytest.raises(UserError, match="another model"):
        train(other, tmp_path, "one")
    assert not (tmp_path / "result.json").exists()


def test_a_damaged_checkpoint_is_named(folder: Path, tmp_path: Path) -> None:
    train(make(folder), tmp_path, "sig", StopAfter(2))
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"checkpoint.pt cannot be read"):
        train(make(folder), tmp_path, "sig")


def test_a_checkpoint_executes_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"format": 1, "signature": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="cannot be read"):
        checkpoint.load(tmp_path / "evil.pt")
    assert not (tmp_path / "executed").exists()


def test_a_loss_that_is_not_finite_fails_the_cell(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"loss.*iteration.*schedule.lr"):
        train(make(folder, lr=1e30), tmp_path, "sig")
    assert not (tmp_path / "result.json").exists()


def test_who_lost_the_cell_writes_nothing(folder: Path, tmp_path: Path) -> None:
    class Lost(Control):
        def check(self) -> None:
            raise RuntimeError("another attempt has the cell")

    with pytest.raises(RuntimeError, match="another attempt"):
        train(make(folder), tmp_path, "sig", Lost())
    assert not (tmp_path / "checkpoint.pt").exists()
    assert not (tmp_path / "result.json").exists()


def test_step_seeds_differ() -> None:
    seeds = {step_seed(seed, iteration, rank) for seed in range(3) for iteration in range(5) for rank in range(3)}
    assert len(seeds) == 45


def test_fully_supervised_is_supervised_training_on_all_labels(folder: Path, tmp_path: Path) -> None:
    """Equal to `supervised` on lists that call every image labeled; and not to it on the split's own list."""
    config = make(folder, "fully_supervised")
    own = load_split(config.data)
    union = replace(own, labeled=own.labeled + own.unlabeled)
    found = {}
    for name, method, split in (
        ("full", "fully_supervised", own),
        ("union", "supervised", union),
        ("few", "supervised", own),
    ):
        cell = make(folder, method)
        device = torch.device("cpu")
        Trainer(cell, tmp_path / name, "sig", split, build_method(cell, device), device, Control()).run()
        found[name] = result(tmp_path / name)["networks"], points(tmp_path / name)
    assert found["full"] == found["union"]
    assert found["full"] != found["few"]


def test_two_students_are_both_scored(folder: Path, tmp_path: Path) -> None:
    train(make(folder, "cps"), tmp_path, "sig")
    found = result(tmp_path)
    assert found["headline"] == "student"
    assert set(found["networks"]) == {"student", "student2"}


def test_unimatch_trains_on_two_strong_views(folder: Path, tmp_path: Path) -> None:
    train(make(folder, "unimatch"), tmp_path, "sig")
    assert set(result(tmp_path)["networks"]) == {"student"}
    assert ("loss/unsupervised", 10) in points(tmp_path)
