"""Methods by name, each loaded when its class is asked for: what plan, status and table need of them needs no torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gta.config import MethodConfig

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
    """Name -> class. A class may stand in the place of an `Entry`; torch is then loaded by every command."""

    def __init__(self, known: Mapping[str, Entry | type[Method]]):
        self.known = dict(known)

    def __getitem__(self, name: str) -> type[Method]:
        found = self.known[name]
        return found.load() if isinstance(found, Entry) else found

    def __setitem__(self, name: str, value: Entry | type[Method]) -> None:
        self.known[name] = value

    def __delitem__(self, name: str) -> None:
        del self.known[name]

    def __contains__(self, name: object) -> bool:  # the inherited one would load the class
        return name in self.known

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)

    def config(self, name: str) -> type[MethodConfig]:
        """The settings of a method, without its class where that is not loaded. Raises KeyError."""
        found = self.known[name]
        return found.config if isinstance(found, Entry) else found.Config

    def of(self, name: str) -> type[MethodConfig] | type[Method]:
        """Who says what the method is (`uses_unlabeled`, `maths`), likewise."""
        found = self.known[name]
        return found.config if isinstance(found, Entry) else found
