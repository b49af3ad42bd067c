"""`gta config`, and Hydra's `--cfg`, which `train` and `multirun` have too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from json import dumps
from typing import TYPE_CHECKING, Any

from gta.cli import composing, grammar, options
from gta.cli.grammar import Words
from gta.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gta.compose.hydra import ConfigLoaderImpl, Hydra

Said = dict[str, list[Any]]  # who said a setting -> the cells' values
WIDEST = 28  # letters of a value, in the column of values


@grammar.command(
    "config",
    examples=[
        "gta config sweep=shapes method=gta seed=0",
        "gta config sweep=voc_blender --package schedule",
        "gta config sweep=voc_blender method=gta data.split=662 seed=0 --cfg job",
    ],
)
@grammar.words()
@options.as_json
@options.cfg
def command(words: Words, json: bool, cfg: str | None, package: str | None, resolve: bool) -> int:
    """The composed config, each value with where it came from.

    Of one cell or of a grid: the command line, a file with its line, or a default. Where cells of a grid differ, all
    values. Nothing is run, made or looked for: neither lists nor weights have to be there.

    With --json one object: cells, config {name: [{from, values, cells}]}. With --cfg as Hydra prints it, as YAML.
    """
    if cfg and json:
        raise UserError("--cfg prints YAML, as Hydra does: leave out --json, or --cfg.")
    if cfg:
        return print_hydra(words.overrides, cfg, package, resolve)
    jobs, settings = composed(words.overrides)
    if package:
        settings = {name: said for name, said in settings.items() if f"{name}.".startswith(f"{package}.")}
        if not settings:
            raise UserError(absent(package))
    if json:
        shown = {name: [_as_json(*one) for one in said.items()] for name, said in settings.items()}
        print(dumps({"cells": jobs, "config": shown}, indent=1))
        return 0
    print(f"Of {jobs} cell{'s' * (jobs != 1)}: setting, value, where it came from")
    for line in lines(settings, jobs):
        print(line)
    return 0


def composed(overrides: Sequence[str]) -> tuple[int, dict[str, Said]]:
    """The number of combinations of a grid, and name -> who said it -> the values, one for each of them."""
    from dataclasses import asdict

    _, loader, master, jobs = _expanded(overrides)
    from gta.compose.origin import Origins
    from launch.grid.grid import configs
    from launch.show.inspect import flat

    origins = Origins(loader, master)
    found: dict[str, Said] = {}
    for job, config in zip(jobs, configs(loader, master, jobs), strict=True):
        origin = origins.of(job)
        for name, value in flat(asdict(config)).items():
            found.setdefault(name, {}).setdefault(origin(name), []).append(value)
    return len(jobs), found


def _expanded(overrides: Sequence[str]) -> tuple[Hydra, ConfigLoaderImpl, DictConfig, list[list[str]]]:
    """Hydra and its loader, the composed config of a grid, and the overrides of each of its cells."""
    hydra = composing.start()
    from gta.compose.hydra import loader_of
    from launch.grid.grid import expand, master_config

    loader = loader_of(hydra)
    master = master_config(hydra, composing.protected(overrides), composing.own_options())
    return hydra, loader, master, expand(master, loader)


def lines(settings: Mapping[str, Said], jobs: int) -> Iterable[str]:
    """A line for each setting and each place where it is said."""
    width = max(map(len, settings))
    for name, said in settings.items():
        for place, values in said.items():
            text = " | ".join(map(_text, _distinct(values)))
            some = f" ({len(values)} of {jobs} cells)" if len(values) < jobs else ""
            yield f"{name:<{width}}  {text:<{WIDEST}}  {place}{some}"


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({repr(value): value for value in values}.values())


def _text(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value) or "''"


def _as_json(place: str, values: list[Any]) -> dict[str, Any]:
    return {"from": place, "values": _distinct(values), "cells": len(values)}


def print_hydra(overrides: Sequence[str], cfg: str | None, package: str | None, resolve: bool) -> int:
    """What a program of Hydra prints for --cfg: of one cell its own config, of a grid what its cells begin with.

    Raises UserError for a package that is not in it, and for --package or --resolve without --cfg.
    """
    import sys

    if not cfg:
        raise UserError("--package and --resolve say what of the config to print: add --cfg job, or leave them out.")
    hydra, loader, master, jobs = _expanded(overrides)
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import Container, OmegaConf

    from gta.compose.overrides import composing as composing_words

    if cfg != "hydra" and len(jobs) > 1:
        names = ", ".join(dict.fromkeys(word.partition("=")[0] for word in _differing(jobs)))
        print(f"Of a grid of {len(jobs)} cells, without what differs between them: {names}.", file=sys.stderr)
    HydraConfig.instance().set_config(master)
    package = None if package == "_global_" else package
    with composing_words(loader):
        whole = _whole(hydra, master, cfg, jobs[0] if len(jobs) == 1 else ())
        # filled in before it is cut out: Hydra's own settings name those of the job
        shown = _part(whole, cfg, package)
        if resolve and isinstance(shown, Container):
            OmegaConf.resolve(shown)
        if not package:
            shown = hydra.get_sanitized_cfg(whole, cfg) if cfg == "hydra" else whole
        elif isinstance(shown, Container):
            print(f"# @package {package}")
        print(OmegaConf.to_yaml(shown) if isinstance(shown, Container) else f"{shown}\n", end="")
    return 0


def _whole(hydra: Any, master: DictConfig, cfg: str, job: Sequence[str]) -> DictConfig:
    """The config that --cfg prints a part of; that of the one cell, where `job` has its overrides."""
    from omegaconf import OmegaConf, flag_override

    from gta.compose.compose import Composer
    from gta.compose.hydra import loader_of

    OmegaConf.set_readonly(master.hydra, None)
    if job and cfg != "hydra":
        whole = Composer(loader_of(hydra), [str(word) for word in master.hydra.overrides.hydra]).compose(job)
        with flag_override(whole, ["struct", "readonly"], [False, False]):
            whole.hydra = master.hydra
        master = whole
    found = hydra.get_sanitized_cfg(master, cfg) if cfg == "job" else master
    assert OmegaConf.is_dict(found)
    return found  # type: ignore[no-any-return]


def _part(whole: DictConfig, cfg: str, package: str | None) -> Any:
    """What --package names of it, where it stands. Raises UserError for what is not there."""
    from omegaconf import OmegaConf

    if cfg == "hydra":
        if package and not f"{package}.".startswith("hydra."):
            raise UserError(absent(package))
        package = package or "hydra"
    shown = OmegaConf.select(whole, package) if package else whole
    if shown is None:
        raise UserError(absent(str(package)))
    return shown


def _differing(jobs: Sequence[Sequence[str]]) -> list[str]:
    """The overrides that not all cells have."""
    return [
        word for word in dict.fromkeys(word for job in jobs for word in job) if not all(word in job for job in jobs)
    ]


def absent(package: str) -> str:
    return f"--package {package}: there is no such part of the config; `gta settings` lists all settings."
