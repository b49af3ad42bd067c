"""From the words of a command to the grid and the cells that they mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra
    from omegaconf import DictConfig

    from gta.cell import Cell
    from launch.grid.names import Named
    from launch.state.ledger import Entry

RUNS = "paths.runs="


def start() -> Hydra:
    """Hydra, with our launcher, sweeper, schema, methods and sweeps."""
    from gta.compose import compose
    from launch.grid import plugins

    plugins.install()
    return compose.start()


def protected(overrides: Sequence[str]) -> list[str]:
    """Overrides as they are meant (`gta.compose.compose.protect`)."""
    from gta.compose.compose import protect

    return [protect(override) for override in overrides]


def own_options() -> list[str]:
    """The dashed options of the command that runs: what a wrong setting may have been meant as."""
    context = click.get_current_context(silent=True)
    names = [max(param.opts, key=len) for param in context.command.params] if context else []
    return [name for name in names if name.startswith("-")]


def grid(overrides: Sequence[str]) -> tuple[DictConfig, list[Cell]]:
    """The composed config of the grid and its cells."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    from launch.grid.grid import cells, expand, master_config

    hydra = start()
    master = master_config(hydra, protected(overrides), own_options())
    loader = hydra.config_loader
    assert isinstance(loader, ConfigLoaderImpl)
    return master, cells(loader, master, expand(master, loader))


def runs_folder(overrides: Sequence[str]) -> Path:
    """The folder of runs that overrides name; `runs` where they do not."""
    return Path(next((word.removeprefix(RUNS) for word in reversed(overrides) if word.startswith(RUNS)), "runs"))


def named_cells(overrides: Sequence[str]) -> list[Named]:
    """The cells that names stand for: those of a grid (sweep=...), or every one below paths.runs."""
    from launch.grid import names

    if all(word.startswith(RUNS) for word in overrides):
        return names.known(runs_folder(overrides))
    return names.of_grid(grid(overrides)[1])


def look(cells: Sequence[Cell]) -> list[Entry]:
    """The ledger of the cells: one squeue and one sacct where there is a Slurm; elsewhere heartbeats tell."""
    from launch.slurm.reconcile import survey

    return survey(cells)
