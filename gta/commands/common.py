"""What commands share: their own options beside Hydra's overrides, and the grid that the overrides mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gta.errors import UserError

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra
    from omegaconf import DictConfig

    from launch.cell import Cell
    from launch.ledger import Entry


def split_options(arguments: Sequence[str], defaults: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The command's own `name=value` options, with their defaults, and the arguments that are left."""
    options, rest = dict(defaults), []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name in defaults:
            options[name] = value
        else:
            rest.append(argument)
    return options, rest


def dispatch(command: str, arguments: Sequence[str], words: Mapping[str, Callable[[list[str]], int]]) -> int:
    """Run the function of the command's first word with the rest; raises UserError where it is none of `words`."""
    word, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if word not in words:
        *others, last = words
        said = f"{command} {word}: there is no such word; " if word else ""
        raise UserError(
            f"{said}{command} takes one word: {', '.join(others)} or {last} (python -m gta {command} --help)."
        )
    return words[word](rest)


def overrides_of(arguments: Sequence[str]) -> list[str]:
    """Hydra overrides from words; raises UserError for a dashed option or a word without `=`."""
    from gta.compose import protect

    for argument in arguments:
        if argument.startswith("-") or ("=" not in argument and not argument.startswith("~")):
            raise UserError(
                f"{argument}: not an override; write name=value (seed=0,1), or --help for the command's own words."
            )
    return [protect(argument) for argument in arguments]


def start() -> Hydra:
    """Hydra, with our launcher, sweeper, schema, methods and sweeps."""
    import gta.compose
    import launch.plugins

    launch.plugins.install()
    return gta.compose.start()


def grid(overrides: Sequence[str], options: Sequence[str] = ()) -> tuple[DictConfig, list[Cell]]:
    """The composed config of the grid and its cells."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    from launch.grid import cells, expand, master_config

    hydra = start()
    master = master_config(hydra, overrides_of(overrides), options)
    loader = hydra.config_loader
    assert isinstance(loader, ConfigLoaderImpl)
    return master, cells(loader, master, expand(master, loader))


def look(cells: Sequence[Cell]) -> list[Entry]:
    """The ledger of the cells, with the jobs that Slurm still holds where there is a Slurm."""
    from launch import slurm
    from launch.ledger import ledger, submitted_jobs

    jobs = submitted_jobs(cells, "slurm")
    return ledger(cells, slurm.live(jobs) if jobs and slurm.available() else ())
