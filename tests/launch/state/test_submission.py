"""Submissions: written before sbatch, numbered after it, found again after a crash between the two."""

from __future__ import annotations

import multiprocessing
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cellfolder import Submitted
from gta.files import write_json
from launch.state import submission
from launch.state.jobs import Unknown
from launch.state.submission import ToSubmit, read_submission, submission_lock, write_submission
from tests.helpers.cells import of_seeds


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    return of_seeds(5, tmp_path)


def send(cells: list[Cell], tmp_path: Path, together: int = 1, asked: bool = False) -> submission.Submission:
    chosen = [ToSubmit(cell, 0, asked) for cell in cells]
    return write_submission(tmp_path / "sweeps/toy/submissions", str(tmp_path), "gta-toy", together, chosen)


def by_name(jobs: Mapping[str, str | Unknown]) -> Callable[[submission.Submission], str | Unknown | None]:
    """What Slurm knows, job's name -> id."""
    return lambda made: jobs.get(made.name)


def submitted(cell: Cell) -> Submitted:
    found = cell.folder.submitted()
    assert found is not None
    return found


def test_an_array_of_packed_cells(cells: list[Cell], tmp_path: Path) -> None:
    made = read_submission(send(cells, tmp_path, together=2).folder)
    assert (made.length, made.array) == (3, True)
    assert [list(made.mine(task)) for task in range(3)] == [[0, 1], [2, 3], [4]]
    assert made.record("57") == ["57_0", "57_0", "57_1", "57_1", "57_2"]
    assert submitted(cells[3]).job == "57_1"
    assert submitted(cells[2]).log != submitted(cells[3]).log, "each has its own"
    assert made.cell_folder(3) == cells[3].folder
    assert send(cells[:1], tmp_path).job("58", 0) == "58", "a single one is no array"


@pytest.mark.parametrize("numbered", [False, True])
def test_a_crash_after_sbatch_is_found_again(cells: list[Cell], tmp_path: Path, numbered: bool) -> None:
    lost = send(cells[:2], tmp_path)
    never_sent = send(cells[2:3], tmp_path)
    if numbered:  # the job's id was written, the cells' records were not
        write_json(lost.folder / "job.json", {"job": "57"})
    in_slurm = {lost.name: "57"}
    assert submission.recover(tmp_path, by_name(in_slurm)).found == 1
    assert [submitted(cell).job for cell in cells[:2]] == ["57_0", "57_1"]
    assert not cells[2].folder.submitted_file.exists()
    again = submission.recover(tmp_path, by_name({lost.name: "1", never_sent.name: "2"}))
    assert again == submission.Recovered(), "settled once and for all"
    assert [submitted(cell).tries for cell in cells[:2]] == [1, 1]


def test_where_nobody_knows_whether_it_was_sent_its_cells_wait(cells: list[Cell], tmp_path: Path) -> None:
    lost = send(cells[:2], tmp_path)
    silent = Unknown("Slurm does not answer", silent=True)
    waiting = submission.Recovered(0, {cell.signature: silent for cell in cells[:2]})
    for _ in range(3):
        assert submission.recover(tmp_path, by_name({lost.name: silent})) == waiting
    assert submission.recover(tmp_path, by_name({lost.name: "57"})) == submission.Recovered(1)
    assert [submitted(cell).job for cell in cells[:2]] == ["57_0", "57_1"]
    assert {submitted(cell).name for cell in cells[:2]} == {lost.name}, "an id alone may be another job's one day"


def test_a_submission_that_cannot_be_read_is_named_and_passed_over(
    cells: list[Cell], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost, broken = send(cells[:1], tmp_path), send(cells[1:2], tmp_path)
    (broken.folder / "submission.json").write_text("")
    assert submission.recover(tmp_path, by_name({lost.name: "57"})).found == 1
    assert "submission.json is empty: see whether its job is held" in capsys.readouterr().err
    cells[0].folder.submitted_file.write_text("{")
    lost.record("58")
    assert submitted(cells[0]).job == "58", "a broken record is replaced by what is known now"


def test_submissions_that_begin_nothing_are_counted(cells: list[Cell], tmp_path: Path) -> None:
    for job in ("57", "58", "59"):
        send(cells[:1], tmp_path).record(job)
    assert submitted(cells[0]).tries == 3
    send(cells[:1], tmp_path, asked=True).record("60")
    assert submitted(cells[0]).tries == 1


def _hold(runs: Path, log: Path) -> None:
    for _ in range(20):
        with submission_lock(runs), open(log, "a") as file:
            file.write("in ")
            file.flush()
            time.sleep(0.002)
            file.write("out ")


def _hold_until(runs: Path, told: Event) -> None:
    with submission_lock(runs):
        told.wait(60)


def test_who_waits_for_another_launcher_says_for_whom_and_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = multiprocessing.Event()
    other = multiprocessing.Process(target=_hold_until, args=(tmp_path, told))
    other.start()
    while not (tmp_path / ".submit.holder.json").exists():
        time.sleep(0.01)
    threading.Timer(0.5, told.set).start()
    with submission_lock(tmp_path, patience=0.1):
        other.join()
    said = capsys.readouterr().err
    assert re.fullmatch(rf"Waiting for .*\(process {other.pid} on {socket.gethostname()}, since .*\): .*\n", said)


def test_one_launcher_at_a_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    others = [multiprocessing.Process(target=_hold, args=(tmp_path, log)) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert log.read_text().split() == ["in", "out"] * 60
