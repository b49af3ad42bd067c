"""`gta repair`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gta.cli import composing, grammar, options
from gta.cli.grammar import Words
from gta.errors import UserError

if TYPE_CHECKING:
    from gta.cell import Cell
    from launch.grid.names import Named
    from launch.state.repair import Step


@grammar.command(
    "repair",
    exit_codes="0 well, 1 something stays damaged, 2 something to mend first",
    examples=["gta repair", "gta repair gta/92/seed0 --yes", "gta repair 1a2b3c sweep=voc_blender --yes"],
)
@grammar.words("CELL")
@options.yes
def command(words: Words, yes: bool) -> int:
    """Make damaged records of cells again, from what the other records say.

    Shown is what can be made again of each, and from what; --yes does it. Meant are the cells that are named, those of
    a grid (sweep=NAME), or all below paths.runs. A result comes from the checkpoint of the last iteration, a journal
    keeps its good lines, an attempt comes from the journal, a job from the submission. config.yaml needs the grid. What
    nothing else tells is moved away, and the cell runs again from its checkpoint; no number is made up.

    Every damaged file is kept, in the folder damaged/ of its cell. A cell that somebody is at is left alone.
    """
    from launch.state import repair
    from launch.state.damage import damage
    from launch.state.submission import submission_lock

    cells, grid = _meant(words)
    hurt = [cell for cell in cells if damage(cell.folder)]
    if not hurt:
        print(f"No record of {'this cell' if len(cells) == 1 else f'these {len(cells)} cells'} is damaged.")
        return 0
    left = False
    for cell in hurt:
        print(cell)
        frozen = grid.get(cell.signature)
        if (busy := repair.living(cell.folder)) is not None:
            print(f"  left alone: {busy}")
            left = True
            continue
        if not yes:
            _print(repair.steps(cell.folder, frozen))
            continue
        with submission_lock(cell.folder.path.absolute().parents[1]):
            done = repair.repair(cell.folder, frozen)
        _print(done)
        if damage(cell.folder):
            left = True
            if busy := repair.living(cell.folder):  # since it was looked at
                print(f"  the rest is left alone: {busy}")
    if not yes:
        print(f"\nNothing was changed; --yes does it, and keeps the damaged files of {len(hurt)} cells.")
        return 0
    return 1 if left else 0


def _meant(words: Words) -> tuple[list[Named], dict[str, Cell]]:
    """The cells that are named, and what they are by the signatures of a grid, where one is named."""
    from launch.grid import names

    grid: dict[str, Cell] = {}
    if composing.no_grid(words.overrides):
        found = names.known(composing.runs_folder(words.overrides))
    else:
        grid = {cell.signature: cell for cell in composing.grid(words.overrides)[1]}
        found = names.of_grid(grid.values())
    if not found:
        raise UserError(composing.NO_CELLS)
    return names.find_all(words.names, found) if words.names else found, grid


def _print(steps: Iterable[Step]) -> None:
    for step in steps:
        print(f"  {step.brief}\n      {step.what}")
