"""Points of runs -> the lines that a panel of curves shows, and the scale that panels share."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

LEAST = 2.0  # half the height of a panel, in percent: what hardly moves is not to look as if it did
HIGHEST = 100.5


def seeds_of(points: pd.DataFrame, row: str, factor: float) -> dict[int, pd.Series]:
    """Seed -> its values times `factor` by iteration, of one row of `points` (`analysis.report.history`)."""
    mine = points[points["row"] == row]
    return {int(str(seed)): found.groupby("iteration")["value"].mean() * factor for seed, found in mine.groupby("seed")}


def mean_of(seeds: dict[int, pd.Series]) -> pd.Series:
    """The mean by iteration, where all seeds have a value."""
    return pd.DataFrame(seeds).dropna().mean(axis=1) if seeds else pd.Series(dtype="float64")


@dataclass(frozen=True)
class Limits:
    """The axes of panels: iterations from 0 to `right`, values from `low` to `high`."""

    right: float
    low: float
    high: float

    @classmethod
    def of(cls, points: pd.DataFrame, factor: float) -> Limits | None:
        """The limits that all of these points fit into; None where there are none."""
        if points.empty:
            return None
        values = points["value"] * factor
        middle, half = (values.min() + values.max()) / 2, max(0.525 * (values.max() - values.min()), LEAST)
        return cls(1.02 * float(points["iteration"].max()), float(middle - half), min(float(middle + half), HIGHEST))
