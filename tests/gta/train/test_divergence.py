"""No checkpoint and no score of a network that is not finite; the sentence says where, and what to go on from."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import pytest
import torch

from gta import journal
from gta.cellfolder import CellFolder, Death
from gta.cli.main import main
from gta.config import Config
from gta.data.splits.split import load_split
from gta.errors import Diverged, UserError
from gta.journal import Journal
from gta.methods import METHODS
from gta.ops.finite import not_finite, tensors_in
from gta.train import checkpoint, divergence
from gta.train import order as training_order
from gta.train.evaluate import confusion_matrices
from gta.train.run import build_method, load_network
from launch.state import order
from tests.helpers.configs import changed
from tests.helpers.program import SMALL_SCHEDULE, SMALL_SHAPES
from tests.helpers.training import StopAfter, make, points, result, train_in

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
        "`gta retry --new-order` goes on from it with other batches; a lower schedule.lr is another cell."
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


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_an_optimizer_whose_state_alone_is_not_finite_is_named(folder: Path, optimizer: str) -> None:
    """AdamW has no momentum that a user could look for."""
    method: Any = build_method(make(folder, "supervised", optimizer=optimizer), torch.device("cpu"))
    own = method.optimizers["student"]
    for group in own.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    own.step()
    assert divergence.of_state(method) == ""
    for kept in own.state.values():
        kept["momentum_buffer" if optimizer == "sgd" else "exp_avg"].fill_(NAN)
    assert divergence.of_state(method) == "the optimizer's state of the student"


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
    kinds = {"wide": torch.tensor([1e300], dtype=torch.float64), "half": torch.ones(2, dtype=torch.bfloat16)}
    assert not_finite({**kinds, "empty": torch.ones(0), "scalar": torch.tensor(-3e38)}) == []
    for number in (NAN, float("inf"), -float("inf")):
        assert not_finite({**kinds, "last": torch.tensor([0.0, 1.0, number])}) == ["last"]


def test_a_cell_goes_on_with_other_batches_when_that_is_asked_for_and_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(folder, "gta", eval_every=5)
    assert train_in(tmp_path / "whole", config)

    def diverge(name: str) -> CellFolder:
        with monkeypatch.context() as within:
            poison(within, config, "student", 6)
            with pytest.raises(Diverged):
                train_in(tmp_path / name, config)
        return CellFolder(tmp_path / name)

    plain = diverge("plain")
    assert plain.best_file.exists(), "of iteration 5, and the checkpoint is of 3"
    assert train_in(plain.path, config)
    assert points(plain.path) == points(tmp_path / "whole"), "by itself it is the same run"
    assert result(plain.path)["orders"] == []

    asked = diverge("asked")
    order.ask(asked)
    assert train_in(asked.path, config)
    (said,) = result(asked.path)["orders"]
    assert (said["number"], said["iteration"], said["by"]) == (1, 3, getpass.getuser())
    mine, first = points(asked.path), points(tmp_path / "whole")
    same_ones = {key for key in first if mine[key] == first[key]}
    losses = {key for key in first if key[0] == "loss/supervised"}
    assert losses & same_ones == {("loss/supervised", iteration) for iteration in (1, 2, 3)}
    best = checkpoint.load(asked.best_file)["iteration"] if asked.best_file.exists() else None
    assert best in (None, result(asked.path)["networks"]["teacher"]["best"]["iteration"])
    events = {record["event"]: record for record in journal.read(asked.journal_file) if record["kind"] == "event"}
    assert events["new order"]["iteration"] == events["cut back"]["iteration"] == 3
    assert events["new order"]["best_forgotten"] is True

    again = diverge("again")
    order.ask(again)
    assert not train_in(again.path, config, control=StopAfter(2))  # saved at 5, and the checkpoint before is of 3
    again.checkpoint_file.write_bytes(again.checkpoint_file.read_bytes()[:-1])
    assert not train_in(again.path, config, control=StopAfter(4))
    again.order_file.unlink()  # the checkpoint remembers
    assert train_in(again.path, config)
    assert points(again.path) == mine, "stopped, and gone on from an earlier checkpoint, it is the same run bit for bit"
    assert result(again.path)["networks"] == result(asked.path)["networks"]


@pytest.mark.parametrize("dies_at", ["forget_best", "new order", "cut back", "keep"])
def test_a_kill_while_the_new_order_begins_loses_nothing_of_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """Whatever it cuts off is done again: no best weights and no points of the batches that were given up are left."""
    config = make(folder, "supervised", iterations=7, eval_every=5)
    with monkeypatch.context() as within:
        poison(within, config, "student", 6)
        with pytest.raises(Diverged):
            train_in(tmp_path, config)
    cell = CellFolder(tmp_path)
    assert checkpoint.load(cell.best_file)["iteration"] == 5, "the checkpoint is of 3"
    order.ask(cell)
    event = Journal.event

    def dying(self: Journal, name: str, **fields: Any) -> None:
        if name == dies_at:
            raise KeyboardInterrupt
        event(self, name, **fields)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as within:
        within.setattr(Journal, "event", dying)
        if hasattr(training_order, dies_at):
            within.setattr(training_order, dies_at, dies)
        with pytest.raises(KeyboardInterrupt):
            train_in(tmp_path, config)
    assert not train_in(tmp_path, config, control=StopAfter(1))
    counting = journal.counted(journal.read(cell.journal_file))
    assert [record["iteration"] for record in counting] == [1, 2, 3, 4]
    assert not cell.best_file.exists()
    assert [one.iteration for one in cell.orders()] == [3]


def test_a_cell_without_a_checkpoint_begins_again_with_other_batches(folder: Path, tmp_path: Path) -> None:
    config = make(folder, "supervised", iterations=4)
    assert train_in(tmp_path / "whole", config)
    with pytest.raises(Diverged, match=r"there is no checkpoint yet\. .* begins again with other batches"):
        train_in(
            tmp_path / "cell",
            changed(config, {"schedule.lr": 1000, "schedule.decoder_lr_factor": 10_000, "schedule.weight_decay": 1}),
        )
    order.ask(CellFolder(tmp_path / "cell"))
    assert train_in(tmp_path / "cell", config)
    mine, whole = points(tmp_path / "cell"), points(tmp_path / "whole")
    assert not [key for key in whole if key[0] == "loss/supervised" and mine[key] == whole[key]]


@pytest.mark.slow
def test_train_says_it_in_one_sentence(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    method: Any = METHODS["supervised"]
    step = method.step

    def nan(self: Any, *given: Any) -> dict[str, torch.Tensor]:
        return {name: value * NAN for name, value in step(self, *given).items()}

    monkeypatch.setattr(method, "step", nan)
    words = [*SMALL_SHAPES, *SMALL_SCHEDULE, f"paths.data={generated}", "data.split=1/5", "method=supervised"]
    assert main(["train", *words]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: Diverged at iteration 2, learning rate ")
    assert "loss/supervised is nan, all networks are finite; there is no checkpoint yet." in said
    assert said.count("\n") == 1, "no stack trace"
    (cell,) = (CellFolder(path) for path in (tmp_path / "runs/cells").iterdir())
    failure = cell.last_failure()
    assert failure is not None
    assert (failure.cause, failure.error) == (Death.DIVERGED, said.removeprefix("error: ").strip())
    last = cell.latest_attempt()
    assert last is not None
    assert (last.ended, last.why, last.error) == ("failed", "diverged", failure.error), "what repair makes it from"
