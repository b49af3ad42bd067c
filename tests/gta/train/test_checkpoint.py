"""A checkpoint that is not what was written is found out and named, and the one before it goes on bit for bit."""

from __future__ import annotations

import os
import pickle
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from gta import journal
from gta.cellfolder import CellFolder
from gta.errors import UserError
from gta.train import checkpoint
from gta.train.run import build_method, load_network
from tests.helpers.method_contract import same
from tests.helpers.training import StopAfter, make, points, result, train_in

FLIPS = 1500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoint")


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def state_of(seed: int = 0) -> dict[str, Any]:
    torch.manual_seed(seed)
    return {
        "signature": "sig",
        "iteration": 3,
        "method": {"networks": {"student": {"a.weight": torch.rand(8, 4), "n": torch.tensor(5)}}},
        "best": {"student": {"miou": 50.25}},
    }


def test_no_flipped_bit_loads_as_other_contents(tmp_path: Path) -> None:
    path, state = tmp_path / "checkpoint.pt", state_of()
    checkpoint.save(path, state)
    whole = path.read_bytes()
    draw = random.Random(14)
    bits = draw.sample(range(8 * len(whole)), FLIPS)
    bits += range(8 * len(whole) - 8 * 130, 8 * len(whole), 5)  # and the checksum's own line
    refused = 0
    for bit in bits:
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            found = checkpoint.load(path)
        except UserError:
            refused += 1
        else:
            assert same({name: found[name] for name in state}, state)
    assert refused == len(bits)


