"""What a drill found out (`gta drill`): a record in the sweep's results, and its text for people."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from gta.jsonrecord import JsonRecord

FOLDER = "drill"  # below a sweep's results


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """One interruption of a drill: where, the attempt that it ended, and the iteration at which the next one began."""

    point: str
    attempt: int
    resumed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """Of a run on `ranks` ranks from the one on `against` ranks.

    `first`, `losses`: largest relative deviation of a loss, at the first iteration and over all. `weights`: largest
    deviation of a network's value, in units of the largest value of its tensor, and `tensor`, its name. `miou`: in
    points. `rounding`: whether the first iteration agrees as far as rounding lets it.
    """

    ranks: int
    against: int
    first: float
    losses: float
    weights: float
    tensor: str
    miou: float
    rounding: bool

    def text(self) -> str:
        grown = f"{self.losses:.1e} over all, weights {self.weights:.1e} ({self.tensor}), mIoU {self.miou:.2f} points"
        verdict = "rounding" if self.rounding else "MORE THAN ROUNDING"
        return (
            f"{self.ranks} against {self.against}: losses {self.first:.1e} apart in the first step ({verdict}), {grown}"
        )


@dataclass(frozen=True, kw_only=True)
class Certificate(JsonRecord):
    """results/NAME/drill/SIGNATURE.json, or SIGNATURE-slurm.json: the last drill of a cell, here or on Slurm.

    `signature` is that of the cell; `drilled` that of the short one (`schedule`) that was run. `differences` are in the
    order in which they came up; none where `identical`. `machines` and `commits` are those of all attempts.
    """

    REMEDY: ClassVar[str] = "remove it; `gta drill` makes another"

    signature: str
    drilled: str
    title: str
    where: str  # local, slurm
    ranks: int
    time: float
    seconds: float
    commits: list[str]
    machines: list[str]
    packages: dict[str, str]
    schedule: dict[str, int]
    interruptions: list[Interruption]
    compared: list[str]
    identical: bool
    differences: list[str] = field(default_factory=list)
    deviations: list[Deviation] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether nothing was found that should not be."""
        return self.identical and all(one.rounding for one in self.deviations)

    @property
    def verdict(self) -> str:
        """In a few words."""
        if self.identical:
            return "identical, bit for bit"
        return f"DIFFERS: {self.differences[0]}" if self.differences else "DIFFERS"

    def file(self, results: Path) -> Path:
        """Where it is kept below a sweep's results."""
        kind = "" if self.where == "local" else f"-{self.where}"
        return results / FOLDER / f"{self.signature}{kind}.json"

    def shown(self) -> str:
        """For people."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield f"Drill of {self.title}"
        yield f"cell       {self.signature}; drilled as {self.drilled}: {self._schedule()}"
        yield f"code       {', '.join(self.commits) or 'outside git'}"
        for machine in self.machines:
            yield f"machine    {machine}"
        yield f"with       {', '.join(f'{name} {version}' for name, version in self.packages.items())}"
        ranks = f"{self.ranks} rank{'s' * (self.ranks > 1)}"
        made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.time))
        yield f"run        {'on Slurm' if self.where == 'slurm' else 'on this machine'}, {ranks}, {made}"
        for one in self.interruptions:
            went_on = "" if one.resumed is None else f"; went on from iteration {one.resumed}"
            yield f"point      {one.point}{went_on}"
        for text in self.compared:
            yield f"compared   {text}"
        for text in self.differences[1:] if not self.identical else ():
            yield f"also       {text}"
        for deviation in self.deviations:
            yield f"ranks      {deviation.text()}"
        yield f"verdict    {self.verdict}"

    def _schedule(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.schedule.items())


def certificates(results: Path) -> list[Certificate]:
    """Those of a sweep, by its results' folder; one that cannot be read is passed over."""
    from gta.cellfolder import readable

    found = (
        readable(lambda: Certificate.read(path), say=lambda _: None)  # noqa: B023
        for path in sorted((results / FOLDER).glob("*.json"))
    )
    return [one for one in found if one is not None]
