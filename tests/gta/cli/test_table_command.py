"""`gta table`: its options, what it says of a grid that has gaps, and what --strict refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell
from gta.cli import table
from gta.cli.composing import grid, look
from gta.errors import UserError
from gta.journal import Journal
from launch.submit.recorder import sync
from tests.helpers import cells
from tests.helpers.program import Run


def finish(cell: Cell, miou: float, commit: str = "a" * 40) -> None:
    """What a finished cell leaves behind."""
    cell.write()
    with Journal(cell.folder.journal_file) as journal:
        journal.event("started")
    cells.finish(cell, miou, best=miou, commit=commit)


@pytest.mark.slow
def test_the_table_of_a_grid_with_gaps_then_whole(
    say: Run, small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep=shapes", *small, "method=supervised,gta", "seed=0,1,2", "data.split=1/5"]
    refused = say("table", *words, "--strict", "--no-best", "--baseline", "supervised", "--published", "all")
    assert refused.returncode == 2
    assert "--strict refuses the table shapes: cells are missing" in refused.stderr
    assert "`gta multirun sweep=shapes" in refused.stderr
    assert not (tmp_path / "results").exists()

    _, made = grid(words)

    def show(strict: bool = False, **shown: Any) -> str:
        """What the command does with the grid; composing it again and again would take seconds."""
        sync(made, "shapes")
        table.show("shapes", look(made), words, table.Shown(**shown), strict)
        return capsys.readouterr().out

    for index, cell in enumerate(made[:-1]):
        finish(cell, 50.0 + index)
    made[-1].write()
    cells.failed(made[-1], "out of memory", 1.0, attempt=0)
    shown = show(baseline="supervised")
    assert "51.00 ± 1.00 (3) [51.00]" in shown
    assert "53.50 ± 0.71 (2 of 3) [53.50] +3.00" in shown
    assert "Nothing can be said about whether a difference is more than chance: 2 paired seeds" in shown
    assert "gta, 1/5 (8), seed 2 (2 of 3 seeds): failed: out of memory" in shown
    assert "--retry failed" in shown.partition("  failed: gta multirun sweep=shapes")[2].splitlines()[0]
    folder = tmp_path / "results/shapes"
    assert (folder / "significance.csv").exists()
    assert json.loads((folder / "table.json").read_text())["baseline"] == "supervised"

    finish(made[-1], 55.0, commit="b" * 40)
    with pytest.raises(UserError, match=r"2 commits \(aaaaaaaaa, bbbbbbbbb\)") as mixed:
        show(strict=True)
    assert "missing" not in str(mixed.value)

    finish(made[-1], 55.0)
    whole = show(strict=True, best=False, baseline="supervised", published="all")
    assert "54.00 ± 1.00 (3) +3.00" in whole
    assert "With 3 seeds the smallest p" in whole
    assert "Missing" not in whole
