"""The parts of the report, each a fragment of its page; a part without data says why it is left out."""

from __future__ import annotations

import math
import platform
import tempfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from analysis.report import figures, numbers
from analysis.report.history import ACCURACY, KEPT, RunHistory, picture_id
from analysis.report.page import figure, fragments, strip
from analysis.table import Table, TableEntry
from gta.certificate import Certificate
from gta.masking import masked

MOST_PICTURES = 4  # validation images in the report; each once a method
PACKAGES = ("gta-seg", "torch", "mlflow", "numpy", "pandas", "matplotlib")


def labels(table: Table) -> Markup:
    text = "Mean over seeds of the last iteration; bars are one sample standard deviation (none with a single seed)."
    if len(table.columns) == 1:
        text += " Small dots are the seeds."
    done = {place: entry for place, entry in table.entries.items() if entry.mean is not None}
    if not done:
        return fragments.said("Left out: no cell has a result yet.")
    alt = "mIoU in percent over label count. " + " ".join(
        f"{row}: {', '.join(f'{c} {_mean(done.get((row, c)))}' for c in table.columns if (row, c) in done)}."
        for row in table.rows
    )
    return fragments.said(text) + figure(figures.miou_over_labels(table), alt)


def curves(recorded: RunHistory, table: Table) -> Markup:
    points = recorded.miou()
    if points.empty:
        return fragments.said("Left out: no run has been evaluated yet.")
    text = "Thin lines are seeds, thick ones their mean: the scored network, and before it exists the student."
    return fragments.said(text) + fragments.panels(_curve_panels(points, table, "mIoU (%)", False))


def _curve_panels(points: pd.DataFrame, table: Table, ylabel: str, share: bool) -> Iterator[Markup]:
    factor, unit = (100, ylabel.removesuffix(" (%)")) if share else (1, "mIoU")
    for column in table.columns:
        here = points[points["column"] == column]
        for rows in figures.chunks(table.rows):
            mine = here[here["row"].isin(rows)]
            if mine.empty:
                continue
            last = mine.sort_values("iteration").groupby(["row", "seed"], sort=False)["value"].last()
            means = (last.groupby("row", sort=False).mean() * factor).to_dict()
            ends = ", ".join(f"{row} {means[row]:.1f}" for row in rows if row in means)
            alt = f"{unit} in percent by iteration with {column} labels; at the end, mean over seeds: {ends}."
            made = figures.curves(mine, rows, ylabel, share, table.coloured)
            yield fragments.panel(f"{column} labels", figure(made, alt))


def classes(frame: pd.DataFrame, table: Table) -> Markup:
    iou = numbers.class_iou(frame, table)
    if iou.empty:
        return fragments.said("Left out: no finished run has its IoU by class in MLflow.")
    text = "IoU in percent of the scored network at the last iteration, mean over the finished seeds."
    maps = []
    for column in table.columns:
        here = iou[iou["column"] == column]
        if here.empty:
            continue
        wide = here.pivot(index="class", columns="row", values="iou")
        rows = [row for row in table.rows if row in wide]
        names = list(dict.fromkeys(here["class"]))
        lines = [(name, [float(wide.loc[name, row]) for row in rows]) for name in names]
        miou = [table.entries[row, column].mean for row in rows]
        lines.append(("mIoU", [math.nan if value is None else value for value in miou]))
        maps.append(fragments.heat(f"{column} labels", "class", rows, lines))
    return fragments.said(text) + fragments.panels(maps)


def confusions(recorded: RunHistory, table: Table, column: str) -> Markup:
    made = []
    for row in table.rows:
        entry = table.entries.get((row, column), TableEntry())
        found = [c for s in entry.done if (c := recorded.confusion(s.cell.signature)) is not None]
        if found:
            lines = zip(found[0].classes, numbers.confusion_shares(found), strict=True)
            seeds = "1 seed" if len(found) == 1 else f"{len(found)} seeds"
            made.append(fragments.heat(f"{row}, {seeds}", "truth", found[0].classes, lines))
    if not made:
        return fragments.said(
            "Left out: MLflow has no confusion.json of these runs (runs made before it was recorded)."
        )
    text = (
        f"{column} labels. Of the pixels of each true class (row) the percentage that was given each class (column), "
        "over all seeds; ignored pixels are left out. The diagonal is the recall of a class."
    )
    return fragments.said(text) + fragments.panels(made)