@pytest.mark.parametrize("method", ["supervised", "gta", "cps", "unimatch_v2"])
@pytest.mark.slow
def test_a_run_goes_on_from_the_checkpoint_before_a_broken_one_bit_for_bit(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    config = make(folder, method)
    assert train_in(tmp_path / "whole", config)
    cell = CellFolder(tmp_path / "cell")
    assert not train_in(cell.path, config, control=StopAfter(8))  # saved at 6, and at the end
    flip(cell.checkpoint_file, 8 * 3000 + 1)
    with open(cell.journal_file, "a") as lines:  # what the broken machine wrote of the iterations that do not count
        lines.write('{"time": 1.0, "kind": "metrics", "iteration": 9, "values": {"loss/supervised": 123.0}}\n')
    capsys.readouterr()

    assert train_in(cell.path, config)

    said = capsys.readouterr().out
    assert f"{cell.checkpoint_file} cannot be read as a checkpoint: it is damaged" in said
    assert "The one before it is used, checkpoint.previous.pt of iteration 6." in said
    assert points(cell.path) == points(tmp_path / "whole")
    assert result(cell.path)["networks"] == result(tmp_path / "whole")["networks"]
    states = [checkpoint.load(path / "checkpoint.pt")["method"] for path in (cell.path, tmp_path / "whole")]
    assert same(*states)
    assert not cell.previous_checkpoint_file.exists(), "a cell that is done goes on from nowhere"


def test_the_broken_one_does_not_take_the_place_of_the_good(folder: Path, tmp_path: Path) -> None:
    cell = CellFolder(tmp_path)
    config = make(folder, "supervised")
    train_in(tmp_path, config, control=StopAfter(7))
    flip(cell.checkpoint_file, 8 * 3000)
    train_in(tmp_path, config, control=StopAfter(1))  # from 6 to 7
    found = [checkpoint.load(path)["iteration"] for path in (cell.previous_checkpoint_file, cell.checkpoint_file)]
    assert found == [6, 7]
    flip(cell.checkpoint_file, 8 * 3000)
    cell.previous_checkpoint_file.write_bytes(b"")
    with pytest.raises(UserError) as told:
        train_in(tmp_path, config)
    assert str(told.value) == (
        f"{cell.checkpoint_file} cannot be read as a checkpoint: it is damaged (its checksum is another). "
        f"{cell.previous_checkpoint_file} cannot be read as a checkpoint: it is empty. Remove them to start the cell "
        "again."
    )


def test_at_no_moment_is_there_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill may come before each rename: the last one is there, whole, and so is the one before it."""
    cell = CellFolder(tmp_path)
    for seed in (1, 2):
        checkpoint.save(cell.checkpoint_file, state_of(seed), cell.previous_checkpoint_file)
    replace = os.replace

    class Killed(BaseException):
        pass

    for dies_at in range(2):
        renames: list[Any] = []

        def dying(source: Any, target: Any, at: int = dies_at, seen: list[Any] = renames) -> None:
            seen.append(target)
            if len(seen) > at:
                raise Killed
            replace(source, target)

        monkeypatch.setattr(os, "replace", dying)
        with pytest.raises(Killed):
            checkpoint.save(cell.checkpoint_file, state_of(3), cell.previous_checkpoint_file)
        monkeypatch.undo()
        last = checkpoint.load(cell.checkpoint_file)
        assert same(last["method"], state_of(2)["method"])
        checkpoint.load(cell.previous_checkpoint_file)
    checkpoint.remove_what_a_kill_left(cell)
    checkpoint.save(cell.checkpoint_file, state_of(3), cell.previous_checkpoint_file)
    assert same(checkpoint.load(cell.previous_checkpoint_file)["method"], state_of(2)["method"])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint.previous.pt", "checkpoint.pt"], "the old weights take no place a third time"


def test_what_a_kill_left_of_other_records_goes_and_what_a_rank_writes_now_stays(tmp_path: Path) -> None:
    cell = CellFolder(tmp_path)
    left = [tmp_path / f".{name}.12-0123abcd.tmp" for name in ("order.json", "failure.json", "result.json")]
    for path in left:
        path.write_text("{")
        os.utime(path, (1e9, 1e9))
    now = tmp_path / ".failure.json.13-0123abcd.tmp"
    now.write_text("{")
    checkpoint.remove_what_a_kill_left(cell)
    assert list(tmp_path.iterdir()) == [now]


def test_a_journal_without_the_lines_that_do_not_count(tmp_path: Path) -> None:
    with journal.Journal(tmp_path / "journal.jsonl") as written:
        for iteration in (2, 4, 6):
            written.metrics(iteration, {"loss": iteration})
        written.event(journal.CUT_BACK, iteration=4)
        written.metrics(6, {"loss": 60})
    records = journal.read(tmp_path / "journal.jsonl")
    assert [record["values"]["loss"] for record in journal.counted(records)] == [2, 4, 60]
    assert journal.beginnings(records) == [records[0]["time"], records[3]["time"]]
    assert journal.beginnings(records[:3]) == [records[0]["time"]]
    assert journal.beginnings([]) == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def legacy(path: Path) -> None:
    torch.save(state_of(), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:300])


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"format": 1, "signature": Path("x")}, protocol=2))


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "no checkpoint")


SPOILT = {
    "empty": (lambda path: path.write_bytes(b""), "it is empty"),
    "cut": (cut, "it is cut off"),
    "cut by a line": (lambda path: path.write_bytes(path.read_bytes()[:-10]), "it is cut off or damaged"),
    "text": (lambda path: path.write_text("no checkpoint"), "it is damaged, or none of PyTorch's"),
    "picture": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200)), "or none of PyTorch's"),
    "struct": (lambda path: path.write_bytes(b"\x80\x02J\x01"), "it is damaged, or none of PyTorch's"),
    "zip": (zipped, "it is damaged, or none of PyTorch's"),
    "legacy, cut": (legacy, "it is damaged, or none of PyTorch's"),
    "pickle": (pickled, "is a pickle that asks for pathlib"),
    "list": (lambda path: torch.save([1, 2], path), "it is no checkpoint of this program"),
    "weights": (lambda path: torch.save({"conv1.weight": torch.rand(2)}, path), "it is no checkpoint of this program"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "cannot be opened (Is a directory)"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_is_no_checkpoint_gets_one_sentence(tmp_path: Path, how: str) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, state_of())
    spoil, reason = SPOILT[how]
    spoil(path)  # type: ignore[no-untyped-call]
    with pytest.raises(UserError) as told:
        checkpoint.load(path)
    assert reason in str(told.value)
    assert str(path) in str(told.value)
    assert "weights_only" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_whole_checkpoint_that_asks_for_more_than_tensors_gets_one_sentence(tmp_path: Path) -> None:
    """It is what was written, and nobody knows by whom: not damaged, so that no other one is taken for it."""
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {**state_of(), "where": Path("x")})
    with pytest.raises(UserError, match=r"checkpoint\.pt is a pickle that asks for pathlib") as told:
        checkpoint.load(path)
    assert not isinstance(told.value, checkpoint.Damaged)
    assert "\n" not in str(told.value)
    assert "weights_only" not in str(told.value)


def test_a_full_gpu_is_no_other_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = build_method(make(folder, "supervised"), torch.device("cpu"))
    state = method.state_dict()

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.nn.Module, "load_state_dict", full)
    with pytest.raises(torch.OutOfMemoryError), checkpoint.fitting(folder):
        method.load_state_dict(state)
    with pytest.raises(torch.OutOfMemoryError), checkpoint.fitting(folder):
        full()


@pytest.mark.parametrize("error", [IndexError, OSError, KeyError, struct.error, AssertionError])
def test_whatever_torch_raises_of_a_foreign_file_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def raises(*_: object, **__: object) -> None:
        raise error("whatever")

    (tmp_path / "checkpoint.pt").write_bytes(b"foreign")
    monkeypatch.setattr(torch, "load", raises)
    with pytest.raises(UserError, match="it is damaged, or none of PyTorch's"):
        checkpoint.load(tmp_path / "checkpoint.pt")


def test_versions_before_and_after_this_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old.pt", tmp_path / "new.pt"
    torch.save({**state_of(), "format": 1}, old)
    assert same(checkpoint.load(old)["method"], state_of()["method"])
    torch.save({**state_of(), "format": 3}, new)
    with pytest.raises(UserError, match=r"of format 3, and this version of gta reads 1 and 2: use the version"):
        checkpoint.load(new)


def test_a_network_is_read_from_the_checkpoint_before_a_broken_one(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, cell, cpu = make(folder), CellFolder(tmp_path), torch.device("cpu")
    train_in(tmp_path, config, tmp_path.name, control=StopAfter(8))
    flip(cell.checkpoint_file, 8 * 3000)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.pt")}
    name, _, iteration = load_network(config, cell, cpu)
    assert (name, iteration) == ("teacher", 6)
    assert "checkpoint.previous.pt of iteration 6" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.pt")} == before, "a reader moves nothing"
    cell.previous_checkpoint_file.unlink()
    with pytest.raises(UserError, match=r"its checksum is another\)\. Its best weights may be whole: --which best\."):
        load_network(config, cell, cpu)
    cell.best_file.write_bytes(b"")
    with pytest.raises(UserError, match=r"best\.pt cannot be read as a checkpoint: it is empty"):
        load_network(config, cell, cpu, which="best")
