"""`gta plan`."""

from __future__ import annotations

from typing import Any

from gta.cli import composing, grammar, options, overview
from gta.cli.grammar import Words


@grammar.command(
    "plan",
    exit_codes="0, or 2 where --budget would refuse it",
    examples=[
        "gta plan sweep=voc_blender hydra/launcher=slurm site=slurm",
        "gta plan sweep=shapes seed=0,1,2 --retry failed --budget 200",
        "gta plan sweep=voc_blender site.rates.gta=1.9   # GPU-seconds an iteration",
    ],
)
@grammar.words()
@options.retry
@options.cells
@options.filters
@options.budget
def command(words: Words, retry: str, cells: tuple[str, ...], budget: float | None, **only: Any) -> int:
    """What multirun would do, and what that would cost.

    With the same words: which cells are done, running, resumable, failed, to run; jobs, GPUs and GPU-hours. Runs
    nothing. Without a grid: the sweeps there are, and how far each is.

    The hours are those of finished cells of the same shape (method, network, crop, batch, ranks), else of site.rates
    (GPU-seconds an iteration), else unknown. Cells without a GPU count core-hours.
    """
    if overview.asked(words.overrides):
        return overview.show(words.overrides, "plan")
    master, grid = composing.grid(words.overrides, heard=True)
    from gta import recipe
    from gta.cli import status
    from launch.grid.grid import sweep_of
    from launch.show.rows import rows
    from launch.show.words import summary
    from launch.submit import price
    from launch.submit.selection import Selection

    entries = composing.look(grid)
    selection = Selection(retry, cells, **only)
    shown, again = selection.named(entries), selection.of(entries)
    if shown:
        print(recipe.line(entry.cell.config for entry in shown))
    status.show(rows(shown), last=f"{summary(shown)}; multirun would run {len(again)}")
    status.print_variant(sweep_of(master))
    print(price.describe(again))
    price.refuse(again, budget)
    return 0
