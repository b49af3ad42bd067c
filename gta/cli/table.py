"""usage: python -m gta table sweep=NAME [baseline=ROW] [published=false] [best=false] [--strict] [name=value ...]

The results table of a grid, from MLflow (brought up to date first): printed, and written to
results/NAME/table.{md,tex,html,csv,json}. A cell without a number is named with its reason and the command that
fills it.

  baseline=supervised  the differences to this row, and what can be said about them: paired by seed, the confidence
                       interval and an exact permutation test, Holm-corrected (also results/NAME/significance.csv)
  published=...        published rows beside ours: true (those with the table's encoder; the default), all, false, or
                       methods, parted by commas
  best=false           without each seed's best evaluation, which stands in brackets
  --strict             refuses (exit code 2) a table with missing cells or mixed commits, evaluations or lists
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cli import options as common
from gta.errors import UserError
from gta.text import masked_uri

if TYPE_CHECKING:
    import pandas as pd

    from analysis.cells import TableCell
    from analysis.table import Table
    from launch.state.ledger import Entry

OPTIONS = {"baseline": "", "published": "true", "best": "true"}
STRICT = "--strict"
_WIDE = 160  # columns where the output is no terminal


def run(arguments: list[str]) -> int:
    words = [argument for argument in arguments if argument != STRICT]
    options, overrides = common.split_options(words, OPTIONS)
    if options["best"] not in ("true", "false"):
        raise UserError(f"best={options['best']}: use best=true or best=false.")
    master, cells = common.grid(overrides, list(OPTIONS))
    from launch.submit.recorder import sync

    sweep = str(master.sweep_name)
    sync(cells, sweep)
    show(sweep, common.look(cells), overrides, options, strict=STRICT in arguments)
    return 0


def show(
    sweep: str,
    entries: list[Entry],
    overrides: Sequence[str] = (),
    options: dict[str, str] | None = None,
    strict: bool = False,
) -> None:
    """Print the table of a grid and write its files; `overrides` are those that the grid was made of.

    Raises UserError for an option that this table cannot have, and, where `strict`, for a table with gaps.
    """
    from analysis import render

    _, made = build(sweep, entries, overrides, options)
    paths = entries[0].cell.config.paths
    if strict:
        made.refuse_gaps()
    files = render.write_tables(made, Path(paths.results) / sweep)
    width = shutil.get_terminal_size((_WIDE, 24)).columns
    print(f"\n{render.terminal(made, width, color=sys.stdout.isatty())}\n")
    print(f"table: {', '.join(str(_short(path)) for path in files)}")
    print(f"MLflow: make mlflow (or: mlflow ui --backend-store-uri {masked_uri(paths.tracking_uri)})")


def build(
    sweep: str, entries: list[Entry], overrides: Sequence[str] = (), options: dict[str, str] | None = None
) -> tuple[pd.DataFrame, Table]:
    """The runs of a grid in MLflow, and the table of them; arguments and errors as of `show`."""
    from analysis import runs, table
    from launch.submit.recorder import sweep_tags

    options = OPTIONS | (options or {})
    paths = entries[0].cell.config.paths
    tagged = sweep_tags(sweep)  # one query; a grid without a name is asked for cell by cell
    frame = runs.load(paths.tracking_uri, None if tagged else [entry.cell.signature for entry in entries], *tagged)
    made = table.build(
        frame,
        wanted(entries, overrides or [f"sweep={sweep}"]),
        title=sweep,
        baseline=options["baseline"],
        best=options["best"] == "true",
        rows_beside=options["published"],
    )
    return frame, made


def wanted(entries: Sequence[Entry], overrides: Sequence[str]) -> list[TableCell]:
    """What the table should hold, with the ledger's reasons and the commands that make what is missing."""
    from analysis.cells import TableCell
    from gta.data.splits.known import known_name

    return [
        TableCell(
            signature=entry.cell.signature,
            row=entry.cell.row,
            column=entry.cell.column,
            labels=len(entry.cell.split.labeled),
            seed=entry.cell.config.seed,
            reason=entry.reason,
            fill=_fill(entry, overrides),
            dataset=entry.cell.config.data.name,
            encoder=entry.cell.config.model.encoder,
            lists=known_name(entry.cell.digests["labeled"]) or "",
            val_list=known_name(entry.cell.digests["val"]) or "",
        )
        for entry in entries
    ]


def _fill(entry: Entry, overrides: Sequence[str]) -> str:
    """The command that makes a missing cell; for one that runs or waits already, the command that shows it."""
    from launch.state.ledger import RETRY, State, to_run

    if entry.state is State.DONE:
        return "python -m gta sync"  # its number is in its folder, and not in MLflow
    retry = next((retry for retry in RETRY if to_run(entry, retry)), None)
    words = ["status" if retry is None else "multirun", *overrides]
    if retry not in (None, "none"):
        words.append(f"retry={retry}")
    return shlex.join(["python", "-m", "gta", *words])


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
