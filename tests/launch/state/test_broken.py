"""A damaged record is one cell's trouble: it is named on that cell's line, and takes no command down."""

from __future__ import annotations

import contextlib
import json
import os
from functools import partial
from pathlib import Path

import pytest

from analysis.runs import of_folders
from gta.cell import Cell
from gta.cellfolder import readable
from gta.cli import composing
from gta.errors import UserError
from gta.tracking.cell import TrackedCell, files_of
from launch.grid.names import known, of_grid
from launch.show import gc as garbage
from launch.show import logs
from launch.show.cancel import targets
from launch.show.inspect import CellDetails, compare
from launch.show.rows import rows
from launch.slurm.reconcile import reconcile
from launch.state.ledger import State
from launch.submit import price
from launch.submit.selection import Selection
from launch.submit.watch import Watch
from tests.helpers.broken import CASES, Case, copies, copy, done_cell, failed_cell
from tests.helpers.cells import attempt, change_attempt, failed, finish, of_seeds
from tests.helpers.played import Played
from tests.helpers.program import Run

Hurt = list[tuple[Case, Cell]]
# every file, and every breakage of some file; what commands are made of is tried with all cases in `hurt`
SOME = CASES[::3]


@pytest.fixture(params=[done_cell, failed_cell], ids=["done", "failed"])
def hurt(request: pytest.FixtureRequest, tmp_path: Path) -> Hurt:
    """A cell for each case: every file of a folder, damaged in every way."""
    template = of_seeds(1, tmp_path / "runs")[0]
    request.param(template)
    cases = [case for case in CASES if case.file != "result.json" or template.folder.done]
    made = list(zip(cases, copies(template, len(cases)), strict=True))
    for case, cell in made:
        case.of(cell.folder)
    return made


def test_each_is_named_on_its_line(hurt: Hurt) -> None:
    shown = rows(reconcile([cell for _, cell in hurt]))
    for (case, cell), row in zip(hurt, shown, strict=True):
        found = [brief for brief in row.damaged if brief.startswith(f"{case.told}: ")]
        assert bool(found) == bool(case.told), (str(case), row.damaged)
        assert len(row.damaged) == bool(case.told), (str(case), row.damaged)
        assert not case.told or found[0] in row.what, str(case)
        assert row.state in ("done", "failed", "cancelled", "damaged", "running"), str(case)
        if case.file in ("cell.json", "result.json"):
            assert row.state == "damaged", str(case)
        elif cell.folder.done:
            assert (row.state, row.miou) == ("done", 71.25), f"{case}: its number is whole"

    all_that_looks_goes_on(hurt)


def all_that_looks_goes_on(hurt: Hurt) -> None:
    cells = [cell for _, cell in hurt]
    cluster = Played()
    watch = Watch(cells, cluster, Selection("all"))
    entries = watch.turn()
    assert len(entries) == len(cells)
    runs = Path(cells[0].config.paths.runs)
    garbage.remove(garbage.plan(entries, "toy", best=True).pieces)
    price.describe(entries)
    assert targets(of_grid(cells), known(runs), {})
    whole = 0
    for case, cell in hurt:
        files_of(cell.folder)
        said: list[str] = []
        whole += readable(partial(TrackedCell.read, cell.folder), said.append) is not None
        assert all(f"/{case.told} " in sentence for sentence in said), (str(case), said)
        CellDetails.read(cell.folder)
        with contextlib.suppress(UserError):  # no log, in a sentence
            logs.find(cell.folder, say=str)
    assert whole > len(hurt) / 4
    scored = of_folders(cell.folder for cell in cells)["miou_last"].notna().sum()
    assert scored == sum(entry.miou is not None for entry in entries)
    a, b = (CellDetails.read(cell.folder) for cell in cells[:2])
    compare(a, b)


