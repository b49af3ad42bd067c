"""What Hydra and OmegaConf keep private and we need: used here and in launch/hydra_plugins, and nowhere else.

An update may move any of it: tests/gta/compose/test_private_names.py then says which name.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.hydra import Hydra
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper

__all__ = [
    "ConfigLoaderImpl",
    "Hydra",
    "apply_values",
    "create",
    "load_yaml",
    "loader_of",
    "schema",
    "split_grid",
    "to_yaml",
]


# YAML reads these as other numbers than they say: 1_16 as 116, 010 as 8, 1:30 as 90
_NUMBERED = re.compile(r"\d+(_\d+)+|0\d+|\d+(:[0-5]?\d)+")


class SettingsSource(FileConfigSource):
    """Hydra's source of YAML files, in which a split like 1_16 is the text that stands there."""

    @staticmethod
    def scheme() -> str:
        return "settings"

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path) / self._normalize_file_name(config_path)
        if not path.is_file():
            raise ConfigLoadError(f"Config not found : {path}")
        text = path.read_text(encoding="utf-8")
        return ConfigResult(
            config=load_yaml(text),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=self._get_header_dict(text),
        )


def load_yaml(text: str) -> Any:
    """What OmegaConf loads of a YAML text, with what YAML 1.1 would read as another number left as it is written.

    A field that is a number takes such a text as one (10_000).
    """
    # by their ends: an alias is the node of its anchor, and that begins with the anchor's name
    nodes = {node.end_mark.index: node for node in _scalars(yaml.compose(text, Loader=yaml.SafeLoader))}
    for end, node in sorted(nodes.items(), reverse=True):
        if node.style is None and _NUMBERED.fullmatch(node.value):
            text = f"{text[: end - len(node.value)]}'{node.value}'{text[end:]}"
    return OmegaConf.load(io.StringIO(text))


def _scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """All scalars of a YAML document; what has an alias comes again for it."""
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for below in node.value:
            yield from _scalars(below)
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for below in pair:
                yield from _scalars(below)


def create(name: str, conf: Path, user: Path | None = None) -> Hydra:
    """Hydra over the groups of the folder `conf`, and of the user's; of two files of one name that of `conf` counts."""
    GlobalHydra.instance().clear()
    SourcesRegistry.instance().register(SettingsSource)
    search_path = create_config_search_path(f"{SettingsSource.scheme()}://{conf}")
    if user is not None:
        search_path.prepend("user", f"{SettingsSource.scheme()}://{user.resolve()}", anchor="schema")
    return Hydra.create_main_hydra2(name, search_path)


def loader_of(hydra: Hydra) -> ConfigLoaderImpl:
    """Its config loader."""
    loader = hydra.config_loader
    assert isinstance(loader, ConfigLoaderImpl)
    return loader


def apply_values(overrides: Sequence[Override], config: DictConfig) -> None:
    """Apply overrides of values (not of groups) to a composed config, in place."""
    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), config)


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
