"""Cells that differ in plain values alone (a seed, a learning rate): one is composed, the others are made of it.

A value is set as OmegaConf would set it, by the type of its field; composing a cell takes ten times as long.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gta.compose.hydra import set_as
from gta.config import AugmentConfig, Config


def is_plain(override: Override) -> bool:
    """Whether an override of a value gives one field one value that refers to nothing."""
    value = override.value()
    known = isinstance(value, bool | int | float) or (isinstance(value, str) and not re.search(r"\$|\?\?\?", value))
    return override.type is OverrideType.CHANGE and override.package is None and known


def is_choice(override: Override) -> bool:
    """Whether an override of a group chooses one of its files."""
    return override.type is OverrideType.CHANGE and override.package is None and isinstance(override.value(), str)


def depends(composed: DictConfig, names: Collection[str]) -> bool:
    """Whether something in a composed, unresolved config follows from a setting of these dotted names, or may: by a
    resolver, or by a reference inside a reference.
    """
    return _follow(references(OmegaConf.to_container(composed, resolve=False)), names)


@dataclass(frozen=True)
class Reference:
    """What a `${...}` asks for: the names on the way; of a `relative` one the end is known, and not where it begins."""

    names: tuple[str, ...]
    relative: bool

    def meets(self, setting: list[str]) -> bool:
        """Whether the one is the other or holds it."""
        if self.relative:
            return bool(set(self.names) & set(setting)) or not self.names[0]
        return all(one == other for one, other in zip(self.names, setting, strict=False))


def references(written: Any) -> list[Reference] | None:
    """What the texts of a config in plain Python refer to; None where that cannot be told."""
    found = []
    for text in texts(written):
        inner = re.findall(r"\$\{([^{}]*)\}", text)
        if text.count("${") > len(inner) or any(":" in reference for reference in inner):
            return None
        for reference in map(str.strip, inner):
            names = tuple(re.split(r"[.\[\]]+", reference.strip(".[]")))
            found.append(Reference(names, reference.startswith(".")))
    return found


def _follow(known: list[Reference] | None, names: Collection[str]) -> bool:
    if not names:
        return False
    settings = [name.split(".") for name in names]
    return known is None or any(one.meets(setting) for one in known for setting in settings)


def texts(written: Any) -> Iterator[str]:
    """All texts of a config in plain Python."""
    if isinstance(written, str):
        yield written
    elif isinstance(written, (dict, list)):
        for below in written.values() if isinstance(written, dict) else written:
            yield from texts(below)


class Composed:
    """A cell that was composed and typed, with its plain `values` (by dotted names) and the `choices` of files by which
    it was (by groups).
    """

    def __init__(self, composed: DictConfig, config: Config, values: dict[str, Any], choices: dict[str, str]):
        self.composed = composed
        self.config = config
        self.values = values
        self.choices = choices
        self._sections: dict[tuple[Any, ...], Any] = {}  # those that some value made another

    @cached_property
    def references(self) -> dict[str, list[Reference] | None]:
        """Field of the config -> what it refers to."""
        written = OmegaConf.to_container(self.composed, resolve=False)
        assert isinstance(written, dict)
        return {str(name): references(value) for name, value in written.items()}

    @cached_property
    def has_aliases(self) -> bool:
        """Whether some `${...}` in it is a list or a mapping of another place: a word that sets a part of it has set
        that part there.
        """
        return _has_aliases(self.composed)

    def depends(self, names: Collection[str]) -> bool:
        """As the function of that name."""
        return any(_follow(known, names) for known in self.references.values())

    def section(self, section: str, values: dict[str, Any]) -> Any:
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


def _has_aliases(node: DictConfig | ListConfig) -> bool:
    keys: Iterable[Any] = node if isinstance(node, DictConfig) else range(len(node))
    for key in keys:
        with suppress(OmegaConfBaseException):  # what cannot be resolved is refused where the cell is typed
            below = None if OmegaConf.is_missing(node, key) else node[key]
            if isinstance(below, DictConfig | ListConfig) and (
                OmegaConf.is_interpolation(node, key) or _has_aliases(below)
            ):
                return True
    return False


class Alike:
    """A cell that was composed, or put together of sections of several, of which others are made that differ in plain
    values.
    """

    def __init__(self, config: Config, of: dict[str, Composed]):
        """`of`: field of the config -> the cell that it is of."""
        self.config = config
        self.of = of
        self._depends: dict[frozenset[str], bool] = {}

    @classmethod
    def itself(cls, one: Composed) -> Alike:
        return cls(one.config, {item.name: one for item in fields(one.config)})

    def depends(self, names: frozenset[str]) -> bool:
        """Whether something in it may follow from a setting of these names."""
        if names not in self._depends:
            self._depends[names] = any(one.depends(names) for one in set(self.of.values()))
        return self._depends[names]

    def with_values(self, values: dict[str, Any]) -> Config:
        """The typed config with these values for the same names. Raises what OmegaConf raises where a field takes no
        such value, and LookupError where the whole has to be composed.
        """
        by_section: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            section = name.partition(".")[0]
            if differ(value, self.of[section].values[name]):
                by_section.setdefault(section, {})[name] = value
        if self.depends(names := frozenset(name for section in by_section.values() for name in section)):
            raise LookupError(", ".join(names))
        made = {name: self.of[name].section(name, others) for name, others in by_section.items()}
        return replace(self.config, **made)


def differ(one: Any, two: Any) -> bool:
    """Whether two plain values are not the same: 1 is neither 1.0 nor True."""
    return type(one) is not type(two) or one != two


def _replaced(config: Any, path: list[str], value: Any) -> Any:
    name, *below = path
    if not is_dataclass(config) or isinstance(config, type):
        raise LookupError(name)
    if hasattr(config, "__post_init__") and not isinstance(config, AugmentConfig):  # which only writes lists in one way
        raise LookupError(name)  # what it made of the first cell's values would pass for given here
    return replace(config, **{name: _replaced(getattr(config, name), below, value) if below else value})
