"""`gta plan`."""

from __future__ import annotations

from gta.cli import composing, grammar, options
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
@options.budget
def command(words: Words, retry: str, cells: tuple[str, ...], budget: float | None) -> int:
    """What multirun would do, and what that would cost.

    With the same words: which cells are done, running, resumable, failed, to run; jobs, GPUs and GPU-hours. Runs
    nothing.

    The hours are those of finished cells of the same shape (method, network, crop, batch, ranks), else of site.rates
    (GPU-seconds an iteration), else unknown. Cells without a GPU count core-hours.
    """
    _, grid = composing.grid(words.overrides)
    from rich.console import Console

    from launch.show.board import summary, table
    from launch.show.rows import rows
    from launch.submit import price
    from launch.submit.selection import Selection

    entries = composing.look(grid)
    again = Selection(retry, cells).of(entries)
    console = Console(highlight=False)
    console.print(table(rows(entries), console.width))
    console.print(f"\n{summary(entries)}; multirun would run {len(again)}", markup=False)
    console.print(price.describe(again), markup=False, soft_wrap=True)
    price.refuse(again, budget)
    return 0
