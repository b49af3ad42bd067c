"""Where the jobs of a drill run: as those of a sweep, but that they wait at its points."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from omegaconf import DictConfig

from gta.cell import Cell
from gta.errors import UserError
from launch.drill.job import DrilledJob
from launch.slurm import commands as slurm
from launch.submit import code
from launch.submit.launcher import local_cluster, slurm_params
from launch.submit.watch import Cluster

JOB = "launch.drill.job"


def here(cell: Cell) -> Cluster:
    """Processes on this machine."""
    site, runs = cell.config.site, Path(cell.config.paths.runs)
    if site.nodes > 1:
        raise UserError(f"site.nodes={site.nodes}: on this machine there is one; use site.nodes=1, or --slurm.")
    params = {
        "submitit_folder": str(runs / "sweeps" / cell.config.sweep_name / "jobs" / "%j"),
        "name": f"gta-drill-{cell.signature[:8]}",
        "tasks_per_node": site.ranks,
        "timeout_min": site.time_limit,
        "at_once": 1,
    }
    return local_cluster(params, [cell], DrilledJob)


def on_slurm(master: DictConfig) -> Callable[[Cell], Cluster]:
    """Jobs of Slurm, with the launcher's parameters of a composed config. Raises UserError where there is none."""
    from launch.submit.slurm_array import SlurmCluster

    if not slurm.configured():
        raise UserError("No Slurm is set up here: run this on a login node, or leave out --slurm.")

    @cache
    def snapshot(folder: Path) -> Path:
        """One for all runs of a drill: editing the code meanwhile changes nothing for them."""
        return code.take(folder).path

    def of(cell: Cell) -> Cluster:
        runs = Path(cell.config.paths.runs)
        sweep = runs / "sweeps" / cell.config.sweep_name
        return SlurmCluster(partial(slurm_params, master), sweep, lambda: snapshot(runs.parent / "code"), JOB)

    return of
