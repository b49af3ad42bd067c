"""usage: python -m gta status sweep=NAME [name=value ...]

Where every cell of a grid stands: iteration, loss and time left of those that run, the cause of those that failed.
"""

from __future__ import annotations

from gta.commands import common


def run(arguments: list[str]) -> int:
    _, cells = common.grid(arguments)
    from rich.console import Console

    from launch.board import summary, table

    entries = common.look(cells)
    console = Console(highlight=False)
    console.print(table(entries))
    console.print(f"\n{summary(entries)}", markup=False)
    return 0
