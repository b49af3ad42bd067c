"""usage: python -m gta train [name=value ...]
       torchrun --nproc-per-node N -m gta train [name=value ...]

Trains one cell in this process, or on the ranks that torchrun starts. The cell is the same one that multirun would
make of the same overrides, in the same folder: done stays done, interrupted goes on.
"""

from __future__ import annotations

from gta.cli import options as common
from gta.errors import UserError


def run(arguments: list[str]) -> int:
    from gta.ops import distributed

    _, cells = common.grid(arguments)
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
            print(f"{cell.title}: {cell.folder.path}", flush=True)
            cell.write()
        distributed.barrier()
        how = run_cell(cell.folder)
        if first:
            print(f"{cell.title}: {how}")
        return 0 if how == "done" else 1
    finally:
        distributed.shutdown()


def help() -> str:
    """The usage, and every setting with what it is and its default."""
    from gta.config import Config
    from gta.fields import describe
    from gta.methods import METHODS

    rows = {**describe(Config)}
    for name, method in METHODS.items():
        rows.update({f"{key} ({name})": row for key, row in describe(method.Config, "method.").items()})
    lines = [
        f"  {name} = {row['default']}\n      {row['help']}{' (neutral)' * row['neutral']}" for name, row in rows.items()
    ]
    head = "Settings of the schema (`neutral`: cannot change a result; `???`: the YAML groups give it):"
    return "\n".join([(__doc__ or "").strip(), "", head, *lines])
