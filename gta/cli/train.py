"""`gta train`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gta.cli import composing, config, grammar, options
from gta.cli.grammar import Words
from gta.errors import Diverged, UserError
from gta.files import full_disk

if TYPE_CHECKING:
    from gta.cell import Cell


@grammar.command(
    "train",
    exit_codes="0 done, 1 interrupted or diverged, 2 something to mend first, or another process has the cell",
    examples=[
        "gta train method=gta data.split=1/25 seed=0",
        "torchrun --nproc-per-node 2 -m gta train sweep=voc_blender method=gta data.split=662 seed=0 site.ranks=2",
    ],
)
@grammar.words()
@options.cfg
def command(words: Words, cfg: str | None, package: str | None, resolve: bool) -> int:
    """One cell, here (under torchrun: on several ranks).

    The cell is the same one that multirun would make of the same overrides, in the same folder: done stays done,
    interrupted goes on. `gta settings` lists what can be set.
    """
    if cfg or package or resolve:
        return config.print_hydra(words.overrides, cfg, package, resolve)
    from gta import recipe
    from gta.ops import distributed

    _, cells = composing.grid(words.overrides, heard=True)
    if len(cells) != 1:
        raise UserError(f"train takes one cell, and this is a grid of {len(cells)}; use multirun.")
    cell = cells[0]
    from launch.job.attempt import run_cell
    from launch.state.ledger import State, look

    distributed.init_from_env(cell.config.site.device)
    try:
        first = distributed.rank() == 0
        if distributed.broadcast_object(look(cell).state) is State.DONE:
            if first:
                print(f"{cell.title} is done: {cell.folder.result_file}")
            return 0
        if first:
            print(f"{cell.title}: {cell.folder.path}\n{recipe.line([cell.config])}", flush=True)
            cell.write()
        distributed.barrier()
        how = run_cell(cell.folder)
        if first and how == "taken":
            raise UserError(taken(cell))
        if first:
            print(f"{cell.title}: {how}")
        return 0 if how == "done" else 1
    except Diverged as error:  # on every rank
        if first:
            print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    except RuntimeError as error:
        if full := full_disk(error):  # torch's own words of it are about positions in a file
            raise full from error
        raise
    finally:
        distributed.shutdown()


def taken(cell: Cell) -> str:
    """Who has a cell that was to be trained here, and what to do."""
    from launch.state.attempts import who

    last = cell.folder.latest_attempt()
    at = f" by {who(last)}" if last else ""
    name = cell.signature[:8]
    return (
        f"{cell.title} ({name}) is being trained already{at}. Let it go on (`gta logs {name} -f` shows it), or end it: "
        f"`gta cancel {name}` saves it, and this command then goes on from there."
    )
