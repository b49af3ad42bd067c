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

    `first`, `losses`: largest relative deviation of a loss, in the first two iterations and in all. `weights`: the norm
    of a network's deviations over that of its values, of the worst one, `network`. `miou`: in points. `rounding`:
    whether the first two iterations agree as far as rounding lets them.
    """

    ranks: int
    against: int
    first: float
    losses: float
    weights: float
    network: str
    miou: float
    rounding: bool

    def text(self) -> str:
        grown = f"{self.losses:.1e} over all; weights {self.weights:.1e} ({self.network}), mIoU {self.miou:.2f} points"
        verdict = "rounding" if self.rounding else "MORE THAN ROUNDING"
        first = f"losses {self.first:.1e} apart in the first two steps ({verdict})"
        return f"{self.ranks} against {self.against}: {first}, {grown}"


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
        lines = [f"Drill of {self.title}", *(f"{name:<10} {text}" for name, text in self.parts())]
        return "\n".join(lines) + "\n"

    def parts(self) -> Iterator[tuple[str, str]]:
        """What it says, a (word, text) a line; the verdict is the last."""
        schedule = ", ".join(f"{name} {value}" for name, value in self.schedule.items())
        yield "cell", f"{self.signature}; drilled as {self.drilled}: {schedule}"
        for commit in self.commits:
            yield "code", commit
        for machine in self.machines:
            yield "machine", machine
        yield "with", ", ".join(f"{name} {version}" for name, version in self.packages.items())
        yield "run", f"{self.place}, {self.made}, in {self.seconds:.0f} s"
        for one in self.interruptions:
            went_on = "" if one.resumed is None else f"; went on from iteration {one.resumed}"
            yield "point", one.point + went_on
        for text in self.compared:
            yield "compared", text
        for text in self.differences[1:]:
            yield "also", f"differs: {text}"
        for deviation in self.deviations:
            yield "ranks", deviation.text()
        yield "verdict", self.verdict

    @property
    def place(self) -> str:
        ranks = f"{self.ranks} rank{'s' * (self.ranks > 1)}"
        return f"{'on Slurm' if self.where == 'slurm' else 'on one machine'}, {ranks}"

    @property
    def made(self) -> str:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.time))


def certificates(results: Path) -> list[Certificate]:
    """Those of a sweep, by its results' folder; one that cannot be read is passed over."""
    from gta.cellfolder import readable

    found = (
        readable(lambda: Certificate.read(path), say=lambda _: None)  # noqa: B023
        for path in sorted((results / FOLDER).glob("*.json"))
    )
    return [one for one in found if one is not None]
