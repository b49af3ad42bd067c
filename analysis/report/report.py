"""A sweep's report: one HTML file that needs nothing else, made of the table, the runs and their artifacts.

`build` gives the page; `write_report` puts it beside the tables, with the figure of mIoU over the label count.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import pandas as pd

from analysis import render
from analysis.report import classes, figures, page, pictures, provenance, sections, settings
from analysis.report.history import RunHistory
from analysis.report.provenance import Files
from analysis.table import Table
from gta.certificate import Certificate, certificates
from gta.files import write_text

NONE: Mapping[str, Mapping] = MappingProxyType({})


def write_report(
    frame: pd.DataFrame,
    table: Table,
    uri: str,
    folder: str | Path,
    paths: Mapping[str, Mapping[str, Path]] = NONE,
    sweep: str | Path | None = None,
) -> list[Path]:
    """Write report.html, miou.svg and miou.png into `folder`. Arguments and errors as of `build`.

    `paths` are what the page links to: signature -> "cell" (the folder), "log" -> path; what is not there is left out.
    The certificates of drills are in `folder`, and those of cells that a variant shares with its sweep in the results
    of the `sweep`.
    """
    folder = Path(folder)
    path = folder / "report.html"
    files = {
        signature: {name: _address(file, folder) for name, file in mine.items() if file.exists()}
        for signature, mine in paths.items()
    }
    drills = certificates(folder)
    if sweep is not None and Path(sweep) != folder:
        drills += [one for one in certificates(Path(sweep)) if one.signature in table.signatures]
    write_text(path, build(frame, table, uri, drills, files))
    return [path, *figures.write_figure(figures.miou_over_labels(table), folder / "miou")]


def _address(file: Path, folder: Path) -> str:
    """A relative link from a page in `folder`, so that both can be moved together."""
    return quote(os.path.relpath(file.absolute(), folder.absolute()))


def build(frame: pd.DataFrame, table: Table, uri: str, drills: Sequence[Certificate] = (), files: Files = NONE) -> str:
    """The page. `frame` as `analysis.runs.load` gives it, `table` built from it, `uri` of the store that both are of;
    `drills` of cells of the sweep; `files`: signature -> "cell", "log" -> address to link to.

    A part without data says why it is left out. It names no time of its own: of the same runs it is the same, and not
    sent to MLflow again. Raises UserError for a store that does not answer.
    """
    recorded = RunHistory(uri, frame, table)
    frame = frame[frame["signature"].isin(recorded.cells["signature"])]
    chosen = best_column(table)
    parts = [
        ("table", "Results", render.fragment(table, heading="h3", brief=True)),
        ("settings", "Settings", settings.settings(recorded, table)),
        ("labels", "mIoU over label count", sections.labels(table)),
        ("curves", "Learning curves", sections.curves(recorded, table)),
        ("classes", "IoU of each class", classes.classes(frame, table)),
        ("confusion", "Confusion matrix", classes.confusions(recorded, table, chosen)),
        ("pictures", "Predictions", pictures.pictures(recorded, table, chosen)),
        ("pseudo", "Pseudo-labels", sections.pseudo_labels(recorded, table)),
        ("cost", "Cost", sections.cost(frame, table, recorded.data_wait())),
        ("drills", "Drills", provenance.drills(drills)),
        ("provenance", "Provenance", provenance.provenance(frame, table, recorded, files)),
    ]
    return page.document(f"{table.title}: report", _subtitle(table, frame), parts, table)


def best_column(table: Table) -> str:
    """The column with the most finished cells; of several, the one with the fewest labels."""
    return max(
        table.columns, key=lambda c: sum(e.n for (_, column), e in table.entries.items() if column == c), default=""
    )


def _subtitle(table: Table, frame: pd.DataFrame) -> str:
    done = sum(entry.n for entry in table.entries.values())
    wanted = sum(entry.wanted for entry in table.entries.values())
    sets = ", ".join(dict.fromkeys(frame["dataset"])) or "no run yet"
    return f"{done} of {wanted} cells have a result · data: {sets}"
