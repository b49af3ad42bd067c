"""From a grid to jobs: submits what is missing, watches until it is over, and says what came of it.

The folders of the cells are the truth; a job's own word counts for nothing. So a second launcher on the same grid,
or one started after this one was killed, simply looks at the folders and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gta.errors import UserError
from launch import grid, record, slurm
from launch.board import Board, summary
from launch.cell import Cell
from launch.ledger import Entry, State
from launch.watch import Cluster, Watch

POLL_SECONDS = {"local": 0.5, "slurm": 5.0}


@dataclass
class Report:
    """What `launch` hands back through Hydra's sweeper, which looks at `return_value`."""

    entries: list[Entry]
    sweep: str
    interrupted: bool = False
    return_value: None = None

    @property
    def missing(self) -> list[Entry]:
        """The cells without a result: failed, or dead so often that they were left as they are."""
        return [entry for entry in self.entries if entry.state is not State.DONE]


def launch(launcher: Any, job_overrides: Sequence[Sequence[str]]) -> Report:
    """What both Hydra launchers do: make the cells, run what is missing, record it.

    `launcher` is a hydra-submitit-launcher instance: its `params` describe the executor.
    """
    master = launcher.config
    cells = grid.cells(launcher.hydra_context.config_loader, master, job_overrides)
    kind = launcher._EXECUTOR
    params = dict(launcher.params)
    retry = params.pop("retry")
    if retry not in ("none", "failed"):
        raise UserError(f"retry={retry}: use retry=failed to run failed cells again, or leave it out.")
    at_once = params.pop("at_once")
    if kind == "slurm":  # lists and mappings: Hydra composes them before the site that an interpolation would name
        params["setup"] = [*(params["setup"] or []), *master.site.setup]
        params["additional_parameters"] = {**master.site.sbatch, **params["additional_parameters"]}
    sweep = str(master.sweep_name)
    record.prepare(cells, sweep)
    return run(cells, _cluster(kind, params, cells, at_once), sweep, retry, POLL_SECONDS[kind])


def run(cells: list[Cell], cluster: Cluster, sweep: str, retry: str, poll: float) -> Report:
    """Submit what is missing and wait until no cell waits or runs; Ctrl-C ends our jobs, saved."""
    board = Board()
    watch = Watch(cells, cluster, retry)
    board.console.print(f"{sweep}: {summary(watch.first)}", markup=False)
    recorder = record.Recorder(cells, sweep)
    interrupted = False
    with board:
        try:
            while True:
                entries = watch.turn()
                board.show(entries)
                if watch.over(entries):
                    break
                recorder.sometimes(entries)
                time.sleep(poll)
        except KeyboardInterrupt:
            interrupted = True
            entries = watch.stop()
    recorder.now()
    return Report(entries, sweep, interrupted)


def _cluster(kind: str, params: dict[str, Any], cells: Sequence[Cell], at_once: int) -> Cluster:
    from launch.clusters import LocalCluster, SlurmCluster

    if kind == "slurm":
        if not slurm.available():
            raise UserError("No Slurm controller answers here: run this on a login node, or use hydra/launcher=local.")
        return SlurmCluster(params, at_once)
    import torch

    threads = max(cell.config.num_threads for cell in cells)
    gpus = 0 if all(cell.config.site.device == "cpu" for cell in cells) else torch.cuda.device_count()
    return LocalCluster(params, at_once, threads, gpus)


def log_tail(entry: Entry, lines: int = 12) -> str:
    """The last lines of a cell's log; empty where there is none."""
    path = Path(entry.log) if entry.log else None
    if path is None or not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
