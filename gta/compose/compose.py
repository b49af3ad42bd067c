"""From overrides to a typed config: Hydra's schema, groups and search path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gta import ROOT
from gta.compose.hydra import (
    ConfigLoaderImpl,
    Hydra,
    Parser,
    apply_values,
    create,
    group_options,
    outside_resolvers,
    schema,
    sections_set_by,
    to_yaml,
)
from gta.compose.overrides import clear_words
from gta.compose.ownmethods import MethodSource, config_of
from gta.compose.pieces import Pieces
from gta.compose.plainvalues import Alike, Composed, is_choice, is_plain, texts
from gta.compose.sources import SweepSource, UserSource, yaml_files
from gta.compose.yamlfile import read_settings
from gta.config import Config, MethodConfig
from gta.errors import UserError
from gta.fields import check_values, describe
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
    store.store(name="schema", node=_schema(Config))
    for name in METHODS.known:
        store.store(group="method", name=name, node=_schema(METHODS.config(name)))
    METHODS.kept.clear()
    sweeps = [(SweepSource, folder) for folder in SWEEP_FOLDERS]
    return create("gta", CONF, (MethodSource, own.FOLDER), [(UserSource, Path("conf")), *sweeps])


_SCHEMAS: dict[type, DictConfig] = {}


def _schema(kind: type) -> DictConfig:
    """As `schema`, once: what is composed is a copy."""
    if kind not in _SCHEMAS:
        _SCHEMAS[kind] = schema(kind)
    return _SCHEMAS[kind]


def sweep_files() -> dict[str, Path]:
    """Name -> file of every sweep: those shipped, and those in `./sweeps` (which win)."""
    return {name: path for folder in reversed(SWEEP_FOLDERS) for name, path in yaml_files(folder).items()}


Bases = dict[tuple[tuple[str, ...], tuple[str, ...]], DictConfig]


class Composer:
    """Composes cells that differ in values quickly: groups are composed once, values are applied to a copy.

    That is what Hydra does inside one composition (defaults list first, value overrides after), so the outcome is
    Hydra's own; a test compares the two. Cells that differ in plain values alone are typed once (`plainvalues`), and
    those that differ in files take their sections from each other (`pieces`).
    """

    def __init__(self, loader: ConfigLoaderImpl, hydra_overrides: Sequence[str] = (), bases: Bases | None = None):
        """`bases`: what another composer of this loader keeps, to be shared."""
        self.loader = loader
        self.hydra_overrides = list(hydra_overrides)
        self._bases: Bases = {} if bases is None else bases
        self._alike: dict[tuple[tuple[str, ...], ...], Alike] = {}
        self._pieces: dict[tuple[tuple[str, ...], ...], Pieces] = {}
        self._parser = Parser.create(config_loader=loader)
        self._is_group = cache(lambda key: bool(group_options(loader, key)))
        # whether the choices tell the files: not where one follows from another, or the files are of other folders
        self._files_told = not any(re.match(r"\+*hydra(\.searchpath|/.*\$\{)", word) for word in hydra_overrides)

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The composed, unresolved config of one cell, without the `hydra` node."""
        parsed = self._parser.parse_overrides(list(overrides))
        groups = tuple(str(o.input_line) for o in parsed if self._is_group(o.key_or_group))
        values = [o for o in parsed if not self._is_group(o.key_or_group)]
        names = {one.key_or_group for one in parsed if self._is_group(one.key_or_group)}
        ordered = sorted(groups) if len(names) == len(groups) else groups  # of two for one group the last counts
        key = (tuple(self.hydra_overrides), tuple(ordered))
        if key not in self._bases:
            base = self.loader.load_configuration("config", [*self.hydra_overrides, *groups], RunMode.RUN)
            OmegaConf.set_struct(base, False)
            del base["hydra"]
            OmegaConf.set_struct(base, True)
            self._bases[key] = base
        config = self._bases[key].copy()
        apply_values(values, config)
        return config

    def cell(self, overrides: Sequence[str]) -> Config:
        """The typed config of one cell, with its fields in their ranges; raises what `compose` and `checked` raise."""
        parsed = self._parser.parse_overrides(list(overrides))
        names = [one.key_or_group for one in parsed]
        if len(set(names)) < len(names):
            return checked(self.compose(overrides))
        groups = [one for one in parsed if self._is_group(one.key_or_group)]
        plain = {one.key_or_group: one.value() for one in parsed if one not in groups and is_plain(one)}
        others = (tuple(str(one.input_line) for one in parsed if one.key_or_group not in plain), tuple(sorted(plain)))
        if others not in self._alike:
            choices = {one.key_or_group: str(one.value()) for one in groups if is_choice(one)}
            rest = tuple(str(one.input_line) for one in parsed if one.key_or_group not in {*plain, *choices})
            pieces = self._new_pieces()
            if self._files_told and not any("${" in str(one.input_line) for one in groups):
                pieces = self._pieces.setdefault((rest, tuple(sorted(choices)), others[1]), pieces)
            if (made := pieces.made_of(choices)) is None:
                composed = self.compose(overrides)
                made = pieces.add(Composed(composed, checked(composed), plain, choices))
            self._alike[others] = made
        with suppress(OmegaConfBaseException, LookupError):  # the long way says what is wrong
            config = self._alike[others].with_values(plain)
            check_values(config)
            return config
        return checked(self.compose(overrides))

    def _new_pieces(self) -> Pieces:
        return Pieces(partial(sections_set_by, self.loader))


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
    if not any(re.search(r"\$\{.*:", text, re.DOTALL) for text in texts(OmegaConf.to_container(config, resolve=False))):
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
