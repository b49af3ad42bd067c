"""`gta multirun`, and what `gta retry` shares with it: the launch of a grid, and what is said of its end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gta.cli import composing, grammar, options, table
from gta.cli.grammar import Words
from gta.errors import UserError

if TYPE_CHECKING:
    from launch.submit.launcher import LaunchReport


@grammar.command(
    "multirun",
    exit_codes="0 complete (or, with --no-wait, on its way), 1 a cell failed or is missing, or MLflow or the "
    "table's files could not be written, 2 something to mend first, 130 interrupted",
    examples=[
        "gta multirun sweep=shapes",
        "gta multirun sweep=shapes seed=0,1,2 --retry failed",
        "gta multirun sweep=voc_blender hydra/launcher=slurm site=slurm --budget 200 --no-wait",
    ],
)
@grammar.words()
@options.retry
@options.cells
@options.wait
@options.budget
def command(words: Words, **asked: Any) -> int:
    """Run what is missing of a grid, watch it, and print the table.

    What is done is never run again; a cell that was interrupted goes on from its last checkpoint; one that failed runs
    again only with --retry failed (one that was cancelled with --retry cancelled; both: --retry all). Doing it twice,
    or twice at once, or from cron, is harmless.

    hydra/launcher=slurm sends the cells to Slurm. There --no-wait submits and returns, and Ctrl-C leaves the jobs
    alone; on this machine Ctrl-C saves and leaves.
    """
    return finish(launch(words.overrides, asked), words.overrides)


def launch(overrides: Sequence[str], asked: dict[str, Any]) -> LaunchReport:
    """Hand the grid to Hydra, which composes it and calls our launcher; `asked` are the launcher's own options."""
    print("composing the grid ...", flush=True)  # the imports that follow take seconds
    written = composing.protected(overrides)
    hydra = composing.start()
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from gta.compose.hydra import loader_of
    from gta.compose.overrides import check_overrides, explain

    check_overrides(loader_of(hydra), written, composing.own_options())
    written += [f"hydra.launcher.{name}={in_hydras_words(value)}" for name, value in asked.items()]
    try:
        returned = hydra.multirun("config", lambda config: None, written, with_log_configuration=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from None
    return returned[0][0]


def in_hydras_words(value: Any) -> str:
    """A value in Hydra's words; texts are quoted, as Hydra would read 0123 and 12e45678 as numbers."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(in_hydras_words(item) for item in value)}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return "null" if value is None else str(value).lower()


def finish(report: LaunchReport, overrides: Sequence[str] = ()) -> int:
    """Say what came of it: cells without a result with the end of their logs, then the table."""
    from launch.state.ledger import State
    from launch.submit.launcher import log_tail

    if report.detached:
        return _detached(report)
    if report.interrupted:
        running = [entry for entry in report.entries if entry.state is State.RUNNING]
        for entry in running:
            print(f"still saving, or run by another launcher: {entry.cell.title} {entry.detail}", file=sys.stderr)
        print("Interrupted: cells are saved; the same command goes on.", file=sys.stderr)
        return 130
    for entry in report.missing:
        print(f"\n{entry.state}: {entry.cell.title} ({entry.cell.signature[:8]}): {entry.detail}")
        if tail := log_tail(entry):
            print(f"  the end of {entry.log}:")
            print("\n".join(f"  | {line}" for line in tail.splitlines()))
    if report.missing:
        print("\nRun failed cells again with --retry failed, once the cause is mended; the others go on by themselves.")
    unwritten = table.show(report.sweep, report.entries, overrides)
    return 1 if report.missing else unwritten


def _detached(report: LaunchReport) -> int:
    """The jobs go on without this process."""
    from launch.show.board import summary
    from launch.state.ledger import State

    print(f"\n{summary(report.entries)}")
    print(f"The jobs go on without this command. `gta status sweep={report.sweep}` shows them; the same")
    print("multirun watches them again, submits what got lost, and prints the table.")
    failed = any(entry.state in (State.FAILED, State.CANCELLED, State.BROKEN) for entry in report.entries)
    return 130 if report.interrupted else int(failed)
