"""usage: python -m gta cancel CELL ... [sweep=NAME ...] [paths.runs=runs]
       python -m gta cancel sweep=NAME [name=value ...] [--yes]

Ends cells that run or wait: scancel for jobs of Slurm, SIGTERM for processes of this host (they save first). CELL is a
signature or its beginning, words such as gta/92/seed0, or a pattern of these ('gta/92/*'). Without names all cells of
the grid are meant, and it asks first (--yes: it does not).

A cancelled cell is not run again by itself; retry, or multirun retry=cancelled, submits it again. A multirun that runs
cells on this host goes on with the others: Ctrl-C there ends it as a whole.

exit code: 0 well, 1 a cell could not be reached, 2 something to mend first
"""

from __future__ import annotations

import sys

from gta.cli import options as common
from gta.errors import UserError


def run(arguments: list[str]) -> int:
    given, rest = common.flags(arguments, {"yes": False})
    names, words = common.names_and_words(rest)
    if not names and not any(word.partition("=")[0] != "paths.runs" for word in words):
        raise UserError("cancel takes cells or a grid: python -m gta cancel gta/92/seed0, or cancel sweep=NAME.")
    from launch.grid.names import find_all, known
    from launch.show.cancel import cancel, targets
    from launch.slurm import commands as slurm

    cells = common.named_cells(words)
    chosen = find_all(names, cells) if names else cells
    runs = chosen[0].folder.path.parents[1]
    held = slurm.queue() if slurm.available() else None
    found = targets(chosen, known(runs), held)
    ending = [target for target in found if target.job or target.process]
    if not names:
        found = [target for target in found if not target.over]
        if not found:
            print(f"None of the {len(chosen)} cells runs or waits.")
            return 0
        if not given["yes"] and not _confirmed(len(ending), len(chosen)):
            print("Nothing was cancelled.")
            return 0
    said = cancel(found)
    for target in found:
        print(f"{target.cell}: {said[target.cell.signature]}")
    return 1 if any(target.beyond for target in found) else 0


def _confirmed(ending: int, of: int) -> bool:
    """Ask on a terminal. Raises UserError where nobody can answer."""
    if not sys.stdin.isatty():
        raise UserError(f"This would end {ending} of {of} cells: say --yes, or name the cells.")
    return input(f"End the {ending} cells that run or wait, of {of}? [y/N] ").strip().lower() in ("y", "yes")
