"""`retry`: which cells run again, and which words are resources."""

from __future__ import annotations

import pytest

from gta.cell import Cell
from gta.cellfolder import Death
from gta.cli.retry import minutes, select, split_resources
from gta.errors import UserError
from launch.state.ledger import Entry, State


def test_which_cells_run_again(cells: list[Cell]) -> None:
    memory = Entry(cells[0], State.FAILED, "CUDA error", 1, cause=Death.MEMORY)
    lost = Entry(cells[1], State.RESUMABLE, "stopped near iteration 5", 1, cause=Death.VANISHED)
    cancelled = Entry(cells[2], State.CANCELLED, "by ada", 1, cause=Death.CANCELLED)
    entries = [memory, lost, cancelled]
    assert select(entries) == [memory, lost]
    assert select(entries, oom=True) == [memory]
    assert select(entries, ["gta/1_8/seed2"]) == [cancelled], "when it is named"
    assert select(entries, ["gta/*"]) == entries
    done = Entry(cells[0], State.DONE, "mIoU 50.00", 1)
    assert select([done, lost], ["gta/*"]) == [lost]
    with pytest.raises(UserError, match="is done: nothing to retry"):
        select([done, lost], ["gta/1_8/seed0"])
    with pytest.raises(UserError, match="did you mean gta/1/8/seed0"):
        select(entries, ["gta/1/9/seed0"])
    broken = Entry(cells[0], State.BROKEN, "result.json is empty")
    assert select([broken, lost]) == [lost]
    with pytest.raises(UserError, match=r"is broken: result\.json is empty"):
        select([broken, lost], ["gta/1_8/seed0"])
    never = Entry(cells[0], State.NEVER_RUN)
    assert select([never]) == [], "it has not failed"
    assert select([Entry(cells[0], State.NEVER_RUN, job="57")]) != [], "its job was lost"


def test_resources_are_told_from_the_grid() -> None:
    words = ["sweep=shapes", "mem=64G", "time=2h", "seed=0,1", "constraint=a100", "site.workers=4", "gpus=2"]
    grid, resources = split_resources(words)
    assert grid == ["sweep=shapes", "seed=0,1"]
    assert resources == [
        "site.mem_gb=64", "site.time_limit=120", "site.constraint=a100", "site.workers=4", "site.gpus_per_node=2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", "90"), ("90m", "90"), ("1.5h", "90"), ("1d", "1440"), ("2:30:00", "150"), ("1-00:00:30", "1441")],
)
def test_times(text: str, value: str) -> None:
    assert minutes(text) == value
