"""What is made again of damaged records, from what others say or not at all; no original is lost, no number made up."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gta.cell import Cell
from gta.cellfolder import BrokenRecord, Death, NewOrder, Orders, Result
from gta.journal import Journal
from gta.train import checkpoint
from launch.slurm.reconcile import reconcile
from launch.state.damage import damage
from launch.state.ledger import State
from launch.state.repair import living, repair, steps
from launch.state.submission import ToSubmit, write_submission
from tests.helpers.broken import CASES, copies, done_cell, failed_cell
from tests.helpers.cells import attempt, change_attempt, failed, finish, last_attempt, of_seeds


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    made = of_seeds(1, tmp_path / "runs")[0]
    made.write()
    return made


def whole(cell: Cell, iteration: int = 10, scored: int = 10, **changes: Any) -> Result:
    """A finished cell's result, and the checkpoint that it was written from."""
    finish(cell, miou=71.25)
    found = cell.folder.result()
    assert found is not None
    score = {"iteration": scored, "miou": 71.25, "iou": []}
    state = {
        "signature": cell.signature, "iteration": iteration, "method": {}, "scores": {"student": score},
        "best": {"student": {"iteration": 5, "miou": 72.25, "iou": []}}, "seconds": 2.0, "commits": ["c0ffee"],
        "orders": [], **changes,
    }  # fmt: skip
    checkpoint.save(cell.folder.checkpoint_file, state)
    return found


@pytest.mark.parametrize("make", [done_cell, failed_cell], ids=["done", "failed"])
def test_every_damage_is_kept_and_the_cell_goes_on(make: Callable[[Cell], None], tmp_path: Path) -> None:
    """Every file damaged in every way: afterwards nothing is damaged, and the damaged file is in damaged/."""
    template = of_seeds(1, tmp_path / "runs")[0]
    make(template)
    cases = [case for case in CASES if case.told and (template.folder.done or case.file != "result.json")]
    for case, copied in zip(cases, copies(template, len(cases)), strict=True):
        folder = copied.folder
        case.of(folder)
        for path in (*folder.path.glob("attempts/*"), folder.attempts_folder):
            os.utime(path, (1e9, 1e9), follow_symlinks=False)
        assert damage(folder), str(case)
        done = repair(folder, copied)
        if case.breakage == "version 99":
            assert "use the version of gta that wrote it" in done[0].what
            assert not (folder.path / "damaged").exists(), "it is whole"
            continue
        assert damage(folder) == [], (str(case), [step.what for step in done])
        kept = [path.name for path in (folder.path / "damaged").iterdir()]
        assert [name for name in kept if name.startswith(Path(case.file).name)], (str(case), kept)
        if case.file not in ("result.json", "cell.json") and template.folder.done:
            assert reconcile([copied])[0].miou == 71.25, str(case)


def test_a_result_is_made_again_from_the_last_checkpoint(cell: Cell) -> None:
    before = whole(cell)
    for text in ("", "{", "null"):
        cell.folder.result_file.write_text(text)
        assert "mIoU 71.25" in repair(cell.folder)[0].what
        after = cell.folder.result()
        assert after is not None
        kept: dict[str, Any] = {"finished": 0.0, "evaluation": ""}  # the helper's evaluation is not the config's
        assert replace(after, **kept) == replace(before, **kept)
    with Journal(cell.folder.journal_file) as journal:
        journal.event("finished", iteration=10)
    when = json.loads(cell.folder.journal_file.read_text())["time"]
    cell.folder.result_file.write_text("")
    repair(cell.folder)
    again = cell.folder.result()
    assert again is not None
    assert again.finished == when


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iteration": 9}, "of iteration 9, and the last is 10"),
        ({"scored": 5}, "holds no scores of iteration 10 yet"),
        ({"signature": "0" * 16}, "belongs to the cell 00000000"),
        ({"best": {}}, "does not say it"),
    ],
)
def test_no_other_checkpoint_gives_a_result(cell: Cell, changes: dict[str, Any], why: str) -> None:
    whole(cell, **changes)
    cell.folder.result_file.write_text("")
    done = repair(cell.folder)
    assert why in done[0].what
    assert "moved away" in done[0].what
    assert "runs again from its checkpoint" in done[0].what
    assert not cell.folder.done


