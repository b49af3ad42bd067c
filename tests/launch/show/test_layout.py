"""The look of the board: at 80 and at 200 columns, of 3, 36 and 400 cells, in a window and printed."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from rich.console import Console, Group
from rich.text import Text

from launch.show import pace
from launch.show.board import fitting, frame, page
from launch.show.pace import left
from launch.show.rows import BoardRow, counts
from launch.show.words import URGENT, expected, totals
from launch.state.silent import moment
from tests.helpers import boards
from tests.helpers.golden import same_as_golden

LONG = "_decoder=aspp_lr=0.01_drop=0.8"
SIZES = [(80, 24), (200, 50), (60, 12)]


def printed(lines: list[Text], width: int) -> list[str]:
    """What a terminal of that width shows."""
    console = Console(width=width, highlight=False, force_terminal=False)
    with console.capture() as capture:
        console.print(Group(*lines))
    return capture.get().splitlines()


def cells_of(lines: list[str]) -> list[str]:
    """The lines of cells, below the head."""
    head = next(i for i, line in enumerate(lines) if re.match(r"(cell +)?method ", line))
    return [line for line in lines[head + 1 :] if re.search(r" (running|queued|done|failed|held)( |$)", line)]


@pytest.mark.parametrize("label", ["", LONG], ids=["", "long"])
@pytest.mark.parametrize("count", [3, 36, 400])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_window_shows_what_needs_a_look(count: int, width: int, height: int, label: str) -> None:
    table = boards.rows(count, label)
    made = frame(table, width, height)
    lines = printed(made, width)
    assert len(lines) == len(made) <= height, "no line is folded, none is off the screen"
    assert max(map(len, lines)) <= width
    cells = [line for line in cells_of(lines) if not re.match(r"\.\.\. |\d+ (failed|queued)", line)]
    assert sum(" failed" in line for line in cells) == 1, "low in the grid, and on the screen"
    assert any(re.match(r"1 failed \(.*exception: RuntimeError", line) for line in lines), "and why"
    more = next((line for line in lines if line.startswith("... and ") and "reasons" not in line), "")
    hidden = sum(map(int, re.findall(r"(\d+) [a-z]", more)))
    assert len(cells) + hidden == count, "what is not shown is counted"
    if hidden:
        assert re.search(r"\d+ done$", more), "what is done makes room first"
    assert lines[0].startswith(f"{count} cells: ")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_numbers_and_states_are_never_cut(width: int) -> None:
    table = boards.rows(36, LONG)
    table[0] = replace(table[0], state="never run", what="", miou=None, iteration=None)
    lines = printed(page(table, width)[0], width)
    for text in ("12000/40000", "mIoU 71.25", "1/16 (662)", "never run", "failed"):
        assert any(text in line for line in lines), text
    assert len(lines) == 37, "a line a cell, and a head"
    assert all(re.search(r"…\S*p=0.8|drop=0.8", line) for line in lines[1:]), "both ends of a name tell it apart"


def test_the_head_names_what_there_is_room_for() -> None:
    heads = [set(printed(page(boards.rows(36), width)[0], width)[0].split()) for width in (80, 120, 200)]
    assert {"cell", "method", "split", "seed", "state", "progress", "left"} <= heads[0]
    assert {"it/s", "loss", "node", "job", "tries", "GPU-h", "why"} <= heads[2]
    assert heads[0] < heads[1] <= heads[2]


@pytest.mark.parametrize("width", [80, 200])
def test_the_board_is_that_of_the_golden_file(width: int) -> None:
    lines = printed(frame(boards.rows(36), width, 24), width)
    same_as_golden(f"board_{width}.txt", "\n".join(lines) + "\n")


def test_what_has_no_room_on_its_line_is_said_below() -> None:
    table = [boards.waiting(0, "gta", "1/16 (662)", 0), boards.waiting(1, "gta", "1/16 (662)", 1)]
    lines, below = page(table, 80)
    assert "others come first (Priority)" in str(lines[1])
    lines, below = page([boards.running(table[0]), table[1]], 80)
    assert "others" not in str(lines[2])
    assert below == ["1 queued (9e3779b1): others come first (Priority)"]


def test_a_reason_is_told_whole_below_a_printed_board() -> None:
    below = page(boards.rows(36), 80)[1]
    assert " ".join(line.strip() for line in below).endswith("others come first (Priority)")
    text = " ".join(line.strip() for line in below)
    assert boards.ERROR in text, "no path is broken in the middle"
    assert max(map(len, below)) <= 80
    assert not any("…" in line for line in below)


def test_reasons_of_one_kind_are_one_line_and_the_rest_is_counted() -> None:
    table = boards.rows(36)
    for i in range(20, 30):
        table[i] = boards.failed(table[i], f"exception: ValueError: of its own kind {i}")
    lines = printed(frame(table, 80, 24), 80)
    assert re.match(r"\.\.\. and \d+ more reasons: `gta status`", lines[-1])
    assert sum(" failed  " in line for line in cells_of(lines)) == 11, "all that failed are on the screen"


def test_fitting_keeps_the_grids_order() -> None:
    table = boards.rows(36)
    shown, more = fitting(table, 8)
    assert [row.state for row in shown] == ["running"] * 5 + ["queued", "failed"]
    assert more == "... and 17 queued, 12 done"
    assert fitting(table, 36) == (table, "")


def test_a_printed_board_of_many_cells_is_bounded_unless_all_are_asked_for() -> None:
    table = boards.rows(400)
    assert len(page(table, 80)[0]) == 101
    assert "... and 168 queued, 133 done" in str(page(table, 80)[0][-1])
    assert len(page(table, 80, most=None)[0]) == 401


def test_every_state_has_a_place_and_a_style() -> None:
    table = [replace(row, state=state) for row, state in zip(boards.rows(len(URGENT)), URGENT, strict=True)]
    lines = printed(frame(table, 200, 50), 200)
    assert all(any(f" {state} " in f"{line} " for line in lines) for state in URGENT)
    assert counts(table) == dict.fromkeys(URGENT, 1)


def test_how_long_the_grid_takes_still() -> None:
    table = boards.rows(36)
    waiting = sum(row.state == "queued" for row in table)
    assert left(table) == pytest.approx((5 * 23728 + waiting * 40000 / 1.18) / 5), "at the speed of those that run"
    assert left([row for row in table if row.state != "running"]) is None, "nothing runs: nobody knows when it will"
    starting = [replace(row, state="starting", rate=None, left=None) for row in table if row.state == "running"]
    assert left(starting) is None, "nobody knows a speed"


def test_finished_cells_tell_what_those_of_their_method_will_take() -> None:
    quick, slow = (boards.waiting(i, method, "1/2", 0) for i, method in enumerate(("supervised", "gta")))
    done = [replace(boards.done(row), trained=seconds) for row, seconds in ((quick, 1000.0), (slow, 9000.0))]
    starting = [replace(row, state="starting") for row in (quick, slow)]
    assert left([*done, *starting]) == pytest.approx(9000), "side by side, the slower one is last"
    assert left([*done, starting[0], slow]) == pytest.approx(10000), "one after the other"
    assert left([*done, starting[0], replace(slow, state="stopped", iteration=20000)]) == pytest.approx(5500)
    running = replace(boards.running(slow), left=7000.0)
    assert left([*done, running]) == 7000, "its own speed is the better one"
    assert left([*done, replace(starting[0], method="u2pl")]) == pytest.approx(5000), "of another, as of the grid"
    assert left([*done, replace(slow, state="failed"), starting[0]]) == pytest.approx(1000), "nobody waits for that one"


def test_each_cell_of_a_large_grid_is_looked_at_once_or_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The board asks twice a second, so that what it takes grows with the cells, and not with their square."""
    step, asked = pace._step, []

    def counted(row: BoardRow) -> float | None:
        asked.append(row)
        return step(row)

    monkeypatch.setattr(pace, "_step", counted)
    table = [replace(row, trained=40000.0) if row.state == "done" else row for row in boards.rows(300)]
    assert left(table) is not None
    assert len(asked) <= 2 * len(table)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_bar_says_how_far_since_when_how_fast_and_how_long(width: int) -> None:
    lines = map(str, frame(boards.rows(36), width, 24, since=time.time() - 36600))
    line = next(line for line in lines if "━" in line)
    assert re.fullmatch(r"━{10,30}  37%  10 h 10 min so far, 5\.9 it/s, about 40 h 29 min left", line)
    assert len(line) <= max(width, 70), "the bar makes room for words"