def test_a_look_at_many_attempts_reads_each_once(cells: list[Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of cells on a network file system; the ledger needs the last one alone."""
    for job in range(10):
        attempt(cells[0], str(job), "interrupted")
    finish(cells[0])
    read: list[str] = []
    opened = os.open

    def counting(path: os.PathLike[str], *given: int, **named: int) -> int:
        read.append(Path(path).name)
        return opened(path, *given, **named)

    monkeypatch.setattr(os, "open", counting)
    assert rows(reconcile(cells[:1]))[0].attempts == 10
    monkeypatch.undo()
    assert sorted(name for name in read if name < "0011.json") == sorted(
        [*(f"{number:04d}.json" for number in range(1, 11)), "0010.json"]
    )


def test_what_was_removed_is_written_anew(cells: list[Cell]) -> None:
    attempt(cells[0], "9000101", "done")
    cells[0].folder.identity_file.unlink()
    Watch(cells, Played(), Selection())
    assert cells[0].folder.identity() is not None


def test_a_lost_attempt_is_no_obstacle(cells: list[Cell]) -> None:
    attempt(cells[0], "9000101", "interrupted")
    path = cells[0].folder.attempt_file(1)
    path.write_text("")
    (living, *_) = reconcile(cells)
    assert living.state is State.RUNNING, "it may live: its record may be on its way"
    os.utime(path, (0, 0))
    (later, *_) = reconcile(cells)
    assert later.state is State.RESUMABLE
    assert "attempts/0001.json: empty" in later.detail, "it goes on as after any death, and why is said"


def test_a_result_that_is_null_is_run_by_nobody(cells: list[Cell]) -> None:
    """The job says done where there is any result; the ledger must not call the cell unfinished then."""
    attempt(cells[0], "9000101", "interrupted")
    cells[0].folder.result_file.write_text("null")
    cluster = Played()
    watch = Watch(cells[:1], cluster, Selection("all"))
    assert watch.over(watch.turn())
    assert (watch.first[0].state, cluster.submitted) == (State.DAMAGED, [])


def test_a_cause_of_a_newer_version_waits_for_a_person(cells: list[Cell]) -> None:
    attempt(cells[0], "9000101", "failed")
    failed(cells[0], "a ray", when=2e9)
    text = cells[0].folder.failure_file.read_text()
    cells[0].folder.failure_file.write_text(text.replace('"exception"', '"cosmic ray"'))
    (entry, *_) = reconcile(cells)
    assert (entry.state, entry.detail) == (State.FAILED, "a ray")
    assert rows([entry])[0].cause == "exception"


def test_no_signal_is_sent_on_the_word_of_a_damaged_record(cells: list[Cell]) -> None:
    """Process 0 would be everybody in our group."""
    attempt(cells[0], "9000101", None)
    change_attempt(cells[0], pid=0, started=None)
    found = targets(of_grid(cells[:1]), [], {})
    assert found[0].process is None


@pytest.mark.slow
def test_commands_over_many_cells(say: Run, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command once over a grid in which every file is damaged, in every way that there is, but for one cell that
    is well.
    """
    monkeypatch.chdir(tmp_path)
    words = ["sweep=shapes", *small, "method=supervised", f"seed=range(0,{len(SOME) + 2})"]
    composed = composing.grid(words)
    monkeypatch.setattr(
        composing, "grid", lambda overrides, heard=False: composed
    )  # the same for all: it takes a while
    done, failed_one, *hurt = composed[1]
    done_cell(done)
    failed_cell(failed_one)
    for number, (case, cell) in enumerate(zip(SOME, hurt, strict=True)):
        only_done = case.file == "result.json" or case.file.startswith("attempts")  # else it is to be run
        copy(done if only_done or number % 2 else failed_one, cell)
        case.of(cell.folder)

    def well(*arguments: str) -> str:
        answer = say(*arguments)
        assert answer.returncode == 0, (arguments, answer.stdout[-2000:], answer.stderr)
        return answer.stdout

    shown = json.loads(well("status", *words, "--json"))
    lines = {line["signature"]: line for line in shown["cells"]}
    for case, cell in zip(SOME, hurt, strict=True):
        assert f"{case.told}: " in f"{lines[cell.signature]['what']}: ", str(case)
    assert lines[done.signature]["miou"] == 71.25
    board = well("status", *words, "--all")
    assert "cell.json: empty" in board
    assert "damaged: `gta repair " in board
    assert "multirun would run 0" in well("plan", *words)
    cleaned = well("gc", *words, "--list")
    assert "are damaged: nothing of them is touched" in cleaned
    assert "all folders of jobs stay" in cleaned
    made = well("table", *words, "--missing")
    assert "71.25" in made
    assert "damaged: cell.json: empty" in made
    assert "report.html" in well("report", *words)
    sent = say("sync", *words)
    assert (sent.returncode, "result.json is not text" in sent.stdout) == (1, True)
    ended = say("multirun", *words)
    assert ended.returncode == 1, "some failed"
    assert "damaged: supervised 1/5 seed 2" in ended.stdout
    alone = well("multirun", *words[:-1], "seed=0,2")  # the exit code is that of the others
    assert "damaged: supervised 1/5 seed 2" in alone
    assert "Traceback" not in say("doctor", *words).stdout
    names = [cell.signature for _, cell in zip(SOME, hurt, strict=True)]
    assert say("cancel", *names, f"paths.runs={tmp_path / 'runs'}").returncode in (0, 1)
    for case, name in zip(SOME, names, strict=True):
        for command in ("logs", "show"):
            answer = say(command, name, f"paths.runs={tmp_path / 'runs'}")
            assert answer.returncode in (0, 2), str(case)
    again = say("retry", *words, hurt[0].signature)
    assert again.returncode == 2
    assert "is damaged: cell.json: empty; see `gta repair" in again.stderr