def test_a_checkpoint_without_a_checksum_gives_no_result(cell: Cell) -> None:
    """Nobody knows whether its scores are what was written."""
    whole(cell)
    state = checkpoint.load(cell.folder.checkpoint_file)
    torch.save({**state, "format": 1}, cell.folder.checkpoint_file)
    cell.folder.result_file.write_text("")
    said = repair(cell.folder)[0].what
    assert said.startswith("moved away, checkpoint.pt is of an older version, without a checksum; the cell runs again")
    assert not cell.folder.done


def test_an_edited_config_gives_no_result(cell: Cell) -> None:
    """Its number would stand under settings that it was not made with."""
    whole(cell)
    file = cell.folder.config_file
    file.write_text(file.read_text().replace("eval_every: 5", "eval_every: 4"))
    cell.folder.result_file.write_text("")
    assert "config.yaml is not that of the cell's signature" in repair(cell.folder)[0].what
    assert not cell.folder.done


def test_looking_changes_nothing_and_a_living_cell_is_left_alone(cell: Cell) -> None:
    attempt(cell, "7", None)
    cell.folder.failure_file.write_text("")
    seen = sorted(str(path) for path in cell.folder.path.rglob("*"))
    assert [step.path.name for step in steps(cell.folder)] == ["failure.json"]
    assert sorted(str(path) for path in cell.folder.path.rglob("*")) == seen
    assert "attempt 1 is at it" in str(living(cell.folder))
    assert cell.folder.failure_file.exists()
    repair(cell.folder)
    assert cell.folder.failure_file.exists(), "it lives"
    last = cell.folder.attempt_file(1)
    last.write_text("")
    assert "attempt 1 may live" in str(living(cell.folder))
    os.utime(last, (1e9, 1e9))
    assert living(cell.folder) is None


