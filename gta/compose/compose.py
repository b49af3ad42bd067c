"""From overrides to a typed config: Hydra's schema, groups and search path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gta import ROOT
from gta.compose.hydra import (
    ConfigLoaderImpl,
    Hydra,
    apply_values,
    create,
    group_options,
    outside_resolvers,
    schema,
    to_yaml,
)
from gta.compose.overrides import clear_words
from gta.compose.ownmethods import MethodSource, config_of
from gta.compose.sources import SweepSource, UserSource, yaml_files
from gta.compose.yamlfile import read_settings
from gta.config import Config, MethodConfig
from gta.errors import UserError
from gta.fields import check_value, check_values, describe, values_of
from gta.methods import METHODS, own
from gta.text import first_line

CONF = Path(__file__).parents[1] / "conf"
SWEEPS = ROOT / "sweeps"
SWEEP_FOLDERS = (Path("sweeps"), SWEEPS)  # of two sweeps of one name the first counts


def start() -> Hydra:
    """Hydra with our schema, methods and sweeps; also a user's own `./methods`, `./conf` and `./sweeps`, where they
    exist.
    """
    store = ConfigStore.instance()
    store.store(name="schema", node=schema(Config))
    for name in METHODS.known:
        store.store(group="method", name=name, node=schema(METHODS.config(name)))
    METHODS.kept.clear()
    sweeps = [(SweepSource, folder) for folder in SWEEP_FOLDERS]
    return create("gta", CONF, (MethodSource, own.FOLDER), [(UserSource, Path("conf")), *sweeps])


def sweep_files() -> dict[str, Path]:
    """Name -> file of every sweep: those shipped, and those in `./sweeps` (which win)."""
    return {name: path for folder in reversed(SWEEP_FOLDERS) for name, path in yaml_files(folder).items()}


class Composer:
    """Composes cells that differ in values quickly: groups are composed once, values are applied to a copy.

    That is what Hydra does inside one composition (defaults list first, value overrides after), so the outcome is
    Hydra's own; a test compares the two. Cells that differ in nothing but the seed are typed once.
    """

    def __init__(self, loader: ConfigLoaderImpl, hydra_overrides: Sequence[str] = ()):
        self.loader = loader
        self.hydra_overrides = list(hydra_overrides)
        self._bases: dict[tuple[str, ...], DictConfig] = {}
        self._unseeded: dict[tuple[str, ...], Config | None] = {}
        self._parser = OverridesParser.create(config_loader=loader)
        self._is_group = cache(lambda key: bool(group_options(loader, key)))

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The composed, unresolved config of one cell, without the `hydra` node."""
        parsed = self._parser.parse_overrides(list(overrides))
        groups = tuple(str(o.input_line) for o in parsed if self._is_group(o.key_or_group))
        values = [o for o in parsed if not self._is_group(o.key_or_group)]
        if groups not in self._bases:
            base = self.loader.load_configuration("config", [*self.hydra_overrides, *groups], RunMode.RUN)
            OmegaConf.set_struct(base, False)
            del base["hydra"]
            OmegaConf.set_struct(base, True)
            self._bases[groups] = base
        config = self._bases[groups].copy()
        apply_values(values, config)
        return config

    def cell(self, overrides: Sequence[str]) -> Config:
        """The typed config of one cell, with its fields in their ranges; raises what `compose` and `checked` raise."""
        seeds = [override for override in overrides if re.match(r"[+~]*seed\b", override)]
        plain = re.fullmatch(r"seed=(0|[1-9]\d*)", seeds[0]) if len(seeds) == 1 else None
        if plain is None:
            return checked(self.compose(overrides))
        others = tuple(override for override in overrides if override not in seeds)
        if others not in self._unseeded:
            composed = self.compose(overrides)
            depends = re.search(r"\$\{[^}]*(seed|[:$])", OmegaConf.to_yaml(composed))  # or maybe, by another's name
            self._unseeded[others] = None if depends else checked(composed)
        same = self._unseeded[others]
        if same is None:  # something else follows from the seed
            return checked(self.compose(overrides))
        check_value(values_of(Config)["seed"], "seed", seed := int(plain[1]))
        return replace(same, seed=seed)


def checked(config: DictConfig) -> Config:
    """As `typed`; raises UserError for a value that its field does not declare, too."""
    made = typed(config)
    check_values(made)
    return made


def typed(config: DictConfig) -> Config:
    """A resolved, typed `Config` from a composed one.

    Raises UserError where a value is missing, has the wrong type, or where a field that can change a result depends
    on the time, the environment or Hydra's own state.
    """
    _refuse_volatile(config)
    with clear_words():
        made = OmegaConf.to_object(config)
    assert isinstance(made, Config)
    return made


def read_config(path: Path) -> Config:
    """The typed config from a frozen `config.yaml`. Raises UserError for one that this code cannot read."""
    stored, _ = read_settings(path)
    try:
        node = schema(Config)
        node.method = schema(config_of(path, stored.method.name))
        return typed(OmegaConf.merge(node, stored))  # type: ignore[arg-type]
    except UserError:
        raise
    except (OmegaConfBaseException, LookupError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as the config of a cell by this version: {first_line(error)}") from None


def dump(config: Config) -> str:
    """The resolved config as YAML, without the `hydra` node: what is frozen in a cell's folder."""
    return "".join(_section(item.name, getattr(config, item.name)) for item in fields(config))


_SECTIONS: dict[tuple[str, str], str] = {}  # (name, repr) -> YAML: the cells of a grid differ in few of them
_MOST_SECTIONS = 1000


def _section(name: str, value: Any) -> str:
    """A field of the config as YAML; the dataclasses are resolved and typed already."""
    key = (name, repr(value))
    if key not in _SECTIONS:
        if len(_SECTIONS) >= _MOST_SECTIONS:
            _SECTIONS.clear()
        plain = asdict(value) if is_dataclass(value) else value  # type: ignore[arg-type]
        _SECTIONS[key] = to_yaml({name: _escaped(plain) if "${" in key[1] else plain})
    return _SECTIONS[key]


def _escaped(value: Any) -> Any:
    """The same value for who resolves ${...}: such a text is one that stands there (export SCRATCH=${HOME}/x)."""
    if isinstance(value, dict):
        return {name: _escaped(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(inner) for inner in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def _refuse_volatile(config: DictConfig) -> None:
    """What looks outside the config (`${now:}`, `${oc.env:}`, `${hydra:}` ...) may stand in result-neutral fields only:
    each other field is resolved, and what is asked on the way is seen, however it is reached.
    """
    if not any(
        re.search(r"\$\{.*:", text, re.DOTALL) for text in _texts(OmegaConf.to_container(config, resolve=False))
    ):
        return  # no resolver anywhere
    method = METHODS.config(config.method.name) if config.method.name in METHODS else MethodConfig
    rows = {**describe(Config), **describe(method, "method.")}
    for name in (name for name, row in rows.items() if not row["neutral"]):
        with outside_resolvers() as asked, suppress(OmegaConfBaseException):
            value = OmegaConf.select(config, name)
            if OmegaConf.is_config(value):
                OmegaConf.to_container(value, resolve=True)
        if asked:
            raise UserError(
                f"{name} can change a result, so it must not depend on ${{{asked[0]}:...}}: give it a plain value."
            )


def _texts(written: Any) -> Iterator[str]:
    """All texts of a config in plain Python."""
    if isinstance(written, str):
        yield written
    elif isinstance(written, (dict, list)):
        for below in written.values() if isinstance(written, dict) else written:
            yield from _texts(below)
