"""All commands as Markdown, from their declarations: what docs/reference/commands.md is made of."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from gta.cli.grammar import Command, Option
from gta.cli.main import cli


def commands(group: click.Group = cli, parent: click.Context | None = None) -> Iterator[tuple[click.Context, Command]]:
    """Every command, those of `data` and `splits` too, with a context that knows its whole name (`command_path`)."""
    context = click.Context(group, parent, info_name=group.name, **group.context_settings)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, context)
        elif isinstance(found, Command):
            yield click.Context(found, context, info_name=name), found


def markdown() -> str:
    """One section a command: usage, what it does, its options, exit codes, examples."""
    return "\n".join(_section(context, command) for context, command in commands())


def _section(context: click.Context, command: Command) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f"## {context.command_path}", "", f"    {usage}", "", inspect.cleandoc(command.help or ""), ""]
    own = (param.get_help_record(context) for param in command.params if isinstance(param, Option))
    records = [record for record in own if record]
    if records:
        lines += ["| option | |", "| --- | --- |"]
        cells = [(names.replace("|", "\\|"), help.replace("|", "\\|")) for names, help in records]
        lines += [f"| `{names}` | {help} |" for names, help in cells]
        lines.append("")
    if command.exit_codes:
        lines += [f"Exit code: {command.exit_codes}.", ""]
    return "\n".join([*lines, "```bash", *command.examples, "```", ""])
