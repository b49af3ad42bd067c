"""The command line: finds the command, and imports nothing heavy before it knows which.

A user error is one sentence on stderr and exit code 2; a cell that failed is exit code 1.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import NoReturn

import click

from gta import bars
from gta.cli import outputs, shells
from gta.cli.grammar import Group
from gta.cli.refused import sentence
from gta.errors import UserError
from gta.masking import mask_output
from gta.processes import first_rank

SECTIONS = {
    "Run a grid": ("plan", "multirun", "retry", "doctor", "remote"),
    "Watch it": ("status", "logs", "usage", "hold", "release", "cancel", "repair", "gc"),
    "Read it": ("table", "report", "show", "diff", "sync"),
    "One cell": ("train", "debug", "drill", "eval", "predict"),
    "Data": ("data", "splits"),
    "The command line": ("config", "settings", "completion"),
}
COMMANDS = tuple(name for names in SECTIONS.values() for name in names)


class CommandLine(Group):
    """All commands; a command's file is imported when it is asked for."""

    sections = SECTIONS

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found = importlib.import_module(f"gta.cli.{cmd_name}").command
        assert isinstance(found, click.Command)
        return found


@click.group(
    "gta",
    cls=CommandLine,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [NAME]... [NAME=VALUE]... [--OPTIONS]",
)
@click.option("--version", is_flag=True, help="The version, with the commit where it is a checkout.")
@click.pass_context
def cli(ctx: click.Context, version: bool) -> int:
    """Run a grid of experiments, and resume it until its table is whole.

    A command's own options are dashed; settings are Hydra's overrides, name=value (`gta settings` lists them).

    \b
    gta                                    what is here, and what comes next
    gta multirun sweep=shapes              the embedded table
    gta multirun sweep=shapes seed=0,1,2   more seeds; what is done stays done
    gta plan sweep=voc_blender             nothing is run
    gta COMMAND --help                     more about one
    """
    if version:
        from gta.cli.version import described

        click.echo(described())
    elif ctx.invoked_subcommand is None:
        from gta.cli import overview

        return overview.screen()
    return 0


def main(arguments: Sequence[str], program: str = "gta") -> int:
    """Run one command; its exit code (0: well, 1: a cell failed, 2: the user can mend it, 130: interrupted)."""
    if asked := os.environ.get(shells.ASKED):
        return shells.complete(cli, asked)
    outputs.stand_in()
    mask_output()
    words = [*arguments[1:], "--help"] if arguments[:1] == ["help"] else list(arguments)
    if words and words[0].partition("=")[0] in ("--cfg", "-c"):  # where Hydra's programs have it
        words.insert(0, "config")
    try:
        code = _run(words, program)
        sys.stdout.flush()
        return code
    except (OSError, SystemExit) as error:
        if outputs.closed(error):  # `... | head`
            outputs.to_nowhere()
            return 0
        if isinstance(error, SystemExit):
            raise
        print(f"error: {outputs.said(error)}", file=sys.stderr)
        outputs.to_nowhere()
        return 2


def _run(words: list[str], program: str) -> int:
    try:
        with _tidy_on_sigterm(), _progress(), cli.make_context(program, words, obj=tuple(words)) as context:
            return int(cli.invoke(context) or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
        return 2
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 130


def _progress() -> AbstractContextManager[None]:
    """What shows how far long work is; of the ranks of one cell, the first does."""
    return bars.shown() if first_rank() else nullcontext()


@contextmanager
def _tidy_on_sigterm() -> Iterator[None]:
    """While entered, SIGTERM ends a command as an exception, so that it leaves no temporary file behind; a cell that
    trains hears it in its own way (`launch.job.signals`).
    """
    mine = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if mine:
        signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
