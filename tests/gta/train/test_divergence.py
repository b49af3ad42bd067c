"""No checkpoint and no score of a network that is not finite; the sentence says where, and what to go on from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gta import journal
from gta.cellfolder import CellFolder
from gta.config import Config
from gta.data.splits.split import load_split
from gta.errors import Diverged, UserError
from gta.methods import METHODS
from gta.ops.finite import not_finite, tensors_in
from gta.train import checkpoint
from gta.train.evaluate import confusion_matrices
from gta.train.run import build_method, load_network
from tests.helpers.training import make, train_in

NAN = float("nan")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("divergence")


def poison(monkeypatch: pytest.MonkeyPatch, config: Config, network: str, iteration: int, loss: bool = False) -> None:
    """One number of one network is NaN after the step of that iteration (from 1); its loss looks well, or not."""
    method: Any = METHODS[config.method.name]
    step = method.step

    def poisoned(self: Any, labeled: Any, unlabeled: Any, number: int) -> dict[str, torch.Tensor]:
        values: dict[str, torch.Tensor] = step(self, labeled, unlabeled, number)
        if number + 1 == iteration:
            with torch.no_grad():
                next(iter(self.models[network].parameters())).view(-1)[0] = NAN
            if loss:
                values["loss/supervised"] = torch.tensor(NAN)
        return values

    monkeypatch.setattr(method, "step", poisoned)


def test_a_checkpoint_below_the_log_is_not_written_of_nan(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is looked at every 20 iterations, a checkpoint is due at 6: what is on disk is that of 3, and good."""
    config = make(folder, "supervised", log_every=20, eval_every=20)
    with monkeypatch.context() as within:
        poison(within, config, "student", 6)
        with pytest.raises(Diverged) as told:
            train_in(tmp_path, config)
    assert str(told.value) == (
        "Diverged at iteration 6, learning rate 0.0268: not finite: student "
        "(feature_extractor.encoder.stage1.0.weight); the last good checkpoint is of iteration 3. "
        "A lower schedule.lr is another cell."
    )
    cell = CellFolder(tmp_path)
    assert checkpoint.load(cell.checkpoint_file)["iteration"] == 3
    assert train_in(tmp_path, config), "the cell is not broken for good"


def test_a_checkpoint_is_looked_at_whole(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The assistant is not scored, and goes on all the same."""
    config = make(folder, "gta", log_every=20, eval_every=20)
    poison(monkeypatch, config, "assistant", 6)
    with pytest.raises(Diverged, match=r"at iteration 6, .*not finite: assistant .*of iteration 3\."):
        train_in(tmp_path, config)
    assert checkpoint.load(tmp_path / "checkpoint.pt")["iteration"] == 3


def test_a_teacher_that_alone_is_not_finite_makes_no_score(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(folder, "mean_teacher", warm_up=2, checkpoint_every=4, log_every=20)
    poison(monkeypatch, config, "teacher", 5)
    with pytest.raises(Diverged, match=r"at iteration 5, .*not finite: teacher .*of iteration 4\."):
        train_in(tmp_path, config)
    assert not (tmp_path / "result.json").exists()
    written = [record for record in journal.read(tmp_path / "journal.jsonl") if record["kind"] == "metrics"]
    assert not [name for record in written for name in record["values"] if name.startswith("val/")]


def test_scores_that_overflow_are_no_class(folder: Path) -> None:
    """The network's numbers are finite and its scores are not: NaN's argmax would be a class like any other."""
    config, cpu = make(folder, "supervised"), torch.device("cpu")
    network: Any = build_method(config, cpu).networks()["student"]
    with torch.no_grad():
        for parameter in network.mask_predictor.parameters():
            parameter.fill_(3e38)
    assert not not_finite(network.state_dict())
    with pytest.raises(Diverged, match=r"scores of the student are not finite on 5 of 5 images"):
        confusion_matrices({"student": network}, config, load_split(config.data).val, cpu)


def test_a_trained_network_that_is_not_finite_predicts_nothing(folder: Path, tmp_path: Path) -> None:
    config = make(folder, "supervised", iterations=2)
    assert train_in(tmp_path, config, tmp_path.name)
    cell = CellFolder(tmp_path)
    for path, key in ((cell.checkpoint_file, "last"), (cell.best_file, "best")):
        state = checkpoint.load(path)
        weights = state["model"] if key == "best" else state["method"]["networks"]["student"]
        next(iter(weights.values())).view(-1)[0] = NAN
        checkpoint.save(path, state)
        with pytest.raises(UserError, match=r"the student is not finite \(feature_extractor"):
            load_network(config, cell, torch.device("cpu"), which=key)


def test_finite_is_asked_of_every_floating_tensor() -> None:
    state = {"a": torch.zeros(2), "n": torch.tensor(3), "deep": [{"b": torch.tensor([1.0, float("inf")])}], "t": "x"}
    assert not_finite(dict(tensors_in(state))) == ["deep.0.b"]
    assert not_finite({"n": torch.tensor(3)}) == []
