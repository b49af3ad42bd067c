"""Which cells run: what is missing, what failed and was asked for, what failed or got lost, and of those by name."""

from __future__ import annotations

import pytest

from gta.cell import Cell
from gta.cellfolder import Death
from gta.errors import UserError
from launch.state.ledger import Entry, State
from launch.submit.selection import Selection


def test_what_is_missing_and_what_failed_only_when_asked(cells: list[Cell]) -> None:
    states = (State.FAILED, State.CANCELLED, State.NEVER_RUN)
    failed, cancelled, never = entries = [Entry(cell, state) for cell, state in zip(cells, states, strict=True)]
    assert Selection().of(entries) == [never]
    assert Selection("failed").of(entries) == [failed, never]
    assert Selection("cancelled").of(entries) == [cancelled, never]
    assert Selection("all").of(entries) == entries
    assert Selection("all", ("gta/1_8/seed0", cells[2].signature[:6])).of(entries) == [failed, never]
    assert Selection(cells=("gta/*",)).named(entries) == entries
    assert Selection().named(entries) == entries
    with pytest.raises(UserError, match="did you mean gta/1/8/seed0"):
        Selection(cells=("gta/1/9/seed0",)).of(entries)
    with pytest.raises(UserError, match="use one of none, failed, cancelled, all"):
        Selection("often")


def test_which_cells_run_again(cells: list[Cell]) -> None:
    memory = Entry(cells[0], State.FAILED, "CUDA error", 1, cause=Death.MEMORY)
    lost = Entry(cells[1], State.RESUMABLE, "stopped near iteration 5", 1, cause=Death.VANISHED)
    cancelled = Entry(cells[2], State.CANCELLED, "by ada", 1, cause=Death.CANCELLED)
    entries = [memory, lost, cancelled]

    def again(entries: list[Entry], *names: str, oom: bool = False) -> list[Entry]:
        return Selection(cells=names, again=True, oom=oom).of(entries)

    assert again(entries) == [memory, lost]
    assert again(entries, oom=True) == [memory]
    diverged = Entry(cells[0], State.FAILED, "Diverged at iteration 6", 1, cause=Death.DIVERGED)
    assert again([diverged, lost, cancelled]) == [diverged, lost]
    assert Selection(again=True, new_order=True).of([diverged, lost, cancelled]) == [diverged]
    assert Selection(again=True, new_order=True).of(entries) == []
    assert again(entries, "gta/1_8/seed2") == [cancelled], "when it is named"
    assert again(entries, "gta/*") == entries
    done = Entry(cells[0], State.DONE, "mIoU 50.00", 1)
    assert again([done, lost], "gta/*") == [lost]
    with pytest.raises(UserError, match="is done: nothing to retry"):
        again([done, lost], "gta/1_8/seed0")
    with pytest.raises(UserError, match="did you mean gta/1/8/seed0"):
        again(entries, "gta/1/9/seed0")
    broken = Entry(cells[0], State.DAMAGED, "result.json: empty")
    assert again([broken, lost]) == [lost]
    with pytest.raises(UserError, match=r"is damaged: result\.json: empty; see `gta repair"):
        again([broken, lost], "gta/1_8/seed0")
    never = Entry(cells[0], State.NEVER_RUN)
    assert again([never]) == [], "it has not failed"
    assert again([Entry(cells[0], State.NEVER_RUN, job="57")]) != [], "its job was lost"