def pictures(recorded: RunHistory, table: Table, column: str) -> Markup:
    shown: dict[str, list[Markup]] = {}  # image id -> one strip a method
    seeds = set()
    with tempfile.TemporaryDirectory() as folder:
        for row in table.rows:
            for score in table.entries.get((row, column), TableEntry()).done:
                found = recorded.pictures(score.cell.signature, Path(folder) / score.cell.signature)
                for path in found[:MOST_PICTURES]:
                    name = picture_id(path)
                    alt = f"Image {name}: image, truth, prediction of {row}, and where it is wrong"
                    shown.setdefault(name, []).append(strip(path, alt, row))
                if found:  # one seed a method
                    seeds.add(score.cell.seed)
                    break
    if not shown:
        return fragments.said("Left out: MLflow has no pictures of these runs (runs made before they were recorded).")
    text = (
        f"{column} labels, seed {', '.join(map(str, sorted(seeds)))}: the first validation images, last evaluation. "
        "In the error panel white is right, red is wrong, gray is ignored."
    )
    parts = [fragments.panel(name, fragments.panels(strips, "picture")) for name, strips in shown.items()]
    return fragments.said(text) + Markup("").join(parts)


def pseudo_labels(recorded: RunHistory, table: Table) -> Markup:
    kept, accuracy = recorded.series(KEPT), recorded.series(ACCURACY)
    if kept.empty:
        return fragments.said("Left out: no method of this table logs pseudo-labels, or none has left its warm-up.")
    silent = [row for row in table.rows if row not in set(kept["row"])]
    text = "Share of the unlabeled pixels whose pseudo-label enters the loss, in the batches that were logged."
    if silent:
        text += f" Without pseudo-labels, or none yet: {', '.join(silent)}."
    out = fragments.said(text) + fragments.panels(_curve_panels(kept, table, "pixels kept (%)", True))
    if accuracy.empty:
        return out + fragments.said("Accuracy of the kept labels is left out: it is logged on generated data alone.")
    text = (
        "Share of the kept pseudo-labels that are right, at each evaluation, on the first 32 unlabeled images without "
        "augmentation. The true masks serve this figure and no training step."
    )
    return (
        out + fragments.said(text) + fragments.panels(_curve_panels(accuracy, table, "right among the kept (%)", True))
    )


def cost(frame: pd.DataFrame, table: Table) -> Markup:
    """Hours of the cells: of GPUs where any was used and that is known; else of training on the wall clock."""
    runs = frame.drop_duplicates("signature").set_index("signature")
    known = runs["gpu_hours"].dropna()
    on_gpu = bool((known > 0).any())
    hours = (runs["gpu_hours"] if on_gpu else runs["seconds"] / 3600).to_dict()

    def total(entries: list[TableEntry]) -> list[float]:
        found = [float(hours.get(score.cell.signature, math.nan)) for entry in entries for score in entry.scores]
        return [value for value in found if not math.isnan(value)]

    everything = total(list(table.entries.values()))
    if not everything:
        return fragments.said("Left out: no cell has finished yet.")
    head = ["method", *table.columns, "in all"]
    rows = []
    for row in table.rows:
        cells = [total([table.entries[row, c]]) if (row, c) in table.entries else [] for c in table.columns]
        means = [_hours(sum(values) / len(values)) if values else "–" for values in cells]
        rows.append([row, *means, _hours(sum(map(sum, cells)))])
    columns = [total([e for (_, c), e in table.entries.items() if c == column]) for column in table.columns]
    foot = ["in all", *(_hours(sum(values)) for values in columns), _hours(sum(everything))]
    time_taken = "Time of training and evaluation on the wall clock"
    unit = "GPU-hours" if on_gpu else f"No GPU was used. {time_taken}" if len(known) else time_taken
    text = f"{unit}: mean of a cell, and sums. {len(everything)} cells took {_hours(sum(everything))} in all."
    return fragments.said(text) + fragments.grid(head, rows, foot, "results", "Cost")


def _mean(entry: TableEntry | None) -> str:
    return "–" if entry is None or entry.mean is None else f"{entry.mean:.2f}"


def _hours(value: float) -> str:
    return f"{value:.1f} h" if value >= 10 else f"{value:.2f} h" if value >= 0.1 else f"{60 * value:.1f} min"


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


def provenance(frame: pd.DataFrame, table: Table, recorded: RunHistory) -> Markup:
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
    rows = list(numbers.cell_lines(frame, table))
    head = ["method", "labels", "seed", "mIoU (%)", "network", "iteration", "code", "MLflow run", "signature"]
    listed = fragments.details(f"All {len(rows)} cells", fragments.grid(head, rows, kind="cells", label="Cells"))
    return fragments.definitions(pairs) + listed


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
