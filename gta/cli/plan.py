"""`gta plan`."""

from __future__ import annotations

from typing import Any

from gta.cli import composing, grammar, options, overview
from gta.cli.grammar import Words, option


@grammar.command(
    "plan",
    exit_codes="0, or 2 where --budget would refuse it",
    examples=[
        "gta plan sweep=voc_blender hydra/launcher=slurm site=slurm",
        "gta plan sweep=shapes seed=0,1,2 --retry failed --budget 200",
        "gta plan sweep=voc_blender site.rates.gta=1.9   # GPU-seconds an iteration",
        "gta plan sweep=voc_blender --calibrate",
    ],
)
@grammar.words()
@options.retry
@options.cells
@options.filters
@options.budget
@option("--calibrate", is_flag=True, help="Count what the cells compute, and time a few steps where none is measured.")
def command(
    words: Words, retry: str, cells: tuple[str, ...], budget: float | None, calibrate: bool, **only: Any
) -> int:  # fmt: skip
    """What multirun would do, and what that would cost.

    With the same words: which cells are done, running, resumable, failed, to run; jobs, GPUs and GPU-hours. Runs
    nothing; but a cell is known by its lists, so those that this program draws are drawn where they are not there yet,
    and a data set that it generates is generated, which is said. Without a grid: the sweeps there are, and how far each
    is.

    The hours are those of finished cells of the same shape (method, network, crop, batch, ranks), else of site.rates
    (GPU-seconds an iteration), else of the cost model, with their range, else unknown. Cells without a GPU count
    core-hours.

    The cost model predicts from what a cell computes. --calibrate makes it: it counts that for the cells to run (CPU
    seconds for each method, 16 for a ResNet-101), and takes rates from cells that are done on such a device; where
    there are none, it times a few steps of the smallest cell, on this machine, which therefore has to have such a
    device, and the data. It keeps both in runs/costs.json. Once cells are done, how far the model was off on them is
    said here and by status.
    """
    if overview.asked(words.overrides):
        return overview.show(words.overrides, "plan", options=["--calibrate"] * calibrate)
    master, grid = composing.grid(words.overrides, heard=True)
    from gta import recipe
    from gta.cli import status
    from launch.grid.grid import sweep_of
    from launch.show.rows import rows
    from launch.show.words import summary
    from launch.submit import costmodel, price
    from launch.submit.selection import Selection

    entries = composing.look(grid)
    selection = Selection(retry, cells, **only)
    shown, again = selection.named(entries), selection.of(entries)
    if shown:
        print(recipe.line(entry.cell.config for entry in shown))
    status.show(rows(shown), last=f"{summary(shown)}; multirun would run {len(again)}")
    status.print_variant(sweep_of(master))
    if calibrate:
        from launch.submit.calibrate import calibrate as make

        print("\n".join(make([entry.cell for entry in again or shown])))
    print(price.describe(again, entries, calibrate))
    for line in costmodel.said(entries):
        print(line)
    price.refuse(again, budget, entries, calibrate)
    return 0
