"""What Hydra and OmegaConf keep private and we need: used here and in launch/hydra_plugins, and nowhere else.

An update may move any of it: tests/gta/compose/test_private_names.py then says which name.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, ValueNode
from omegaconf._utils import get_omega_conf_dumper
from omegaconf.basecontainer import BaseContainer

from gta.compose.sources import SettingsSource

__all__ = [
    "ConfigLoaderImpl",
    "Hydra",
    "Parser",
    "apply_values",
    "create",
    "group_options",
    "loader_of",
    "outside_resolvers",
    "schema",
    "set_as",
    "split_grid",
    "to_yaml",
]


def create(name: str, conf: Path, first: tuple[Any, Path], more: Sequence[tuple[Any, Path]]) -> Hydra:
    """Hydra over the groups of the folder `conf`, and before and behind them those of others: classes of sources, each
    with its folder. Of two of one name the first counts. A folder that is not there has nothing.
    """
    GlobalHydra.instance().clear()
    for source in (SettingsSource, first[0], *(kind for kind, _ in more)):
        SourcesRegistry.instance().register(source)
    search_path = create_config_search_path(f"{SettingsSource.scheme()}://{conf}")
    for anchor, (source, folder) in [("main", first), *(("schema", one) for one in more)]:
        search_path.prepend("user", f"{source.scheme()}://{folder.absolute()}", anchor=anchor)
    hydra = Hydra(task_name=name, config_loader=_Loader(search_path))
    GlobalHydra.instance().initialize(hydra)
    return hydra


_PARSED: dict[str, Override] = {}
_MOST_PARSED = 10_000


class Parser(OverridesParser):
    """Hydra's, which reads a text once: one command asks for each of its words a dozen times, a millisecond each."""

    def parse_rule(self, s: str, rule_name: str) -> Any:
        if rule_name != "override":
            return super().parse_rule(s, rule_name)
        if s not in _PARSED:
            if len(_PARSED) >= _MOST_PARSED:
                _PARSED.clear()
            _PARSED[s] = super().parse_rule(s, rule_name)
        return copy.copy(_PARSED[s])


class _Repository(CachingConfigRepository):
    """Hydra's, which copies the list of its sources and not all that they hold."""

    def __init__(self, delegate: IConfigRepository):
        self.delegate = copy.copy(delegate)  # another search path gives the copy another list
        self.cache = {}


class _Loader(ConfigLoaderImpl):
    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        parsed = Parser.create().parse_overrides(overrides)
        repository = _Repository(self.repository)
        self._process_config_searchpath(config_name, parsed, repository)
        return parsed, repository


def group_options(loader: ConfigLoaderImpl, group: str) -> list[str]:
    """The names in a group. (Hydra's own way of asking copies its whole repository each time.)"""
    return loader.repository.get_group_options(group)


def loader_of(hydra: Hydra) -> ConfigLoaderImpl:
    """Its config loader."""
    loader = hydra.config_loader
    assert isinstance(loader, ConfigLoaderImpl)
    return loader


def apply_values(overrides: Sequence[Override], config: DictConfig) -> None:
    """Apply overrides of values (not of groups) to a composed config, in place."""
    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), config)


def set_as(config: DictConfig, name: str, value: Any) -> Any:
    """What the field of a dotted name becomes by a plain value; the config is left as it is. Raises what OmegaConf
    raises where the field takes none such, and LookupError where the name is not of a single value.
    """
    *sections, last = name.split(".")
    node: Any = config
    for section in sections:
        if not isinstance(node, DictConfig) or node._is_none() or node._is_missing() or node._is_interpolation():
            raise LookupError(name)
        node = node._get_node(section)
    leaf = node._get_node(last) if isinstance(node, DictConfig) and not node._is_none() else None
    if not isinstance(leaf, ValueNode):
        raise LookupError(name)
    leaf = copy.copy(leaf)
    leaf._set_value(value)
    return leaf._value()


def split_grid(overrides: Sequence[Override]) -> list[list[str]]:
    """The overrides of every cell of a grid, the last sweep fastest."""
    return BasicSweeper.split_arguments(list(overrides), None)[0]


def schema(config: Any) -> DictConfig:
    """A node with the types of a dataclass (and the values of an instance), open to overrides.

    OmegaConf makes nodes of frozen dataclasses read-only, and then nothing could be composed. What is made of the node
    (`OmegaConf.to_object`) is frozen all the same.
    """
    node = OmegaConf.structured(config)
    _open(node)
    return node


# these look into the config alone; any other resolver may say another thing at another time or place
_INSIDE = {"oc.create", "oc.decode", "oc.deprecated", "oc.dict.keys", "oc.dict.values", "oc.select"}


@contextmanager
def outside_resolvers() -> Iterator[list[str]]:
    """While entered, the names of the resolvers that are asked for something outside the config are put on the list."""
    before = dict(BaseContainer._resolvers)
    asked: list[str] = []

    def noting(name: str) -> Callable[..., Any]:
        def note(*arguments: Any) -> Any:
            asked.append(name)
            return before[name](*arguments)

        return note

    BaseContainer._resolvers.update({name: noting(name) for name in before if name not in _INSIDE})
    try:
        yield asked
    finally:
        BaseContainer._resolvers.update(before)


def _open(node: DictConfig) -> None:
    OmegaConf.set_readonly(node, None)
    if node._is_none() or node._is_missing():  # of a type all the same, with a flag of its own
        return
    for name in node:
        below = node._get_node(name)
        if isinstance(below, DictConfig):
            _open(below)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """libyaml, where it is there: a third of the time."""


# texts that YAML 1.1 would read as numbers are quoted, as OmegaConf does it
_Dumper.add_representer(str, get_omega_conf_dumper().str_representer)


def to_yaml(values: dict[str, Any]) -> str:
    """What OmegaConf.to_yaml writes of plain Python values, in a tenth of the time."""
    return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False))
