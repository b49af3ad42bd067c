"""The loop: a resumed run is the uninterrupted one, a foreign checkpoint is refused, results come last."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gta.cellfolder import CellFolder
from gta.data.splits.split import load_split
from gta.errors import Diverged, UserError
from gta.ops.distributed import Agreement
from gta.train import checkpoint
from gta.train.control import Control
from gta.train.run import build_method
from gta.train.trainer import Trainer
from tests.helpers.configs import changed
from tests.helpers.tracked import evaluated
from tests.helpers.training import DieAfter, StopAfter, cell_in, make, points, result, train_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trainer")


@pytest.mark.parametrize("method", ["supervised", "gta"])
@pytest.mark.slow
def test_stopped_and_killed_runs_become_the_undisturbed_one(folder: Path, tmp_path: Path, method: str) -> None:
    config = make(folder, method)
    assert train_in(tmp_path / "whole", config)

    stopped = tmp_path / "stopped"
    for _ in range(2):  # stopped in the warm-up, and after it
        assert not train_in(stopped, config, control=StopAfter(3))
        assert not (stopped / "result.json").exists()
    assert train_in(stopped, config)

    killed = tmp_path / "killed"
    for steps in (5, 4):
        (killed / ".checkpoint.pt.123-0a1b2c3d.tmp").parent.mkdir(exist_ok=True)
        (killed / ".checkpoint.pt.123-0a1b2c3d.tmp").write_text("what a kill in the middle of a save leaves")
        with pytest.raises(KeyboardInterrupt):
            train_in(killed, config, control=DieAfter(steps))
    assert train_in(killed, config)

    assert not list(killed.glob(".*"))
    for cell in (stopped, killed):
        assert points(cell) == points(tmp_path / "whole")
        assert result(cell)["networks"] == result(tmp_path / "whole")["networks"]
        mine, whole = (checkpoint.load(path / "checkpoint.pt")["method"] for path in (cell, tmp_path / "whole"))
        for name, network in whole["networks"].items():
            for key, value in network.items():
                assert torch.equal(mine["networks"][name][key], value), f"{name}.{key}"


@pytest.mark.parametrize("torn", [b"", b'{"time": 1.0, "kind": "metr'])
@pytest.mark.slow
def test_a_machine_that_loses_power_loses_no_value(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: bytes
) -> None:
    """Of the journal is left what the kernel was made to write, and a piece of a line: the rest is made again."""
    config = make(folder, "supervised")
    assert train_in(tmp_path / "whole", config)

    cell = tmp_path / "cut"
    written: list[tuple[str, int]] = []  # name and size of what reached the disk
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        written.append((path.name, path.stat().st_size))

    monkeypatch.setattr(os, "fsync", recorded)
    for steps in (5, 4):
        with pytest.raises(KeyboardInterrupt):
            train_in(cell, config, control=DieAfter(steps))
        kept = max(size for name, size in written if name == "journal.jsonl")
        lost = (cell / "journal.jsonl").read_bytes()
        assert 0 < kept < len(lost)
        (cell / "journal.jsonl").write_bytes(lost[:kept] + torn)
    assert train_in(cell, config)
    assert points(cell) == points(tmp_path / "whole")

    names = [re.sub(r"^\.(.*)\.\d+-\w+\.tmp$", r"\1", name) for name, _ in written]
    order = [name for name in names if name in ("journal.jsonl", "checkpoint.pt", "result.json")]
    saves = [order[at - 1] for at, name in enumerate(order) if name != "journal.jsonl"]
    assert len(saves) == 6
    assert set(saves) == {"journal.jsonl"}, "the journal comes before each"
    assert names.count("cut") >= 5, "and the folder's entries"


def test_two_runs_of_one_config_give_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    for name in "ab":
        train_in(tmp_path / name, make(folder))
    assert points(tmp_path / "a") == points(tmp_path / "b")


@pytest.mark.slow
def test_what_another_training_scored_is_forgotten_where_one_begins_anew(folder: Path, tmp_path: Path) -> None:
    cell = CellFolder(tmp_path)
    assert not train_in(tmp_path, make(folder), "one", StopAfter(2))
    evaluated(tmp_path)
    train_in(tmp_path, make(folder), "one")
    assert len(list(cell.evaluations_folder.iterdir())) == 2, "it went on"
    cell.checkpoint_file.unlink()
    cell.result_file.unlink()
    train_in(tmp_path, make(folder), "one")
    assert list(cell.evaluations_folder.iterdir()) == []


def test_last_is_the_headline_and_best_is_kept(folder: Path, tmp_path: Path) -> None:
    train_in(tmp_path, make(folder, iterations=8, eval_every=2))
    found = result(tmp_path)
    series = {i: v for (name, i), v in points(tmp_path).items() if name == "val/teacher/miou"}
    assert found["headline"] == "teacher"
    assert found["networks"]["teacher"]["last"]["miou"] == series[8]
    assert found["networks"]["teacher"]["best"]["miou"] == max(series.values())
    best = checkpoint.load(tmp_path / "best.pt")
    assert best["iteration"] == found["networks"]["teacher"]["best"]["iteration"]
    assert found["evaluation"] == "original size"


def test_a_checkpoint_of_another_cell_or_model_is_refused(folder: Path, tmp_path: Path) -> None:
    assert not train_in(tmp_path, make(folder), "one", StopAfter(2))
    with pytest.raises(UserError, match="belongs to the cell one, not to another"):
        train_in(tmp_path, make(folder), "another")
    other = changed(make(folder), {"model.width": 8})
    with pytest.raises(UserError, match="another model"):
        train_in(tmp_path, other, "one")
    assert not (tmp_path / "result.json").exists()


def test_a_damaged_checkpoint_is_named(folder: Path, tmp_path: Path) -> None:
    train_in(tmp_path, make(folder), control=StopAfter(2))
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"checkpoint.pt cannot be read"):
        train_in(tmp_path, make(folder))


def test_a_checkpoint_executes_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"format": 1, "signature": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="cannot be read"):
        checkpoint.load(tmp_path / "evil.pt")
    assert not (tmp_path / "executed").exists()


def test_a_loss_that_is_not_finite_fails_the_cell(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        Diverged, match=r"iteration \d+, learning rate \d+: loss/supervised is (nan|inf), not finite: student"
    ):
        train_in(tmp_path, make(folder, lr=1000, decoder_lr_factor=10_000, weight_decay=1))
    assert not (tmp_path / "result.json").exists()


def test_who_lost_the_cell_writes_nothing(folder: Path, tmp_path: Path) -> None:
    class Lost(Control):
        def check(self) -> None:
            raise RuntimeError("another attempt has the cell")

    with pytest.raises(RuntimeError, match="another attempt"):
        train_in(tmp_path, make(folder), control=Lost())
    assert not (tmp_path / "checkpoint.pt").exists()
    assert not (tmp_path / "result.json").exists()


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
        mine = replace(cell_in(tmp_path / name, cell), lists=split)
        Trainer(mine, build_method(cell, device), device, Control()).run()
        found[name] = result(tmp_path / name)["networks"], points(tmp_path / name)
    assert found["full"] == found["union"]
    assert found["full"] != found["few"]


def test_two_students_are_both_scored(folder: Path, tmp_path: Path) -> None:
    train_in(tmp_path, make(folder, "cps"))
    found = result(tmp_path)
    assert found["headline"] == "student"
    assert set(found["networks"]) == {"student", "student2"}


def test_unimatch_trains_on_two_strong_views(folder: Path, tmp_path: Path) -> None:
    train_in(tmp_path, make(folder, "unimatch"))
    assert set(result(tmp_path)["networks"]) == {"student"}
    assert ("loss/unsupervised", 10) in points(tmp_path)


@pytest.mark.slow
def test_ranks_wait_for_each_others_word_before_a_step_that_is_followed_by_an_evaluation(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[bool] = []

    def highest(self: Agreement, value: int, now: bool) -> int:
        waited.append(now)
        return value

    monkeypatch.setattr(Agreement, "highest", highest)
    config = make(folder, "supervised", iterations=5, warm_up=0, eval_every=3, checkpoint_every=5)
    assert train_in(tmp_path / "cell", config)
    assert waited[:4] == [False, True, False, True], "evaluated after steps 3 and 5"