def test_a_job_that_begins_while_a_record_is_made_again_is_left_alone(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint takes seconds to read; then the journal is the job's."""
    whole(cell)
    cell.folder.result_file.write_text("")
    load = checkpoint.load

    def meanwhile(*given: Any) -> dict[str, Any]:
        cell.folder.result_file.unlink()  # the job claimed the cell before that was there
        attempt(cell, "7", None)
        cell.folder.result_file.write_text("")
        return load(*given)

    monkeypatch.setattr(checkpoint, "load", meanwhile)
    assert repair(cell.folder) == []
    assert cell.folder.result_file.read_text() == ""
    assert not cell.folder.damaged_folder.exists()


def test_no_more_is_read_than_the_first_thing_to_do_needs(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt(cell, "7", "done")
    whole(cell)
    cell.folder.journal_file.write_text("[]\n" + cell.folder.journal_file.read_text())
    cell.folder.result_file.write_text("")
    read: list[str] = []
    load = checkpoint.load
    monkeypatch.setattr(checkpoint, "load", lambda path: (read.append(path.name), load(path))[1])
    assert [step.path.name for step in repair(cell.folder)] == ["journal.jsonl", "result.json"]
    assert read == ["checkpoint.pt"]


def test_what_the_system_does_not_give_is_left_as_it_is(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails, a server that is away: the record may be whole."""
    attempt(cell, "7", "failed")
    failed(cell, "boom", when=2e9)
    opened = os.open

    def fails(path: Any, *given: Any, **named: Any) -> int:
        if str(path) in (str(cell.folder.failure_file), str(cell.folder.attempt_file(1))):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return opened(path, *given, **named)

    monkeypatch.setattr(os, "open", fails)
    os.utime(cell.folder.attempt_file(1), (1e9, 1e9))
    with pytest.raises(BrokenRecord):
        cell.folder.failure()
    done = repair(cell.folder)
    assert [(step.path.name, step.possible) for step in done] == [("0001.json", False), ("failure.json", False)]
    assert "left as it is: see to the file system" in done[0].what
    monkeypatch.undo()
    assert damage(cell.folder) == []
    assert not cell.folder.damaged_folder.exists()


def test_a_journal_keeps_its_good_lines(cell: Cell) -> None:
    attempt(cell, "7", "done")
    good = cell.folder.journal_file.read_bytes()
    cell.folder.journal_file.write_bytes(b"\xff\xfe\n" + good + b"[1]\n")
    assert "2 good lines kept" in repair(cell.folder)[0].what
    assert cell.folder.journal_file.read_bytes() == good


def test_an_attempt_is_made_again_from_the_journal(cell: Cell) -> None:
    attempt(cell, "7", "interrupted")
    with Journal(cell.folder.journal_file) as journal:
        journal.event("stopped", iteration=5)
    change_attempt(cell, began=0)
    attempt(cell, "8", None, began=5)
    text = cell.folder.journal_file.read_text()
    head, _, tail = text.rpartition('"event": "started", "iteration": 0')
    cell.folder.journal_file.write_text(f'{head}"event": "resumed", "iteration": 5{tail}')
    starts = [json.loads(line)["time"] for line in text.splitlines() if "started" in line]
    for number, ended, began in ((1, "interrupted", 0), (2, "lost", 5)):
        path = cell.folder.attempt_file(number)
        change_attempt(cell, ended="lost", end_time=2e9)
        path.write_text("")
        os.utime(path, (1e9, 1e9))
        repair(cell.folder)
        made = cell.folder.attempt(number)
        assert made is not None
        assert (made.ended, made.began, made.time) == (ended, began, starts[number - 1])
        assert not made.alive()


def test_an_attempt_that_nothing_tells_of_keeps_its_number(cell: Cell) -> None:
    attempt(cell, "7", "interrupted")
    cell.folder.journal_file.unlink()
    path = cell.folder.attempt_file(1)
    path.write_text("[")
    os.utime(path, (1e9, 1e9))
    repair(cell.folder)
    made = last_attempt(cell)
    assert (made.number, made.ended, made.began, made.broken) == (1, "lost", None, None)
    assert reconcile([cell])[0].state is State.RESUMABLE


def test_a_failure_is_made_again_from_its_attempt(cell: Cell) -> None:
    attempt(cell, "7", None)
    for why, cause in ((None, Death.EXCEPTION), (str(Death.DIVERGED), Death.DIVERGED)):  # an older version says none
        change_attempt(cell, ended="failed", why=why, error="boom", end_time=3e9)
        failed(cell, "boom", when=3e9)
        cell.folder.failure_file.write_text("")
        repair(cell.folder)
        entry = reconcile([cell])[0]
        assert (entry.state, entry.detail, entry.cause) == (State.FAILED, "boom", cause)


def test_a_job_is_found_again_in_its_submission(cell: Cell) -> None:
    """Moved away, a cell whose job waits would be sent a second time."""
    runs = cell.config.paths.runs
    sent = write_submission(Path(runs) / "sweeps/toy/submissions", runs, "toy", 1, [ToSubmit(cell)], "c")
    cell.folder.submitted_file.write_text("")
    assert not repair(cell.folder)[0].possible, "nobody knows yet whether it was sent"
    assert cell.folder.submitted_file.exists()
    sent.record("57")
    before = cell.folder.submitted()
    cell.folder.submitted_file.write_text("{")
    repair(cell.folder)
    assert cell.folder.submitted() == before
    cell.folder.submitted_file.write_text("{")
    (sent.folder / "submission.json").write_text("")
    assert "may be held" in repair(cell.folder)[0].what
    assert cell.folder.submitted_file.exists()


def test_orders_come_from_the_checkpoint(cell: Cell) -> None:
    one: dict[str, Any] = {"number": 1, "iteration": 4, "asked": 1.0, "by": "ada"}
    whole(cell, iteration=6, scored=5, orders=[one])
    cell.folder.result_file.unlink()
    Orders(orders=[NewOrder(**one)]).write(cell.folder.order_file)
    cell.folder.order_file.write_text("{")
    repair(cell.folder)
    assert cell.folder.orders() == [NewOrder(**one)]


def test_config_and_identity_come_from_the_grid(cell: Cell) -> None:
    config = cell.folder.config_file.read_text()
    cell.folder.config_file.write_text("")
    cell.folder.identity_file.write_text("")
    whole(cell)
    cell.folder.result_file.write_text("")
    left = repair(cell.folder)
    assert all("name its grid" in step.what or "left as it is until" in step.what for step in left)
    assert cell.folder.done
    repair(cell.folder, cell)
    assert damage(cell.folder) == []
    assert cell.folder.config_file.read_text() == config
    assert reconcile([cell])[0].miou == 71.25
