"""`gta multirun`, and what `gta retry` shares with it: the launch of a grid, and what is said of its end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gta.cli import composing, config, grammar, options, table
from gta.cli.grammar import Words
from gta.errors import UserError

if TYPE_CHECKING:
    from launch.state.ledger import Entry
    from launch.submit.launcher import LaunchReport


@grammar.command(
    "multirun",
    exit_codes="0 complete, but for cells that are damaged (or, with --no-wait, on its way), 1 a cell failed or is "
    "missing, or MLflow or the table's files could not be written, 2 something to mend first, 130 interrupted",
    examples=[
        "gta multirun sweep=shapes",
        "gta multirun sweep=shapes seed=0,1,2 --retry failed",
        "gta multirun sweep=voc_blender hydra/launcher=slurm site=slurm --budget 200 --no-wait",
        "gta multirun sweep=mine hydra/launcher=slurm site=slurm --after 'fully_supervised/*' --no-wait",
    ],
)
@grammar.words()
@options.retry
@options.cells
@options.filters
@options.wait
@options.budget
@options.after
@options.cfg
def command(words: Words, cfg: str | None, package: str | None, resolve: bool, **asked: Any) -> int:
    """Run what is missing of a grid, watch it, and print the table.

    What is done is never run again; a cell that was interrupted goes on from its last checkpoint; one that failed runs
    again only with --retry failed (one that was cancelled with --retry cancelled; both: --retry all). Doing it twice,
    or twice at once, or from cron, is harmless.

    hydra/launcher=slurm sends the cells to Slurm. There --no-wait submits and returns, and Ctrl-C leaves the jobs
    alone; on this machine Ctrl-C saves and leaves.

    --after names cells below paths.runs that have to be done before: the jobs wait for theirs by Slurm's dependency
    (afterok). It is refused where one of them is neither done nor on its way, as what waits for it would never run.
    Where one fails later, Slurm does not start those that wait: the board calls them held, and says why.
    """
    if cfg or package or resolve:
        return config.print_hydra(words.overrides, cfg, package, resolve)
    return finish(launch(words.overrides, asked), words.overrides)


def launch(overrides: Sequence[str], asked: dict[str, Any]) -> LaunchReport:
    """Hand the grid to Hydra, which composes it and calls our launcher; `asked` are the launcher's own options."""
    print("composing the grid ...", flush=True)  # the imports that follow take seconds
    written = composing.protected(overrides)
    hydra = composing.start()
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from gta.compose.hydra import loader_of
    from gta.compose.overrides import explain
    from launch.grid.grid import master_config
    from launch.submit.launcher import LaunchReport, reports

    # refuses before Hydra runs what a file may have named
    master = master_config(hydra, written, composing.own_options())
    composing.say_unfitting(loader_of(hydra), master)
    composing.before_cells(loader_of(hydra), master)
    written += [f"hydra.launcher.{name}={in_hydras_words(value)}" for name, value in asked.items()]
    with reports() as made:
        try:
            hydra.multirun("config", lambda config: None, written, with_log_configuration=False)
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(explain(error, loader_of(hydra))) from None
        except KeyboardInterrupt:
            if not made:  # else it was heard, and cells are saved
                raise
    if not made:
        raise UserError("The sweeper asked for no cell.")
    return LaunchReport.of(made)


def in_hydras_words(value: Any) -> str:
    """A value in Hydra's words; texts are quoted, as Hydra would read 0123 and 12e45678 as numbers."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(in_hydras_words(item) for item in value)}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return "null" if value is None else str(value).lower()


def finish(report: LaunchReport, overrides: Sequence[str] = ()) -> int:
    """Say what came of it: cells without a result with the end of their logs, then the table.

    `overrides`: those of the grid, for the commands that are advised.
    """
    from launch.show.logs import log_tail
    from launch.show.rows import state
    from launch.state.damage import history
    from launch.state.ledger import State

    if report.detached:
        return _detached(report, overrides)
    if report.interrupted:
        running = [entry for entry in report.entries if entry.state is State.RUNNING]
        for entry in running:
            print(f"still saving, or run by another launcher: {entry.cell.title} {entry.detail}", file=sys.stderr)
        again = composing.shell_line(*(composing.typed() or ("multirun", *overrides)))
        print(f"Interrupted: cells are saved, and go on with\n  {again}", file=sys.stderr)
        return 130
    for entry in report.missing:
        word = state(entry, history(entry.cell.folder))
        print(f"\n{word}: {entry.cell.title} ({entry.cell.signature[:8]}): {why(entry)}")
        if tail := log_tail(entry):
            print(f"  the end of {entry.log}:")
            print("\n".join(f"  | {line}" for line in tail.splitlines()))
    for line in hints(report.missing, overrides):
        print(line)
    unwritten = table.show(report.sweep, report.entries, overrides)
    failed = any(entry.state is not State.DAMAGED for entry in report.missing)
    return 1 if failed or not report.written else unwritten


def why(entry: Entry) -> str:
    """Why a cell has no result; of one whose job waits, in plain words."""
    from launch.show.rows import what

    return what(entry) or entry.detail


def hints(missing: Sequence[Entry], overrides: Sequence[str]) -> list[str]:
    """What brings the cells that have no result further, a line for each state; whole command lines."""
    from launch.state.ledger import State

    advised = {
        State.FAILED: ("failed; once the cause is mended", ["retry", *overrides]),
        State.CANCELLED: ("cancelled; they run again with", ["retry", *overrides, "--state", "cancelled"]),
        State.DAMAGED: ("damaged: `gta repair CELL` says what can be made again; then", ["multirun", *overrides]),
        State.QUEUED: ("held by Slurm, which will not start them; once that is mended", ["multirun", *overrides]),
        State.RESUMABLE: ("not asked for; they go on with", ["multirun", *overrides]),
        State.NEVER_RUN: ("not asked for; they run with", ["multirun", *overrides]),
    }
    lines = []
    for state, (said, words) in advised.items():
        if count := sum(entry.state is state for entry in missing):
            lines.append(f"{count} {said}: {composing.shell_line(*words)}")
    return ["", *lines] if lines else []


def _detached(report: LaunchReport, overrides: Sequence[str]) -> int:
    """The jobs go on without this process."""
    from launch.show.words import summary
    from launch.state.ledger import State

    typed = composing.typed()
    same = typed if typed[:1] == ("multirun",) else ("multirun", *overrides)  # a retry is not to be asked for twice
    same = tuple(word for word in same if word not in ("--no-wait", "wait=false"))
    print(f"\n{summary(report.entries)}")
    print("The jobs go on without this command. This shows them:")
    print(f"  {composing.shell_line('status', *overrides)}")
    print("This watches them again, submits what got lost, and prints the table:")
    print(f"  {composing.shell_line(*same)}")
    failed = any(entry.state in (State.FAILED, State.CANCELLED) for entry in report.entries)
    return 130 if report.interrupted else int(failed)
