"""Where the numbers of a report come from: code, lists, cells with their files, and what drills found."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata

import pandas as pd
from markupsafe import Markup

from analysis.render import layout
from analysis.report import numbers
from analysis.report.history import RunHistory
from analysis.report.page import fragments
from analysis.table import Table
from gta.certificate import Certificate
from gta.masking import masked

PACKAGES = ("gta-seg", "torch", "mlflow", "numpy", "pandas", "matplotlib")
Files = Mapping[str, Mapping[str, str]]  # signature -> "cell", "log" -> address, from the page's folder


def drills(certificates: Sequence[Certificate]) -> Markup:
    """Which cells were interrupted on purpose, and whether they came out the same."""
    if not certificates:
        return fragments.said("Left out: no cell of this sweep was drilled (gta drill CELL sweep=NAME).")
    text = (
        "The config of a cell, shortened, was interrupted on purpose; every checkpoint, journal line and result was "
        "compared with the undisturbed run's."
    )
    head = ["cell", "where", "made", "interruptions", "verdict"]
    rows = [[one.title, one.place, one.made, len(one.interruptions), one.verdict] for one in certificates]
    listed = [
        fragments.details(f"Certificate of {one.title}", fragments.definitions(one.parts())) for one in certificates
    ]
    return fragments.said(text) + fragments.grid(head, rows, kind="cells", label="Drills") + Markup("").join(listed)


def provenance(frame: pd.DataFrame, table: Table, recorded: RunHistory, files: Files) -> Markup:
    """Code, lists, versions; and a line a cell with what there is to open of it."""

    def distinct(name: str) -> str:
        return ", ".join(dict.fromkeys(str(value) for value in frame[name] if value)) or "–"

    names = {
        "code of the runs (git)": "commit",
        "evaluation": "evaluation",
        "labeled lists (sha256)": "digest_labeled",
        "unlabeled lists": "digest_unlabeled",
        "validation list": "digest_val",
        "initial weights": "digest_weights",
    }
    pairs = [(label, distinct(name)) for label, name in names.items()]
    pairs += [("MLflow", masked(recorded.uri)), ("this page was made by", _versions())]
    head = ["method", "labels", "seed", "mIoU (%)", "network", "iteration", "code", "MLflow run", "cell", "log"]
    rows = [
        [layout.clean(line[0]), *line[1:-2], _run(recorded, line), *_files(files, line[-1])]
        for line in numbers.cell_lines(frame, table)
    ]
    text = "Links to cells and logs hold where this page lies beside the runs; those to MLflow while "
    text += "its server runs." if recorded.uri.startswith("http") else "`make mlflow` runs on this machine."
    listed = fragments.grid(head, rows, kind="cells", label="Cells")
    return fragments.definitions(pairs) + fragments.details(f"All {len(rows)} cells", fragments.said(text) + listed)


def _run(recorded: RunHistory, line: list[str]) -> Markup | str:
    *_, shown, signature = line
    return fragments.link(page, shown) if (page := recorded.page(signature)) else shown


def _files(files: Files, signature: str) -> list[Markup | str]:
    """The cell's folder and its log, as links where they are."""
    found = files.get(signature, {})
    cell = fragments.link(found["cell"], signature) if "cell" in found else signature
    return [cell, fragments.link(found["log"], "log") if "log" in found else "–"]


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
