"""Methods by name, each loaded when its class is asked for: what plan, status and table need of them needs no torch.

Those of the package, and then a user's own (`gta.methods.own`), which are looked for each time.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gta.config import MethodConfig
from gta.methods import own

if TYPE_CHECKING:
    from gta.methods.base import Method


@dataclass(frozen=True)
class Entry:
    """A method that is not loaded: its settings, and where its class is ("gta.methods.cps:CPS")."""

    config: type[MethodConfig]
    place: str

    def load(self) -> type[Method]:
        module, _, name = self.place.partition(":")
        found: type[Method] = getattr(importlib.import_module(module), name)
        return found


class Methods(MutableMapping[str, "type[Method]"]):
    """Name -> class. A class may stand in the place of an `Entry`; torch is then loaded by every command.

    `known`: those of the package. `kept`: files that were frozen with cells, for names that nothing else has: by them
    a copy of the runs can be read where the method itself is not at hand.

    What looks a name up raises KeyError, and, of a user's own method that cannot be loaded, UserError.
    """

    def __init__(self, known: Mapping[str, Entry | type[Method]]):
        self.known = dict(known)
        self.kept: dict[str, Path] = {}

    def __getitem__(self, name: str) -> type[Method]:
        found = self._found(name)
        return found.load() if isinstance(found, Entry) else found

    def __setitem__(self, name: str, value: Entry | type[Method]) -> None:
        self.known[name] = value

    def __delitem__(self, name: str) -> None:
        del self.known[name]

    def __contains__(self, name: object) -> bool:  # the inherited one would load the class
        return name in self.known or name in self.own_names()

    def __iter__(self) -> Iterator[str]:
        yield from self.known
        yield from (name for name in self.own_names() if name not in self.known)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def own_names(self) -> list[str]:
        """The names of a user's own methods, none of them loaded."""
        return sorted({*own.names(), *self.kept})

    def config(self, name: str) -> type[MethodConfig]:
        """The settings of a method, without its class where that is not loaded."""
        found = self._found(name)
        return found.config if isinstance(found, Entry) else found.Config

    def configs(self) -> list[type[MethodConfig]]:
        """The settings of all methods of the package, and of those of a user's own that are loaded."""
        return [*(self.config(name) for name in self.known), *own.loaded()]

    def fits(self, config: MethodConfig) -> bool:
        """Whether settings are those of the method that they name."""
        made = own.made_by(type(config))
        return made.name == config.name if made else type(config) is self.config(config.name)

    def of(self, config: MethodConfig) -> type[MethodConfig] | type[Method]:
        """Who says what the method of these settings is (`uses_unlabeled`, `maths`), without its class likewise."""
        if made := own.made_by(type(config)):
            return made.method
        found = self._found(config.name)
        return found.config if isinstance(found, Entry) else found

    def made_of(self, config: MethodConfig) -> type[Method]:
        """The class of the method of these settings: of two sources of one method, the one that they are of."""
        made = own.made_by(type(config))
        return made.method if made else self[config.name]

    def digests(self, config: MethodConfig) -> dict[str, str]:
        """`method` -> sha256 of the source, of a user's own method; empty for one of the package, which has `maths`."""
        made = own.made_by(type(config))
        return {"method": made.digest} if made else {}

    def source(self, config: MethodConfig) -> str | None:
        """The source that is frozen with a cell: of a user's own method that is one file."""
        made = own.made_by(type(config))
        return made.text if made else None

    def at_hand(self, config: MethodConfig) -> bool:
        """Whether the method itself is here, not only a copy that was frozen with a cell."""
        return config.name in self.known or config.name not in self.kept

    def _found(self, name: str) -> Entry | type[Method]:
        if name in self.known:
            return self.known[name]
        if name in self.kept and not own.places(name):
            return own.load_file(self.kept[name], name).method
        return own.find(name).method
