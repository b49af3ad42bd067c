"""`gta cancel`."""

from __future__ import annotations

import sys

from gta.cli import composing, grammar, options
from gta.cli.grammar import Words
from gta.errors import UserError


@grammar.command(
    "cancel",
    exit_codes="0 well, 1 a cell could not be reached, 2 something to mend first",
    examples=[
        "gta cancel gta/92/seed0",
        "gta cancel 'gta/92/*' sweep=voc_classic",
        "gta cancel sweep=shapes --state queued --yes",
    ],
)
@grammar.words("CELL")
@options.filters
@options.yes
def command(words: Words, states: tuple[str, ...], methods: tuple[str, ...], yes: bool) -> int:
    """End cells that run or wait, on Slurm and here.

    scancel for jobs of Slurm, SIGTERM for processes of this host (they save first). Where Slurm does not answer, or a
    cell runs elsewhere, it leaves by itself when it starts, or at its next step. A cell is named by its signature or
    the beginning of it, words such as gta/92/seed0, or a pattern of these ('gta/92/*'). Without names all cells of the
    grid are meant, or those that --state and --method pick, and it asks first (--yes: it does not).

    A cancelled cell is not run again by itself; retry, or multirun --retry cancelled, submits it again. A multirun that
    runs cells on this host goes on with the others: Ctrl-C there ends it as a whole.
    """
    from launch.show.cancel import cancel, targets
    from launch.show.filters import Filter
    from launch.slurm import commands as slurm

    chosen, everyone = composing.meant("cancel", words, Filter(states, methods))
    found = targets(chosen, everyone, slurm.queue())
    ending = [target for target in found if target.ending]
    if not words.names:
        found = [target for target in found if not target.over]
        if not found:
            print(f"None of the {len(chosen)} cells runs or waits.")
            return 0
        if not yes and not _confirmed(len(ending), len(chosen)):
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
