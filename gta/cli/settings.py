"""`gta settings`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import click

from gta.cli import grammar
from gta.errors import UserError


@grammar.command("settings", examples=["gta settings", "gta settings schedule", "gta settings drop_percent"])
@click.argument("word", required=False)
def command(word: str | None) -> int:
    """Every setting, with its default and what it is.

    WORD keeps to those whose name or description has it. A setting is written NAME=VALUE after any command that works
    on cells. `neutral`: it cannot change a result. `???`: the YAML groups (data=, model=, ...) give it.
    """
    rows = every()
    chosen = {name: row for name, row in rows.items() if not word or word.lower() in f"{name} {row['help']}".lower()}
    if not chosen:
        close = difflib.get_close_matches(str(word), {name.partition(" ")[0].rpartition(".")[2] for name in rows}, n=3)
        meant = f"did you mean {' or '.join(close)}?" if close else "`gta settings` lists all."
        raise UserError(f"{word}: no setting has this in its name or description; {meant}")
    for name, row in chosen.items():
        click.echo(f"{name} = {row['default']}\n    {row['help']}{' (neutral)' * row['neutral']}")
        click.echo(f"    It must be {row['values']}.")
        for line in _operations(name) if word else ():
            click.echo(f"      {line}")
    return 0


def _operations(name: str) -> Iterator[str]:
    """A line for each operation that a setting lists, where it is a view."""
    from gta.operations import COLOUR, OPERATIONS, described

    return described({"data.augment.weak": tuple(OPERATIONS), "data.augment.strong": COLOUR}.get(name, ()))


def every() -> dict[str, dict[str, Any]]:
    """Name -> {"default", "help", "neutral", "values"}; the settings of one method have its name behind theirs."""
    from gta.config import Config
    from gta.fields import describe
    from gta.methods import METHODS

    rows = dict(describe(Config))
    for name in METHODS:
        try:
            method = describe(METHODS.config(name), "method.")
        except UserError as error:  # the settings of the others can be said
            click.echo(f"Passed over: {error}", err=True)
            continue
        rows |= {f"{key} ({name})": row for key, row in method.items() if key not in rows}
    return rows
