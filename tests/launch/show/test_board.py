"""The board: what each state says, what it cost, at every width, for people and for scripts."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.journal import Journal
from launch.show import board, words
from launch.show.rows import row, rows
from launch.slurm.reconcile import reconcile
from tests.helpers.cells import change_attempt, claim, finish, submitted
from tests.helpers.configs import changed
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.states import NAMES, attempt, play, ten_cells


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    return ten_cells(tmp_path)


def test_every_state_is_told(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    told = play(cells, fake_slurm)
    assert {name: line.state for name, line in told.items()} == {
        "waiting": "queued", "running": "running", "again": "requeued", "done": "done", "failed": "failed",
        "memory": "failed", "cancelled": "cancelled", "lost": "lost", "stopped": "stopped", "never": "never run",
    }  # fmt: skip
    assert told["waiting"].what == "others come first (Priority)"
    assert "(BeginTime)" in told["again"].what
    assert told["done"].miou == 71.25125, "all its digits"
    assert told["failed"].what == "exception: ValueError: boom"
    assert told["memory"].cause == "out of memory"
    assert told["cancelled"].what == "by ada"
    assert told["lost"].what == "stopped near iteration 120 (node failure)"
    assert (told["running"].node, told["running"].job) == ("n1", "57_1")
    assert [len(fake_slurm.calls(name)) for name in ("squeue", "sacct")] == [1, 0], "one question"


def test_speed_time_left_and_cost(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    told = play(cells, fake_slurm)
    running = told["running"]
    assert (running.iteration, running.iterations, running.loss, running.rate) == (250, 1000, 0.75, 2.0)
    assert running.left == pytest.approx(375, abs=30)
    assert told["lost"].rate is None, "what does not run has no speed"
    for waits, said in ((4.0, ""), (35.4, ", waits for data 35 % of its time")):
        with Journal(cells[1].folder.journal_file) as journal:
            journal.metrics(250, {"seconds": 125.0, "system/data_wait_percent": waits})
        seen = row(reconcile(cells)[1])
        assert (seen.state, seen.data_wait, seen.what) == ("running", waits, running.what + said)
    change_attempt(cells[1], gpus=1.0)
    assert row(reconcile(cells)[1]).what == running.what, "on a GPU the share is the most that it may be"
    with Journal(cells[3].folder.journal_file) as journal:
        journal.metrics(1000, {"val/teacher/miou": 71.0, "seconds": 400.0})
    done = row(reconcile(cells)[3])
    assert (done.trained, done.rate, running.trained) == (400.0, None, None)
    assert told["done"].gpu_hours == pytest.approx(2.0, abs=0.02)
    assert told["again"].gpu_hours == pytest.approx(0.5, abs=0.02)
    assert told["waiting"].gpu_hours == 0
    attempt(cells[2], None, hours=0.25)  # its second attempt, that lives
    assert row(reconcile(cells)[2]).gpu_hours == pytest.approx(0.75, abs=0.02), "the sum over its attempts"


def test_a_dead_attempt_costs_until_its_last_heartbeat_and_cores_are_counted_apart(cells: list[Cell]) -> None:
    attempt(cells[0], device="cpu", hours=3.0, gpus=0.0, cores=8.0)
    path = cells[0].folder.attempt_file(1)
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    told = row(reconcile(cells[:1])[0])
    assert told.gpu_hours == 0
    assert told.core_hours == pytest.approx(8.0, abs=0.1), "one hour of 8 cores"


def test_hours_are_of_what_an_attempt_held_whatever_is_typed_now(cells: list[Cell]) -> None:
    attempt(cells[0], "interrupted", device="cpu", hours=1.0, gpus=0.0, cores=2.0)
    attempt(cells[0], "done", hours=1.0, gpus=4.0, cores=0.0)
    finish(cells[0])
    for changes in ({}, {"site.ranks": 8, "site.nodes": 2, "site.cells_per_gpu": 2, "site.cpus_per_rank": 16}):
        told = row(reconcile([replace(cells[0], config=changed(cells[0].config, changes))])[0])
        assert told.gpu_hours == pytest.approx(4.0, abs=0.02)
        assert told.core_hours == pytest.approx(2.0, abs=0.02)


def test_hours_of_an_old_record_are_by_the_journal(cells: list[Cell]) -> None:
    for cell, device, hours in ((cells[0], "cuda:0", (2.0, 0.0)), (cells[1], "cpu", (0.0, 2.0))):
        claim(cell, after=99, job="57")
        change_attempt(cell, time=time.time() - 3600, end_time=time.time(), ended="done")
        with Journal(cell.folder.journal_file) as journal:
            journal.event("started", iteration=0, device=device, world_size=2)
        told = row(reconcile([replace(cell, config=changed(cell.config, {"site.ranks": 8}))])[0])
        assert (told.gpu_hours, told.core_hours) == pytest.approx(hours, abs=0.02)


def test_without_sacct_and_without_slurm(
    cells: list[Cell], fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    play(cells, fake_slurm)
    fake_slurm.switch(accounting=False)
    told = dict(zip(NAMES, rows(reconcile(cells)), strict=True))
    assert told["lost"].what == "stopped near iteration 120 (node failure)", "the controller remembers it for a while"
    monkeypatch.setenv("PATH", str(tmp_path))
    told = dict(zip(NAMES, rows(reconcile(cells)), strict=True))
    assert (told["running"].state, told["done"].state, told["failed"].state) == ("running", "done", "failed")
    assert told["lost"].state == "running", "its heartbeat is fresh: nobody can know better"
    path = cells[7].folder.attempt_file(1)
    os.utime(path, (0, 0))
    assert row(reconcile(cells)[7]).state == "unknown", "nobody can be asked what became of its job"
    assert told["waiting"].state == "queued", "as its folder has it"


def test_what_waits_starts_or_is_held_is_told_apart(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    play(cells, fake_slurm)
    fake_slurm.set("57_0", reason="BadConstraints")
    fake_slurm.set("57_2", state="CONFIGURING", node="n2")
    submitted(cells[9], "57_9", time.time() - 60)
    fake_slurm.set("57_9", reason="QOSMaxJobsPerUserLimit")
    told = dict(zip(NAMES, rows(reconcile(cells)), strict=True))
    assert told["waiting"].state == "held"
    assert "no node has what it asks for (BadConstraints); cancel it" in told["waiting"].what
    assert (told["again"].state, told["again"].node) == ("starting", "n2")
    assert told["never"].state == "queued"
    assert told["never"].what == "at the QOS's limit of jobs for a user (QOSMaxJobsPerUserLimit)"


def test_slurms_estimate_of_a_start_is_said_and_silence_is_no_answer(
    cells: list[Cell], fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(cells, fake_slurm)
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    said = "start of the next cell (2 wait in Slurm), Slurm's own estimate: "
    assert words.expected(rows(reconcile(cells))) == f"{said}unknown", "N/A"
    fake_slurm.set("57_0", start="2099-01-31T10:30:00")
    fake_slurm.set("57_1", start="2020-01-31T10:30:00")  # it runs, and that is when it began
    told = rows(reconcile(cells))
    assert told[0].expected == time.mktime((2099, 1, 31, 10, 30, 0, 0, 0, -1))
    assert [line.expected for line in told[1:]] == [None] * 9
    assert words.expected(told) == f"{said}31 January, 10:30 (unknown for 1)"
    fake_slurm.switch(up=False)
    assert words.expected(rows(reconcile(cells))).endswith("Slurm's own estimate: unknown")


def test_a_job_whose_attempt_is_over_is_ending_and_not_put_back(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    play(cells, fake_slurm)

    def said(**fields: object) -> str:
        fake_slurm.set("57_2", **fields)
        return row(reconcile(cells)[2]).state

    assert said(state="COMPLETING", node="n1") == "ending"
    assert said(state="RUNNING") == "starting", "nobody noted which start of the job the attempt was in"
    change_attempt(cells[2], restart=0)
    assert said(state="RUNNING") == "ending", "its process has not left yet"
    assert said(state="REQUEUED") == "requeued"
    assert said(state="PENDING", restarts=1, node="") == "requeued"
    assert said(state="RUNNING", node="n2") == "starting", "it is another start of the job"


def test_a_suspended_job_and_a_frozen_node_are_told_in_full(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    play(cells, fake_slurm)
    fake_slurm.set("57_1", state="SUSPENDED")
    fake_slurm.set("57_7", state="RUNNING", node="n1")  # without a heartbeat
    quiet = time.time() - 750
    os.utime(cells[7].folder.attempt_file(1), (quiet, quiet))
    told = dict(zip(NAMES, rows(reconcile(cells)), strict=True))
    assert (told["running"].state, told["lost"].state) == ("suspended", "stuck")
    said = " ".join(board.page(list(told.values()), 80)[1])
    assert re.search(r"1 suspended \(\w+\): on n1, job 57_1; suspended by Slurm\b", said)
    assert re.search(r"1 stuck \(\w+\): on n1, job 57_7; silent since .+? \(1[2-9] min\)", said)
    fake_slurm.set("57_7", restarts=1)
    change_attempt(cells[7], restart=0)
    os.utime(cells[7].folder.attempt_file(1), (quiet, quiet))
    assert row(reconcile(cells)[7]).state == "starting", "Slurm put it back and started it anew"
    fake_slurm.switch(up=False)
    assert "silent since" in row(reconcile(cells)[7]).what, "also where Slurm does not answer"


def test_a_cell_that_runs_is_on_its_node(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    fake_slurm.add("57_0", state="RUNNING", node="gpu7")
    attempt(cells[0], node="gpu7")
    told = row(reconcile(cells[:1])[0])
    assert (told.node, told.what) == ("gpu7", "on gpu7, job 57_0"), "and not on its host's own name, n1"


def test_totals_and_advice(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    told = list(play(cells, fake_slurm).values())
    assert words.totals(told).startswith("10 cells: 1 done, 1 never run, 1 queued, 1 cancelled, 1 stopped")
    assert "GPU-hours used" in words.totals(told)
    assert [line.partition(":")[0] for line in words.advice(told)] == ["1 cancelled", "1 exception", "1 out of memory"]


def test_a_row_is_plain_json(cells: list[Cell], fake_slurm: FakeSlurm) -> None:
    told = play(cells, fake_slurm)["running"]
    again = json.loads(json.dumps(told.as_dict()))
    assert again["state"] == "running"
    assert again["miou"] is None
