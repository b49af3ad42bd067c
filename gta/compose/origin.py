"""Where each value of a composed config was said: on the command line, in a file with its line, or by the schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gta import ROOT
from gta.compose.filerules import PARAMS
from gta.compose.hydra import ConfigLoaderImpl, Parser, group_options
from gta.compose.overrides import given, parse, written_in

COMMAND_LINE = "the command line"
SCHEMA = "the schema's default"
PROGRAM = "found out of the grid"
_OWN = {"variant": PROGRAM}  # what the program sets itself


class Origins:
    """Of the cells of one composed grid."""

    def __init__(self, loader: ConfigLoaderImpl, master: DictConfig):
        self._loader = loader
        self._parser = Parser.create(config_loader=loader)
        self._hydra = [str(word) for word in master.hydra.overrides.hydra]
        self._typed = {one.key_or_group for one in self._parse(given(master))}
        self._sweep = f"sweep/{master.hydra.runtime.choices.get('sweep')}"
        self._files = cache(self._read)
        self._place = cache(lambda config, name: _short(written_in(loader, config, name)))

    def of(self, overrides: Sequence[str]) -> Callable[[str], str]:
        """For one cell (as `launch.grid.expand` gives it): from the dotted name of a setting to who said its value."""
        parsed = self._parse(overrides)
        groups = [one for one in parsed if group_options(self._loader, one.key_or_group)]
        values = [one.key_or_group for one in parsed if one not in groups]
        files = self._files(tuple(str(one.input_line) for one in groups))

        def origin(name: str) -> str:
            if name in _OWN:
                return _OWN[name]
            said = next((key for key in reversed(values) if f"{name}.".startswith(f"{key}.")), None)
            if said is not None:
                return COMMAND_LINE if said in self._typed else self._place(self._sweep, f"{PARAMS}.{said}")
            return next((self._said(config, name) for config, names in files if name in names), SCHEMA)

        return origin

    def _parse(self, overrides: Sequence[str]) -> list[Override]:
        return parse(self._parser, overrides)

    def _read(self, groups: tuple[str, ...]) -> list[tuple[str, frozenset[str]]]:
        """(config, the names that it says) of all that these choices are composed of, what counts most first."""
        found = self._loader.compute_defaults_list("config", [*self._hydra, *groups], RunMode.MULTIRUN)
        made = []
        for one in reversed(found.defaults):
            path = str(one.config_path)
            result = self._loader.repository.load_config(path) if not path.startswith("hydra/") else None
            if result is not None and isinstance(result.config, DictConfig):
                plain = OmegaConf.to_container(result.config, resolve=False)
                assert isinstance(plain, dict)
                made.append((path, frozenset(_names(plain, f"{one.package}." if one.package else ""))))
        return made

    def _said(self, config: str, name: str) -> str:
        group, _, option = config.partition("/")
        place = self._place(config, name)
        if place != config:  # a file
            return place
        return f"the default of the method {option}" if group == "method" else SCHEMA


def _names(values: Mapping[Any, Any], prefix: str) -> Iterator[str]:
    """Dotted names of what a mapping sets; a mapping of nothing is set as it stands, what is missing (???) is not."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _names(value, f"{prefix}{key}.")
        elif value != "???":
            yield f"{prefix}{key}"


def _short(place: str) -> str:
    """A file of the package as seen from where the package lies."""
    return place.removeprefix(f"{ROOT}/")
