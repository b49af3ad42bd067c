"""`gta completion`."""

from __future__ import annotations

import click

from gta.cli import grammar
from gta.cli.shells import SHELLS, script


@grammar.command(
    "completion",
    examples=[
        "source <(gta completion bash)                                   # in ~/.bashrc",
        "source <(gta completion zsh)                                    # in ~/.zshrc, after compinit",
        "gta completion fish > ~/.config/fish/completions/gta.fish",
    ],
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """A script with which bash, zsh or fish completes gta.

    It completes commands, options, settings and their values (sweep=, method=, site= ...), and names of cells.
    """
    click.echo(script(ctx.find_root().command, shell), nl=False)
    return 0
