"""`logs`: the right file of the right attempt and rank, and following a cell until it is over."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from gta.cell import Cell
from launch.show import logs
from tests.helpers.cells import attempt, change_attempt, failed, finish, submitted
from tests.helpers.program import Run


def test_which_log_it_is(say: Run, cells: list[Cell]) -> None:
    cell = cells[0]
    assert "it was never submitted" in say("logs", "gta/1/8/seed0").stderr
    attempt(cell, "101", "interrupted")
    attempt(cell, "102", None)
    assert say("logs", cell.signature[:5]).stdout == "attempt 2 of rank 0\n"
    head = say("logs", "gta/1_8/seed0").stderr
    assert "gta/1/8/seed0" in head
    assert "attempt 2, rank 0; also ranks 1 (--rank)" in head
    assert say("logs", "gta/1_8/seed0", "--rank", "1").stdout == "attempt 2 of rank 1\n"
    assert say("logs", "gta/1_8/seed0", "--attempt=1", "--rank=1").stdout == "attempt 1 of rank 1\n"
    assert "attempts of this cell are 1 to 2" in say("logs", "gta/1_8/seed0", "--attempt=3").stderr
    assert "logs of the ranks 0, 1" in say("logs", "gta/1_8/seed0", "--rank=2").stderr


def test_the_log_of_the_rank_that_failed_comes_first(say: Run, cells: list[Cell]) -> None:
    log = attempt(cells[0], "101", "failed")
    failing = str(log).replace("_0_log", "_1_log")
    failed(cells[0], when=time.time(), rank=1, log=failing)
    assert say("logs", "gta/1_8/seed0").stdout == "attempt 1 of rank 1\n"
    assert say("logs", "gta/1_8/seed0", "--rank=0").stdout == "attempt 1 of rank 0\n"


def test_runs_that_were_moved_have_their_logs_with_them(say: Run, cells: list[Cell], tmp_path: Path) -> None:
    cell = cells[0]
    attempt(cell, "101", "done")
    runs = Path(cell.config.paths.runs)
    logs = runs / "sweeps/shapes/submissions/7"
    logs.mkdir(parents=True)
    (logs / "57_0_0_log.out").write_text("as it was written\n")
    change_attempt(cell, log=str(logs / "57_0_0_log.out"))
    assert say("logs", cell.signature[:8]).stdout == "as it was written\n"
    runs.rename(tmp_path / "elsewhere")
    said = say("logs", cell.signature[:8], "paths.runs=elsewhere")
    assert said.stdout == "as it was written\n", said.stderr
    assert "elsewhere/sweeps" in said.stderr


def test_a_log_keeps_its_colours_and_moves_no_cursor(say: Run, cells: list[Cell]) -> None:
    log = attempt(cells[0], "101", "done")
    log.write_text("\x1b[33mwarning\x1b[0m \x1b[2J\x07 \x1b]0;title\x07\n")
    shown = "\x1b[33mwarning\x1b[0m \\x1b[2J\\x07 \\x1b]0;title\\x07\n"
    for options in ([], ["-n", "1"], ["-f"]):
        assert say("logs", "gta/1_8/seed0", *options).stdout == shown
    assert shown in say("logs", "--method", "gta").stdout


def test_a_cell_that_is_over_is_not_followed_for_long(say: Run, cells: list[Cell]) -> None:
    attempt(cells[0], "101", "done")
    assert say("logs", "-f", "gta/1_8/seed0").stdout == "attempt 1 of rank 0\n"


def test_following_a_cell_over_a_requeue_to_its_end(cells: list[Cell]) -> None:
    cell = cells[0]
    first = attempt(cell, "101", None)
    submitted(cell, "57", 0.0, log=str(first))

    def live() -> None:
        time.sleep(0.05)
        with open(first, "a") as file:
            file.write("more\n")
        change_attempt(cell, ended="interrupted")
        time.sleep(0.1)
        attempt(cell, "102", None)
        time.sleep(0.1)
        finish(cell)

    thread = threading.Thread(target=live)
    thread.start()
    text = "".join(logs.follow(cell.folder, logs.find(cell.folder), lambda job: True, poll=0.01))
    thread.join()
    assert text.startswith("attempt 1 of rank 0\nmore\n")
    assert "--- attempt 2" in text
    assert text.endswith("attempt 2 of rank 0\n")


def test_a_job_that_slurm_lost_ends_the_wait(cells: list[Cell]) -> None:
    log = attempt(cells[0], "101", "interrupted")
    submitted(cells[0], "57", 0.0, log=str(log))
    asked: list[str] = []
    followed = logs.follow(cells[0].folder, logs.find(cells[0].folder), lambda job: bool(asked.append(job)))
    assert "".join(followed) == "attempt 1 of rank 0\n"
    assert asked == ["57"]


def test_a_broken_record_is_said_beside_the_log(say: Run, cells: list[Cell]) -> None:
    attempt(cells[0], "101", "interrupted")
    cells[0].folder.submitted_file.write_text("{")
    cells[0].folder.failure_file.write_text("")
    said = say("logs", "-f", "gta/1_8/seed0")
    assert said.stdout == "attempt 1 of rank 0\n"
    assert "submitted.json is not JSON" in said.stderr
    assert "failure.json is empty" in said.stderr
    cells[1].folder.identity_file.write_text("")
    assert "cell.json is empty" in say("logs", "gta/1_8/seed0").stderr
    assert say("logs", cells[1].signature).stderr.startswith("error: This cell has no log")
