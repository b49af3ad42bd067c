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
    """

    group: str
    key: str
    step: float
    wait: float
    scored: float | None = None  # not known: it is in that of the steps
    cell: str = ""
    device: str = ""


@dataclass(frozen=True, kw_only=True)
class Costs(JsonRecord):
    """runs/costs.json: key -> counts, and the rates so far."""

    REMEDY: ClassVar[str] = "remove it; `gta plan sweep=NAME --calibrate` makes it again"

    counts: dict[str, Amounts] = field(default_factory=dict)
    rates: list[Rates] = field(default_factory=list)


def costs_file(runs: str | Path) -> Path:
    return Path(runs) / "costs.json"
