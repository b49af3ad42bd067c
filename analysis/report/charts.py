"""Tables and curves -> what the page's script draws with Plotly: the lines, as JSON, of the same figures.

A chart is {"x", "y": titles of the axes, "traces", "xrange", "yrange", "log": whether x is, "ticks", "marks"}; a trace
{"row", "place": among the table's colours, "x", "y", "text", "mean": whether it is one, "error", "mode"}.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.render import layout
from analysis.report.series import Limits, mean_of, seeds_of
from analysis.table import Table

DECIMALS = 3


def curves(
    points: pd.DataFrame,
    rows: Sequence[str],
    ylabel: str,
    factor: float,
    of: Sequence[str],
    limits: Limits | None,
    warm_up: Sequence[int],
) -> dict[str, Any]:
    """Arguments as of `figures.curves`; `factor` of the values."""
    places = {row: i for i, row in enumerate(of)}
    traces = []
    for row in rows:
        seeds = seeds_of(points, row, factor)
        for seed, line in seeds.items() if len(seeds) > 1 else ():
            traces.append(_trace(row, places, line, f"seed {seed}", mean=False))
        mean = mean_of(seeds)
        if not mean.empty:
            said = f"mean of {len(seeds)} seeds" if len(seeds) > 1 else f"seed {next(iter(seeds))}"
            traces.append(_trace(row, places, mean, said, mean=True))
    chart: dict[str, Any] = {"x": "iteration", "y": ylabel, "traces": traces, "marks": list(warm_up)}
    if limits:
        chart |= {"xrange": [0, limits.right], "yrange": [limits.low, limits.high]}
    return chart


def labels(table: Table) -> dict[str, Any]:
    """mIoU over the label count: means with error bars, a trace a method; with one column, marks over the methods."""
    counts = table.label_counts
    spaced = len(counts) > 1 and table.counted
    at = {c: counts[c] if spaced else i + 1 for i, c in enumerate(table.columns)}
    traces = []
    for place, row in enumerate(table.coloured):
        done = [(c, e) for c in table.columns if (e := table.entries.get((row, c))) and e.mean is not None]
        if done:
            traces.append(
                {
                    "row": layout.clean(row),
                    "place": place,
                    "x": [at[c] for c, _ in done],
                    "y": [round(e.mean or 0.0, DECIMALS) for _, e in done],
                    "error": [round(e.std or 0.0, DECIMALS) for _, e in done],
                    "text": [
                        f"{layout.clean(c)}\nseeds: " + ", ".join(f"{s.last:.2f}" for s in e.done) for c, e in done
                    ],
                    "mean": True,
                    "mode": "lines+markers",
                }
            )
    ticks = [list(at.values()), [layout.clean(column) for column in at]]
    title = "labeled images (log scale)" if spaced else "labeled images"
    return {"x": title, "y": "mIoU (%)", "log": spaced, "ticks": ticks, "traces": traces, "marks": []}


def _trace(row: str, places: dict[str, int], line: pd.Series, said: str, mean: bool) -> dict[str, Any]:
    return {
        "row": layout.clean(row),
        "place": places[row],
        "x": [int(i) for i in line.index],
        "y": [round(float(value), DECIMALS) for value in line],
        "text": said,
        "mean": mean,
        "mode": "lines",
    }


def script_json(value: Any) -> str:
    """JSON that can stand in a <script> element: no text of it ends the element or begins a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
