"""What Hydra and OmegaConf keep private and we need: used here and in launch/hydra_plugins, and nowhere else.

An update may move any of it: tests/gta/compose/test_private_names.py then says which name.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.defaults_list import _create_interpolation_map
from hydra._internal.hydra import Hydra
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ConfigDefault, InputDefault, ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult, ConfigSource
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
    "sections_set_by",
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
    """Hydra's, which copies the list of its sources and not all that they hold. `files`: those that were read already,
    which are left as they are; a file is read once for a loader.
    """

    def __init__(self, delegate: IConfigRepository, files: dict[str, ConfigResult | None]):
        self.delegate = copy.copy(delegate)  # another search path gives the copy another list
        self.cache = files

    def initialize_sources(self, config_search_path: Any) -> None:
        super().initialize_sources(config_search_path)
        self.cache = {}  # of other sources


class _Copies:
    """A repository whose files may be changed by who asks: what is merged becomes a part of the config."""

    def __init__(self, repository: IConfigRepository, whole: bool):
        """`whole`: not only the result but its config is a copy; Hydra copies it where it has a place in another."""
        self._repository, self._whole = repository, whole

    def load_config(self, config_path: str) -> ConfigResult | None:
        found = copy.copy(self._repository.load_config(config_path=config_path))
        if found is not None and self._whole:
            found.config = copy.deepcopy(found.config)
        return found

    def get_schema_source(self) -> ConfigSource:
        return self._repository.get_schema_source()


@dataclass
class _Begun(ResultDefault):
    """In the place of the first files of a list: what came of them."""

    config: Any = None


class _Loader(ConfigLoaderImpl):
    """Hydra's, which composes the same in half the time: a file is read once, and what all lists begin with (Hydra's
    own settings and the schema) is merged once.
    """

    def __init__(self, search_path: ConfigSearchPath):
        super().__init__(search_path)
        self._files: dict[str, ConfigResult | None] = {}
        self._begun: dict[tuple[Any, ...], DictConfig] = {}

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        parsed = Parser.create().parse_overrides(overrides)
        repository = _Repository(self.repository, self._files)
        self._process_config_searchpath(config_name, parsed, repository)
        return parsed, repository

    def _compose_config_from_defaults_list(
        self, defaults: list[ResultDefault], repo: IConfigRepository
    ) -> DictConfig:  # fmt: skip
        first = list(itertools.takewhile(_same_for_all, defaults))
        if getattr(repo, "cache", None) is not self._files or not first:
            return super()._compose_config_from_defaults_list(defaults, repo)
        key = tuple((one.config_path, one.package, one.is_self) for one in first)
        if key not in self._begun:
            self._begun[key] = super()._compose_config_from_defaults_list(first, repo)
        begun = _Begun(config_path=first[-1].config_path, config=copy.deepcopy(self._begun[key]))
        return super()._compose_config_from_defaults_list([begun, *defaults[len(first) :]], repo)

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        if isinstance(default, _Begun):
            return ConfigResult(provider="", path="", config=default.config, header={"package": None})
        return super()._load_single_config(default, _Copies(repo, not default.package))  # type: ignore[arg-type]


def sections_set_by(loader: ConfigLoaderImpl, group: str, name: str) -> frozenset[str] | None:
    """The sections that a file of a group sets, of one that was composed already; None where it may do more than that:
    its list of defaults has something else than files of its group. Also where any file that was read names another by
    what is chosen.
    """
    files = loader._files if isinstance(loader, _Loader) else {}
    found = None if "/" in name else files.get(f"config_path={group}/{name}")
    if found is None or any(_by_choice(one) for file in files.values() if file for one in file.defaults_list or ()):
        return None
    package = found.header["package"]
    _, whole, below = (package or f"_global_.{group}").partition("_global_")
    if not whole or not isinstance(found.config, DictConfig):
        return None
    sections = {below[1:].partition(".")[0]} if below else set(map(str, found.config))
    for default in found.defaults_list or ():
        if default.is_self():
            continue
        path = str(default.path) if isinstance(default, ConfigDefault) and not default.package else "/"
        more = None if "/" in path else sections_set_by(loader, group, path)
        if more is None or getattr(files[f"config_path={group}/{path}"], "header", {}).get("package") != package:
            return None
        sections |= more
    return frozenset(sections)


def _by_choice(default: InputDefault) -> bool:
    """Whether an entry of a list of defaults has a `${...}`."""
    words = (getattr(default, name, None) for name in ("path", "group", "value", "package"))
    return any("${" in str(word) for word in words)


def _choices_where_asked(overrides: Any, defaults: list[InputDefault], self_added: bool) -> DictConfig | None:
    """What a `${...}` in a list of defaults may ask for. Hydra makes it for every file, a third of its time."""
    return _create_interpolation_map(overrides, defaults, self_added) if any(map(_by_choice, defaults)) else None


defaults_list._create_interpolation_map = _choices_where_asked  # type: ignore[assignment]


def _same_for_all(default: ResultDefault) -> bool:
    path = default.config_path or ""
    return not default.primary and (path.startswith("hydra/") or path == "schema")


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
