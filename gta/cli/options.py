"""What commands share: their own options beside Hydra's overrides, and the grid that the overrides mean."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gta.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gta.cell import Cell
    from gta.compose.hydra import Hydra
    from launch.grid.names import Named
    from launch.state.ledger import Entry


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


def flags(
    arguments: Sequence[str], known: Mapping[str, Any], short: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The command's own dashed options, with their defaults, and the arguments that are left.

    `known` maps a name to its default, whose type says what may follow: False for `--json`; a text for `--rank=1` or
    `--rank 1`; a pair (when absent, when bare) for `--watch` or `--watch=2`. `short` maps a letter to a name (`-f`).
    Raises UserError for another dashed word, a value that is missing, and one that is not wanted.
    """
    values: dict[str, Any] = {
        name: default[0] if isinstance(default, tuple) else default for name, default in known.items()
    }
    rest, words = [], iter(arguments)
    for word in words:
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        written, equals, value = word.partition("=")
        name = written[2:] if written.startswith("--") else (short or {}).get(written[1:], "")
        if name not in known:
            raise UserError(f"{written}: there is no such option; {_options_hint(written, known)}")
        default = known[name]
        if isinstance(default, bool):
            if equals:
                raise UserError(f"{written} takes no value.")
            values[name] = True
        elif equals:
            values[name] = value
        elif isinstance(default, tuple):
            values[name] = default[1]
        else:
            values[name] = next(words, None)
            if values[name] is None:
                raise UserError(f"{written} takes a value: {written}=...")
    return values, rest


def _options_hint(written: str, known: Mapping[str, Any]) -> str:
    if not known:
        return "settings are written name=value (seed=0,1), and --help says more."
    close = difflib.get_close_matches(written.lstrip("-"), known, n=1)
    return f"did you mean --{close[0]}?" if close else f"there are {', '.join(f'--{name}' for name in known)}, --help."


def names_and_words(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of cells, and overrides (`name=value`, `~name`)."""
    words = [argument for argument in arguments if "=" in argument or argument.startswith("~")]
    return [argument for argument in arguments if argument not in words], words


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
    from gta.compose.overrides import protect

    for argument in arguments:
        if argument.startswith("-") or ("=" not in argument and not argument.startswith("~")):
            raise UserError(
                f"{argument}: not an override; write name=value (seed=0,1), or --help for the command's own words."
            )
    return [protect(argument) for argument in arguments]


def start() -> Hydra:
    """Hydra, with our launcher, sweeper, schema, methods and sweeps."""
    from gta.compose import compose
    from launch.grid import plugins

    plugins.install()
    return compose.start()


def grid(overrides: Sequence[str], options: Sequence[str] = ()) -> tuple[DictConfig, list[Cell]]:
    """The composed config of the grid and its cells."""
    from gta.compose.hydra import loader_of
    from launch.grid.grid import cells, expand, master_config

    hydra = start()
    master = master_config(hydra, overrides_of(overrides), options)
    loader = loader_of(hydra)
    return master, cells(loader, master, expand(master, loader))


def named_cells(words: Sequence[str]) -> list[Named]:
    """The cells that names stand for: those of a grid (sweep=...), or every one below paths.runs."""
    options, overrides = split_options(words, {"paths.runs": "runs"})
    from launch.grid import names

    if not overrides:
        return names.known(Path(options["paths.runs"]))
    return names.of_grid(grid(words)[1])


def look(cells: Sequence[Cell]) -> list[Entry]:
    """The ledger of the cells: one squeue and one sacct where there is a Slurm; elsewhere heartbeats tell."""
    from launch.slurm.reconcile import reconcile

    return reconcile(cells)
