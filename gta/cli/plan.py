"""usage: python -m gta plan sweep=NAME [retry=failed] [budget=GPU_HOURS] [cells=NAME,NAME] [name=value ...]

Says what multirun would do with the same words, and what that would cost: which cells are done, running, resumable,
failed, to run; jobs, GPUs and GPU-hours. Runs nothing.

The hours are those of finished cells of the same shape (method, network, crop, batch, ranks), else of site.rates
(GPU-seconds an iteration: site.rates.gta=1.9), else unknown. Cells without a GPU count core-hours.

exit code: 0, or 2 where budget=200 would refuse it
"""

from __future__ import annotations

from gta.cli import options as common
from gta.errors import UserError


def run(arguments: list[str]) -> int:
    options, overrides = common.split_options(arguments, {"retry": "none", "budget": "none", "cells": ""})
    _, cells = common.grid(overrides, list(options))
    from rich.console import Console

    from launch.show.board import summary, table
    from launch.show.rows import rows
    from launch.state.ledger import RETRY, to_run
    from launch.submit import price
    from launch.submit.launcher import named

    if options["retry"] not in RETRY:
        raise UserError(f"retry={options['retry']}: use one of {', '.join(RETRY)}.")
    price.parse(options["budget"])
    only = {named(cells, name) for name in options["cells"].split(",") if name}
    entries = common.look(cells)
    console = Console(highlight=False)
    console.print(table(rows(entries), console.width))
    again = [e for e in entries if to_run(e, options["retry"]) and (not only or e.cell.signature in only)]
    console.print(f"\n{summary(entries)}; multirun would run {len(again)}", markup=False)
    console.print(price.describe(again), markup=False, soft_wrap=True)
    price.refuse(again, options["budget"])
    return 0
