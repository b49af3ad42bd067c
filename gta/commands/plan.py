"""usage: python -m gta plan sweep=NAME [retry=failed] [name=value ...]

Says what multirun would do with the same words: which cells are done, running, resumable, failed, to run. Runs nothing.
"""

from __future__ import annotations

from gta.commands import common


def run(arguments: list[str]) -> int:
    options, overrides = common.split_options(arguments, {"retry": "none"})
    _, cells = common.grid(overrides, list(options))
    from rich.console import Console

    from launch.board import summary, table
    from launch.ledger import to_run
    from launch.rows import rows

    entries = common.look(cells)
    console = Console(highlight=False)
    console.print(table(rows(entries), console.width))
    again = sum(to_run(entry, options["retry"]) for entry in entries)
    console.print(f"\n{summary(entries)}; multirun would run {again}", markup=False)
    return 0
