"""runs/costs.json: what the cells of a folder of runs compute, as it was counted, and the rates that were measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from gta.jsonrecord import JsonRecord


@dataclass(frozen=True, kw_only=True)
class Amount:
    """As `gta.train.count.Work` has it."""

    gflop: float
    gbyte: float
    mpixel: float

    def __post_init__(self) -> None:
        _refuse("counts", {name: value for name, value in vars(self).items() if not value >= 0})


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """As `gta.train.count.Counted` has it."""

    warm_up: Amount
    step: Amount
    scored: Amount


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What was measured on one cell. Seconds: `step`, `scored` for a unit of work, `wait` for a million pixels.

    `group`: what they hold for; `key`: of its counts; `cell`: its signature, empty for a few steps that were timed.
    Raises ValueError for a rate by which work would cost nothing, or less; no wait may be.
    """

    group: str
    key: str
    step: float
    wait: float
    scored: float | None = None  # not known: it is in that of the steps
    cell: str = ""
    device: str = ""

    def __post_init__(self) -> None:
        paid = {"step": self.step} if self.scored is None else {"step": self.step, "scored": self.scored}
        _refuse("rates", {name: value for name, value in paid.items() if not value > 0})
        _refuse("rates", {} if self.wait >= 0 else {"wait": self.wait})


def _refuse(of: str, wrong: dict[str, float]) -> None:
    for name, value in wrong.items():
        raise ValueError(f"{of}.{name} is {value!r}")


@dataclass(frozen=True, kw_only=True)
class Costs(JsonRecord):
    """runs/costs.json: key -> counts, and the rates so far."""

    REMEDY: ClassVar[str] = "remove it; `gta plan sweep=NAME --calibrate` makes it again"

    counts: dict[str, Amounts] = field(default_factory=dict)
    rates: list[Rates] = field(default_factory=list)


def costs_file(runs: str | Path) -> Path:
    return Path(runs) / "costs.json"
