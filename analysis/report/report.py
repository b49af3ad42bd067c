"""A sweep's report: one HTML file that needs nothing else, made of the table, the runs and their artifacts.

`build` gives the page; `write_report` puts it beside the tables, with the figure of mIoU over the label count.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis import render
from analysis.report import figures, page, sections
from analysis.report.history import RunHistory
from analysis.table import Table
from gta.certificate import Certificate, certificates
from gta.files import write_text


def write_report(frame: pd.DataFrame, table: Table, uri: str, folder: str | Path) -> list[Path]:
    """Write report.html, miou.svg and miou.png into `folder`. Arguments and errors as of `build`."""
    folder = Path(folder)
    path = folder / "report.html"
    write_text(path, build(frame, table, uri, certificates(folder)))
    return [path, *figures.write_figure(figures.miou_over_labels(table), folder / "miou")]


def build(frame: pd.DataFrame, table: Table, uri: str, drills: Sequence[Certificate] = ()) -> str:
    """The page. `frame` as `analysis.runs.load` gives it, `table` built from it, `uri` of the store that both are of;
    `drills` of cells of the sweep.

    A part without data says why it is left out. Raises UserError for a store that does not answer.
    """
    recorded = RunHistory(uri, frame, table)
    frame = frame[frame["signature"].isin(recorded.cells["signature"])]
    chosen = best_column(table)
    parts = [
        ("table", "Results", render.fragment(table, heading="h3", stacked=True)),
        ("labels", "mIoU over label count", sections.labels(table)),
        ("curves", "Learning curves", sections.curves(recorded, table)),
        ("classes", "IoU of each class", sections.classes(frame, table)),
        ("confusion", "Confusion matrix", sections.confusions(recorded, table, chosen)),
        ("pictures", "Predictions", sections.pictures(recorded, table, chosen)),
        ("pseudo", "Pseudo-labels", sections.pseudo_labels(recorded, table)),
        ("cost", "Cost", sections.cost(frame, table)),
        ("drills", "Drills", sections.drills(drills)),
        ("provenance", "Provenance", sections.provenance(frame, table, recorded)),
    ]
    return page.document(f"{table.title}: report", _subtitle(table, frame), parts)


def best_column(table: Table) -> str:
    """The column with the most finished cells; of several, the one with the fewest labels."""
    return max(
        table.columns, key=lambda c: sum(e.n for (_, column), e in table.entries.items() if column == c), default=""
    )


def _subtitle(table: Table, frame: pd.DataFrame) -> str:
    done = sum(entry.n for entry in table.entries.values())
    wanted = sum(entry.wanted for entry in table.entries.values())
    sets = ", ".join(dict.fromkeys(frame["dataset"])) or "no run yet"
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return f"{done} of {wanted} cells have a result · data: {sets} · made {made}"
