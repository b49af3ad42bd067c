"""usage: python -m gta multirun sweep=NAME [retry=failed] [wait=false] [budget=HOURS] [cells=NAME,...] [name=value ...]

Runs the cells of a grid that are missing, watches them, records them in MLflow, and prints the table.
What is done is never run again; a cell that was interrupted goes on from its last checkpoint; one that failed runs
again only with retry=failed (one that was cancelled with retry=cancelled; both: retry=all). Doing it twice, or twice
at once, or from cron, is harmless. cells= keeps to some cells of the grid; budget=200 refuses to submit what would
cost more than 200 GPU-hours.

hydra/launcher=slurm sends the cells to Slurm. There wait=false submits and returns, and Ctrl-C leaves the jobs alone;
on this machine Ctrl-C saves and leaves.

exit code: 0 complete (or, with wait=false, on its way), 1 a cell failed or is missing, 2 something to mend first,
130 interrupted
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gta.cli import options as common
from gta.cli import table
from gta.errors import UserError

if TYPE_CHECKING:
    from launch.submit.launcher import LaunchReport

DEFAULTS = {"retry": "none", "wait": "true", "budget": "none", "cells": ""}


def run(arguments: list[str]) -> int:
    options, overrides = common.split_options(arguments, DEFAULTS)
    print("composing the grid ...", flush=True)  # the imports that follow take seconds
    # quoted: Hydra would read 0123 and 12e45678 as numbers
    only = ",".join(f"'{name}'" for name in options.pop("cells").split(",") if name)
    words = overrides
    said = [f"hydra.launcher.{name}={value}" for name, value in options.items()]
    overrides = [*common.overrides_of(overrides), *said, f"hydra.launcher.only=[{only}]"]
    hydra = common.start()
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from gta.compose.overrides import explain
    from launch.grid.grid import master_config

    master_config(hydra, overrides, list(DEFAULTS))
    try:
        returned = hydra.multirun("config", lambda config: None, overrides, with_log_configuration=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from None
    return finish(returned[0][0], words)


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
        print("\nRun failed cells again with retry=failed, once the cause is mended; the others go on by themselves.")
    table.show(report.sweep, report.entries, overrides)
    return 1 if report.missing else 0


def _detached(report: LaunchReport) -> int:
    """The jobs go on without this process."""
    from launch.show.board import summary
    from launch.state.ledger import State

    print(f"\n{summary(report.entries)}")
    print(f"The jobs go on without this command. `python -m gta status sweep={report.sweep}` shows them; the same")
    print("multirun watches them again, submits what got lost, and prints the table.")
    failed = any(entry.state in (State.FAILED, State.CANCELLED, State.BROKEN) for entry in report.entries)
    return 130 if report.interrupted else int(failed)
