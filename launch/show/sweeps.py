"""The sweeps that there are, and how far each is by the records below paths.runs; nothing is made or asked for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from gta.compose.compose import sweep_files
from gta.compose.hydra import ConfigLoaderImpl, Hydra, loader_of
from gta.compose.yamlfile import shown
from gta.errors import UserError
from gta.methods import METHODS
from launch.grid import names, recorded
from launch.grid.grid import composer, expand, master_config, paths_of
from launch.state.ledger import State, look

_SPOKEN = (State.RUNNING, State.FAILED, State.CANCELLED, State.DAMAGED)  # beside what is done


@dataclass(frozen=True)
class SweepStanding:
    """A sweep file. `cells`: how many its grid has; `states`: of those that were begun; `trouble`: why its grid cannot
    be told, and these are empty.
    """

    name: str
    path: Path
    about: str
    cells: int = 0
    states: tuple[tuple[State, int], ...] = ()
    trouble: str = ""

    @property
    def done(self) -> int:
        return dict(self.states).get(State.DONE, 0)

    @property
    def begun(self) -> bool:
        return bool(self.states)

    @property
    def whole(self) -> bool:
        return bool(self.cells) and self.done == self.cells

    def far(self) -> str:
        """Such as "3 of 12 done, 1 failed"."""
        others = [f"{count} {state}" for state, count in self.states if state in _SPOKEN]
        return ", ".join([f"{self.done} of {self.cells} done", *others])

    def as_dict(self) -> dict[str, Any]:
        return {
            "sweep": self.name,
            "file": str(self.path),
            "cells": None if self.trouble else self.cells,
            "done": None if self.trouble else self.done,
            "states": {str(state): count for state, count in self.states},
            "trouble": self.trouble or None,
        }


def sweeps(hydra: Hydra, overrides: Sequence[str]) -> Iterator[SweepStanding]:
    """Every sweep of the package and of ./sweeps, with settings such as paths.runs=FOLDER."""
    loader = loader_of(hydra)
    seen: dict[str, _Seen] | None = None
    for name, path in sorted(sweep_files().items()):
        about = ""
        try:
            about = _about(path)
            master = master_config(hydra, [f"sweep={name}", *overrides])
            if seen is None:
                seen = _Seen.below(Path(paths_of(master).runs))
            jobs = expand(master, loader)
            maybe = [words for words in jobs if _maybe(words, str(master.data.name), seen, loader)]
            yield _counted(SweepStanding(name, path, about, len(jobs)), loader, master, maybe)
        except UserError as error:
            yield SweepStanding(name, path, about, trouble=str(error))


def _counted(
    sweep: SweepStanding, loader: ConfigLoaderImpl, master: Any, jobs: Sequence[Sequence[str]]
) -> SweepStanding:
    """The sweep with the states of its cells; those of the `jobs` may have a record."""
    if not jobs:
        return sweep
    compose = composer(loader, master)
    found = [cell for cell in recorded.known([compose(words) for words in jobs]) if cell is not None]
    cells = {cell.signature: cell for cell in found}
    states = Counter(look(cell).state for cell in cells.values() if cell.folder.path.exists())
    ordered = tuple((state, states[state]) for state in State if states[state])
    return replace(sweep, cells=sweep.cells - len(found) + len(cells), states=ordered)


@dataclass
class _Seen:
    """What the records of the cells of one data set say."""

    labels: set[str] = field(default_factory=set)
    splits: set[str] = field(default_factory=set)
    seeds: set[str] = field(default_factory=set)

    @classmethod
    def below(cls, runs: Path) -> dict[str, _Seen]:
        """By the data set's name."""
        made: dict[str, _Seen] = {}
        for cell in names.known(runs):
            of = made.setdefault(cell.dataset, cls())
            of.labels.add(cell.label)
            of.splits.add(cell.split.replace("/", "_"))
            of.seeds.add(str(cell.seed))
        return made


def _maybe(words: Sequence[str], dataset: str, seen: dict[str, _Seen], loader: ConfigLoaderImpl) -> bool:
    """Whether the cell of these overrides may have a record: to compose each cell of large sweeps takes seconds."""
    said = {name: value.strip("'\"") for name, _, value in (word.partition("=") for word in words)}
    if {"data", "data.name", "method.label"} & said.keys():
        return bool(seen)
    of = seen.get(dataset, _Seen())
    split, seed, label = said.get("data.split"), said.get("seed"), _label(said.get("method", ""), loader)
    return (
        bool(of.labels)
        and (split is None or split.replace("/", "_") in of.splits)
        and (seed is None or not seed.isdecimal() or seed in of.seeds)
        and any(one.startswith(label) for one in of.labels)
    )


def _label(method: str, loader: ConfigLoaderImpl) -> str:
    """What the label of a method's row begins with; empty where that is not known."""
    found = loader.repository.load_config(f"method/{method}") if method else None
    label = found.config.get("label") if found is not None and isinstance(found.config, DictConfig) else ""
    return str(label or (method if method in METHODS else ""))


def _about(path: Path) -> str:
    """The first sentence of a sweep's head, after the line with its command. Empty where it has none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    head = [line[1:].strip() for line in lines if line.startswith("#") and not line[1:].strip().startswith("gta ")]
    return " ".join(head).split(". ")[0].rstrip(".:") if head else str(shown(path))