def test_what_the_launcher_is_busy_with_is_a_line_of_the_board() -> None:
    lines = printed(frame(boards.rows(36), 80, 24, doing="copying the code: 12 of 300 ..."), 80)
    assert lines[3] == "copying the code: 12 of 300 ..."
    assert len(lines) <= 24


def test_when_slurm_expects_to_start_the_next_one_is_its_own_estimate_or_unknown() -> None:
    table = [boards.waiting(i, "gta", "1/2", i) for i in range(3)]
    unknown = "start of the next cell (3 wait in Slurm), Slurm's own estimate: unknown"
    assert unknown in printed(frame(table, 80, 24), 80)
    soon, later = time.time() + 7200, time.time() + 9000
    told = [replace(table[0], expected=later), replace(table[1], expected=soon), table[2]]
    said = f"start of the next cell (3 wait in Slurm), Slurm's own estimate: {moment(soon)} (unknown for 1)"
    assert expected(told) == said
    assert " ".join(line.strip() for line in printed(frame(told, 60, 24), 60)[2:4]).startswith(said)
    assert expected([replace(row, expected=time.time() - 60) for row in table]) == unknown, "it has passed"
    assert expected([replace(row, in_slurm=False) for row in table]) == "", "no one waits there"
    assert expected([replace(row, state="held") for row in table]) == ""


def test_who_does_not_answer_is_said_on_the_board() -> None:
    lines = printed(frame(boards.rows(36), 80, 24, said="Slurm does not answer since 12:30; waiting"), 80)
    assert len(lines) <= 24
    assert lines[3] == "Slurm does not answer since 12:30; waiting"


def test_totals_of_one_cell() -> None:
    assert totals([boards.waiting(0, "gta", "1/2", 0)]) == "1 cell: 1 queued"
