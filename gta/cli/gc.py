"""`gta gc`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gta.cellfolder import BrokenRecord, CellFolder, readable
from gta.cli import composing, grammar, options
from gta.cli.grammar import Words, option
from gta.errors import UserError
from gta.text import human_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launch.show.gc import Removal
    from launch.state.jobs import HeldJob


@grammar.command(
    "gc",
    exit_codes="0 well, 1 something could not be removed, 2 something to mend first",
    examples=["gta gc sweep=shapes", "gta gc sweep=shapes --list", "gta gc sweep=shapes gta/92/seed0 --best --yes"],
)
@grammar.words("CELL")
@option("--best", is_flag=True, help="The best models of cells that are done go as well.")
@option(
    "--cache",
    is_flag=True,
    help="Decoded pictures (site.cache) and compiled code (compile) on this machine go as well.",
)
@option("--list", "every", is_flag=True, help="Name every file and folder.")
@options.yes
def command(words: Words, best: bool, cache: bool, every: bool, yes: bool) -> int:
    """Checkpoints and files that nothing needs any more.

    They are shown; --yes removes them. What the cells of a grid keep that neither the table, nor a resume, nor the best
    model needs: checkpoints of cells that are done, what killed processes and old jobs left behind, the runs that a
    drill of one of them kept. A cell that runs or waits, and a drill that is under way, is never touched; a cell that
    another sweep has too is left alone unless it is named (signature, its beginning, gta/92/seed0).
    """
    if not words.overrides:
        raise UserError("gc takes a grid: gta gc sweep=NAME.")
    names = words.names
    master, cells = composing.grid(words.overrides)
    from launch.grid.names import find_all, of_grid
    from launch.show import gc

    if names:
        chosen = {cell.signature for cell in find_all(names, of_grid(cells))}
        cells = [cell for cell in cells if cell.signature in chosen]
    sweep, runs = str(master.sweep_name), Path(cells[0].config.paths.runs)
    plan = gc.plan(composing.look(cells), sweep, best, bool(names))
    folders = [CellFolder(path) for path in sorted((runs / "cells").glob("*")) if path.is_dir()]
    held = _held(folders)
    try:
        plan.pieces += gc.of_jobs(runs / "sweeps" / sweep, folders, held) if not names else ()
    except BrokenRecord as error:
        plan.keep("hide which logs are theirs, so that all folders of jobs stay", str(error))
    gc.of_drills(runs, {cell.signature for cell in cells}, held, plan)
    decoded = list(gc.of_caches(cell.config.site for cell in cells))
    compiled = list(gc.of_compiled([cell.config for cell in cells]))
    plan.pieces += decoded + compiled if cache else ()
    _print(sweep, len(cells), plan, every, best)
    for piece in () if cache else decoded:
        print(f"  keep     {human_bytes(piece.size)} of decoded pictures in {piece.path} (--cache removes them too)")
    for piece in () if cache else compiled:
        print(f"  keep     {human_bytes(piece.size)} of compiled code in {piece.path} (--cache removes it too)")
    if held is None and not names:
        print("  left     folders of jobs: cells were sent to Slurm, which does not answer here")
    if not yes:
        total = human_bytes(plan.size())
        print(f"\nNothing was removed; --yes removes {total}." if plan.pieces else "\nThere is nothing to remove.")
        return 0
    gone, problems = gc.remove(plan.pieces, held)
    print(f"\nRemoved {human_bytes(gone)}.")
    for problem in problems:
        print(f"  {problem}")
    return 1 if problems else 0


def _held(folders: list[CellFolder]) -> Mapping[str, HeldJob] | None:
    """What Slurm holds: nothing where no cell was ever sent there, None where it cannot be asked."""
    from launch.slurm import commands as slurm
    from launch.state.jobs import Unknown

    if not isinstance(queue := slurm.queue(), Unknown):
        return queue
    broken: list[str] = []  # what is in them `of_jobs` cannot know either, and says
    submitted = [readable(folder.submitted, broken.append) for folder in folders]
    return None if any(record.cluster == "slurm" for record in submitted if record) else {}


def _print(sweep: str, cells: int, plan: Removal, every: bool, best: bool) -> None:
    print(f"{sweep}: {cells} cells")
    kinds = dict.fromkeys(piece.kind for piece in plan.pieces)
    for kind in kinds:
        pieces = [piece for piece in plan.pieces if piece.kind == kind]
        print(f"  remove   {human_bytes(plan.size(kind)):>9}  {len(pieces)} {kind}")
        for piece in pieces if every else ():
            print(f"             {human_bytes(piece.size):>9}  {piece.path}{f'  ({piece.age})' if piece.age else ''}")
    for reason, names in plan.kept.items():
        print(f"  keep     {len(names)} cells that {reason}")
        for name in names if every else ():
            print(f"             {name}")
    if not best:
        print("  keep     the best models (--best removes them too)")
