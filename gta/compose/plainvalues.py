"""Cells that differ in plain values alone (a seed, a learning rate): one is composed, the others are made of it.

A value is set as OmegaConf would set it, by the type of its field; composing a cell takes ten times as long.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import is_dataclass, replace
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

from gta.compose.hydra import set_as
from gta.config import AugmentConfig, Config


def is_plain(override: Override) -> bool:
    """Whether an override of a value gives one field one value that refers to nothing."""
    value = override.value()
    known = isinstance(value, bool | int | float) or (isinstance(value, str) and not re.search(r"\$|\?\?\?", value))
    return override.type is OverrideType.CHANGE and override.package is None and known


def depends(composed: DictConfig, names: Collection[str]) -> bool:
    """Whether something in a composed, unresolved config follows from a setting of these dotted names, or may: by a
    resolver, or by a reference inside a reference.
    """
    settings = [name.split(".") for name in names]
    for text in texts(OmegaConf.to_container(composed, resolve=False)):
        references = re.findall(r"\$\{([^{}]*)\}", text)
        if text.count("${") > len(references):
            return True
        for reference in map(str.strip, references):
            asked = re.split(r"[.\[\]]+", reference.strip(".[]"))
            if ":" in reference or any(_meet(asked, setting, reference.startswith(".")) for setting in settings):
                return True
    return False


def _meet(asked: list[str], setting: list[str], relative: bool) -> bool:
    """Whether the one is the other or holds it. Of a relative reference the end is known, and not where it begins."""
    if relative:
        return bool(set(asked) & set(setting)) or not asked[0]
    return all(one == other for one, other in zip(asked, setting, strict=False))


def texts(written: Any) -> Iterator[str]:
    """All texts of a config in plain Python."""
    if isinstance(written, str):
        yield written
    elif isinstance(written, (dict, list)):
        for below in written.values() if isinstance(written, dict) else written:
            yield from texts(below)


class Alike:
    """A cell that was composed and typed, of which others are made that differ in plain values (by dotted names)."""

    def __init__(self, composed: DictConfig, config: Config, values: dict[str, Any]):
        self.composed = composed
        self.config = config
        self.values = values
        self._depends: dict[frozenset[str], bool] = {}
        self._sections: dict[tuple[Any, ...], Any] = {}  # those that some value made another

    def with_values(self, values: dict[str, Any]) -> Config:
        """The typed config with these values for the same names. Raises what OmegaConf raises where a field takes no
        such value, and LookupError where the whole has to be composed.
        """
        other = {name: value for name, value in values.items() if _other(value, self.values[name])}
        names = frozenset(other)
        if names not in self._depends:
            self._depends[names] = depends(self.composed, names)
        if self._depends[names]:
            raise LookupError(", ".join(names))
        by_section: dict[str, dict[str, Any]] = {}
        for name, value in other.items():
            by_section.setdefault(name.partition(".")[0], {})[name] = value
        return replace(self.config, **{name: self._section(name, values) for name, values in by_section.items()})

    def _section(self, section: str, values: dict[str, Any]) -> Any:
        """A field of the config with these values in it; the same object for the same ones, so that what is asked of it
        once (`gta.fields.by_object`) need not be asked for every seed.
        """
        key = (section, *((name, repr(value)) for name, value in values.items()))
        if key not in self._sections:
            config = self.config
            for name, value in values.items():
                config = _replaced(config, name.split("."), set_as(self.composed, name, value))
            self._sections[key] = getattr(config, section)
        return self._sections[key]


def _other(one: Any, two: Any) -> bool:
    return type(one) is not type(two) or one != two


def _replaced(config: Any, path: list[str], value: Any) -> Any:
    name, *below = path
    if not is_dataclass(config) or isinstance(config, type):
        raise LookupError(name)
    if hasattr(config, "__post_init__") and not isinstance(config, AugmentConfig):  # which only writes lists in one way
        raise LookupError(name)  # what it made of the first cell's values would pass for given here
    return replace(config, **{name: _replaced(getattr(config, name), below, value) if below else value})
