"""From the words of a command to the grid and the cells that they mean."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gta.errors import UserError
from gta.masking import masked
from gta.processes import first_rank

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gta.cell import Cell
    from gta.cli.grammar import Words
    from gta.compose.hydra import ConfigLoaderImpl, Hydra
    from launch.grid.names import Named
    from launch.show.filters import Filter
    from launch.state.ledger import Entry

NO_CELLS = "There are no cells here yet (another folder: paths.runs=FOLDER)."
RUNS = "paths.runs="
LAUNCHER = "hydra/launcher="


def start() -> Hydra:
    """Hydra, with our launcher, sweeper, schema, methods and sweeps."""
    from gta.compose import compose
    from launch.grid import plugins

    plugins.install()
    return compose.start()


def protected(overrides: Sequence[str]) -> list[str]:
    """Overrides as they are meant (`gta.compose.overrides.protect`)."""
    from gta.compose.overrides import protect

    return [protect(override) for override in overrides]


def own_options() -> list[str]:
    """The dashed options of the command that runs: what a wrong setting may have been meant as."""
    context = click.get_current_context(silent=True)
    names = [max(param.opts, key=len) for param in context.command.params] if context else []
    return [name for name in names if name.startswith("-")]


def typed() -> tuple[str, ...]:
    """The words of the command line that runs, as they were typed: the command, names, settings and options."""
    context = click.get_current_context(silent=True)
    return context.find_root().obj or () if context else ()


def shell_line(*words: str) -> str:
    """A command line of this program that a shell can be given, without passwords."""
    return shlex.join(["gta", *map(masked, words)])


def grid(overrides: Sequence[str], heard: bool = False) -> tuple[DictConfig, list[Cell]]:
    """The composed config of the grid and its cells, ready to be trained. `heard`: as of `say_unfitting`."""
    from launch.grid.grid import cells

    return _grid(start(), overrides, cells, heard)


def recorded_grid(overrides: Sequence[str]) -> tuple[DictConfig, list[Cell]]:
    """As `grid`, for who only reads what there is of the cells: see `launch.grid.recorded`."""
    from launch.grid.grid import read_cells

    hydra = start()
    from gta.compose.ownmethods import offer_recorded

    offer_recorded(runs_folder(overrides))
    return _grid(hydra, overrides, read_cells)


def _grid(
    hydra: Hydra, overrides: Sequence[str], cells: Callable[..., list[Cell]], heard: bool = False
) -> tuple[DictConfig, list[Cell]]:
    from gta.compose.hydra import loader_of
    from launch.grid.grid import expand, master_config

    master = master_config(hydra, protected(overrides), own_options())
    loader = loader_of(hydra)
    if heard:
        say_unfitting(loader, master)
    before_cells(loader, master)
    return master, cells(loader, master, expand(master, loader))


def before_cells(loader: ConfigLoaderImpl, master: DictConfig) -> None:
    """What is looked at once a grid is composed: files in ./sweeps and ./conf that were not named and cannot be used
    are warned of. Raises what `runs_must_be_a_folder` raises.
    """
    from gta.compose.sources import own_unusable
    from launch.grid.grid import paths_of

    runs_must_be_a_folder(Path(paths_of(master).runs))
    if first_rank():
        for sentence in own_unusable(loader.get_sources()):
            print(f"passed over: {sentence}", file=sys.stderr, flush=True)


def runs_must_be_a_folder(runs: Path) -> None:
    """Raises OSError, which `gta.cli.outputs` puts into words, where the folder of runs is something else."""
    with suppress(FileNotFoundError):
        os.scandir(runs).close()


def say_unfitting(loader: ConfigLoaderImpl, master: DictConfig) -> None:
    """Say on stderr, before anything is made of a grid, which data set has no model or schedule of its own in it; of
    the ranks of one cell, the first.
    """
    from gta.compose.chosen import unfitting

    if first_rank():
        for sentence in unfitting(loader, master):
            print(sentence, file=sys.stderr, flush=True)


def runs_folder(overrides: Sequence[str]) -> Path:
    """The folder of runs that overrides name; `runs` where they do not."""
    named = next((word.removeprefix(RUNS) for word in reversed(overrides) if word.startswith(RUNS)), "runs")
    return Path(named).expanduser()


def no_grid(overrides: Sequence[str]) -> bool:
    """Whether nothing but a folder of runs is said: every cell there is meant."""
    return all(word.startswith(RUNS) for word in overrides)


def named_cells(overrides: Sequence[str]) -> list[Named]:
    """The cells that names stand for: those of a grid (sweep=...), or every one below paths.runs."""
    from launch.grid import names

    if no_grid(overrides):
        runs_must_be_a_folder(runs := runs_folder(overrides))
        return names.known(runs)
    return names.of_grid(recorded_grid(overrides)[1])


def chosen(words: Words, only: Filter) -> list[Named]:
    """The cells that names stand for, or that are so: those of both, where both are said; all of them where nothing is.

    Raises UserError for a name of no cell, for a state without a grid, and where no cell is so.
    """
    from launch.grid import names

    if not only.states:
        found = named_cells(words.overrides)
    elif no_grid(words.overrides):
        raise UserError("--state looks at the cells of a grid: say which, sweep=NAME.")
    else:
        found = names.of_grid([entry.cell for entry in only.of(look(recorded_grid(words.overrides)[1]))])
        if not found:
            raise UserError(f"No cell of this grid is {' or '.join(only.states)}.")
    if only.methods:
        found = only.of_names(found)
    return names.find_all(words.names, found) if words.names else found


def meant(name: str, words: Words, only: Filter) -> tuple[list[Named], list[Named]]:
    """The cells that the command `name` is to do something about, and all below their folder of runs.

    Raises what `chosen` raises, and UserError where neither cells nor a grid are said, and where there are none.
    """
    from launch.grid.names import known

    if not (words.names or only.states or only.methods) and no_grid(words.overrides):
        raise UserError(f"{name} takes cells or a grid: gta {name} gta/92/seed0, or gta {name} sweep=NAME.")
    found = chosen(words, only)
    if not found:
        raise UserError(NO_CELLS)
    return found, known(found[0].folder.path.parents[1])


def look(cells: Sequence[Cell]) -> list[Entry]:
    """The ledger of the cells: one squeue and one sacct where there is a Slurm; elsewhere heartbeats tell."""
    from launch.slurm.reconcile import reconcile

    return reconcile(cells)
