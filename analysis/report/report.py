"""A sweep's report: one HTML file that needs nothing else, made of the table, the runs and their artifacts.

`build` gives the page; `write` puts it beside the tables, with the figure of mIoU over the label count.
"""

from __future__ import annotations

import math
import platform
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pandas as pd

from analysis.protocol import short_commit
from analysis.report import figures, page
from analysis.report.history import ACCURACY, KEPT, Confusion, Recorded, picture_id
from analysis.table import TableEntry, Table
from gta.files import write_text
from gta.text import masked_uri

MOST_PICTURES = 4  # validation images in the report; each once a method
PACKAGES = ("gta-seg", "torch", "mlflow", "numpy", "pandas", "matplotlib")


def write(frame: pd.DataFrame, table: Table, uri: str, folder: str | Path) -> list[Path]:
    """Write report.html, miou.svg and miou.png into `folder`. Arguments and errors as of `build`."""
    folder = Path(folder)
    path = folder / "report.html"
    write_text(path, build(frame, table, uri))
    return [path, *figures.write(figures.miou_over_labels(table), folder / "miou")]


def build(frame: pd.DataFrame, table: Table, uri: str) -> str:
    """The page. `frame` as `analysis.runs.load` gives it, `table` built from it, `uri` of the store that both are of.

    A part without data says why it is left out. Raises UserError for a store that does not answer.
    """
    recorded = Recorded(uri, frame, table)
    frame = frame[frame["signature"].isin(recorded.cells["signature"])]
    chosen = best_column(table)
    sections = [
        ("table", "Results", page.results(table)),
        ("labels", "mIoU over label count", _labels(table)),
        ("curves", "Learning curves", _curves(recorded, table)),
        ("classes", "IoU of each class", _classes(frame, table)),
        ("confusion", "Confusion matrix", _confusions(recorded, table, chosen)),
        ("pictures", "Predictions", _pictures(recorded, table, chosen)),
        ("pseudo", "Pseudo-labels", _pseudo(recorded, table)),
        ("cost", "Cost", cost(frame, table)),
        ("provenance", "Provenance", _provenance(frame, table, recorded)),
    ]
    return page.document(f"{table.title}: report", _subtitle(table, frame), sections)


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


def _labels(table: Table) -> str:
    text = "Mean over seeds of the last iteration; bars are one sample standard deviation (none with a single seed)."
    if len(table.columns) == 1:
        text += " Small dots are the seeds."
    done = {place: entry for place, entry in table.entries.items() if entry.mean is not None}
    if not done:
        return page.said("Left out: no cell has a result yet.")
    alt = "mIoU in percent over label count. " + " ".join(
        f"{row}: {', '.join(f'{c} {_mean(done.get((row, c)))}' for c in table.columns if (row, c) in done)}."
        for row in table.rows
    )
    return page.said(text) + page.figure(figures.miou_over_labels(table), alt)


def _curves(recorded: Recorded, table: Table) -> str:
    points = recorded.miou()
    if points.empty:
        return page.said("Left out: no run has been evaluated yet.")
    text = "Thin lines are seeds, thick ones their mean: the scored network, and before it exists the student."
    return page.said(text) + page.panels(_curve_panels(points, table, "mIoU (%)", False))


def _curve_panels(points: pd.DataFrame, table: Table, ylabel: str, share: bool) -> Iterator[str]:
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
            made = figures.curves(mine, rows, ylabel, share)
            yield f"<div>{page.panel(f'{column} labels', page.figure(made, alt))}</div>"


def _classes(frame: pd.DataFrame, table: Table) -> str:
    iou = class_iou(frame, table)
    if iou.empty:
        return page.said("Left out: no finished run has its IoU by class in MLflow.")
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
        maps.append(page.heat(f"{column} labels", "class", rows, lines))
    return page.said(text) + page.panels(maps)


def class_iou(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Columns row, column, class, iou: percent, mean over the finished seeds of the scored network; NaN where the
    class is absent."""
    finished = frame[frame["headline"] & (frame["status"] == "FINISHED")].set_index("signature")
    rows = []
    for (row, column), entry in table.entries.items():
        runs = [finished.loc[s.cell.signature] for s in entry.done if s.cell.signature in finished.index]
        lists = [dict(zip(run["classes"], run["iou"], strict=False)) for run in runs if run["iou"]]
        for name in dict.fromkeys(name for found in lists for name in found):
            values = pd.Series([found.get(name, math.nan) for found in lists], dtype="float64")
            rows.append((row, column, name, values.mean()))
    return pd.DataFrame(rows, columns=["row", "column", "class", "iou"])


def _confusions(recorded: Recorded, table: Table, column: str) -> str:
    made = []
    for row in table.rows:
        entry = table.entries.get((row, column), TableEntry())
        found = [c for s in entry.done if (c := recorded.confusion(s.cell.signature)) is not None]
        if found:
            lines = zip(found[0].classes, shares(found), strict=True)
            seeds = "1 seed" if len(found) == 1 else f"{len(found)} seeds"
            made.append(page.heat(f"{row}, {seeds}", "truth", found[0].classes, lines))
    if not made:
        return page.said("Left out: MLflow has no confusion.json of these runs (runs made before it was recorded).")
    text = (
        f"{column} labels. Of the pixels of each true class (row) the percentage that was given each class (column), "
        "over all seeds; ignored pixels are left out. The diagonal is the recall of a class."
    )
    return page.said(text) + page.panels(made)


def shares(found: list[Confusion]) -> list[list[float]]:
    """Confusion matrices summed over the runs, each row in percent of its pixels; NaN for a class without any."""
    size = range(len(found[0].classes))
    total = [[sum(one.matrix[i][j] for one in found) for j in size] for i in size]
    return [[100 * pixels / sum(line) if sum(line) else math.nan for pixels in line] for line in total]


def _pictures(recorded: Recorded, table: Table, column: str) -> str:
    shown: dict[str, list[str]] = {}  # image id -> one strip a method
    seeds = set()
    with tempfile.TemporaryDirectory() as folder:
        for row in table.rows:
            for score in table.entries.get((row, column), TableEntry()).done:
                found = recorded.pictures(score.cell.signature, Path(folder) / score.cell.signature)
                for path in found[:MOST_PICTURES]:
                    name = picture_id(path)
                    alt = f"Image {name}: image, truth, prediction of {row}, and where it is wrong"
                    shown.setdefault(name, []).append(page.strip(path, alt, row))
                if found:  # one seed a method
                    seeds.add(score.cell.seed)
                    break
    if not shown:
        return page.said("Left out: MLflow has no pictures of these runs (runs made before they were recorded).")
    text = (
        f"{column} labels, seed {', '.join(map(str, sorted(seeds)))}: the first validation images, last evaluation. "
        "In the error panel white is right, red is wrong, gray is ignored."
    )
    parts = [page.panel(name, f'<div class="picture">{"".join(s)}</div>') for name, s in shown.items()]
    return page.said(text) + "".join(parts)


def _pseudo(recorded: Recorded, table: Table) -> str:
    kept, accuracy = recorded.series(KEPT), recorded.series(ACCURACY)
    if kept.empty:
        return page.said("Left out: no method of this table logs pseudo-labels, or none has left its warm-up.")
    silent = [row for row in table.rows if row not in set(kept["row"])]
    text = "Share of the unlabeled pixels whose pseudo-label enters the loss, in the batches that were logged."
    if silent:
        text += f" Without pseudo-labels, or none yet: {', '.join(silent)}."
    out = page.said(text) + page.panels(_curve_panels(kept, table, "pixels kept (%)", True))
    if accuracy.empty:
        return out + page.said("Accuracy of the kept labels is left out: it is logged on generated data alone.")
    text = (
        "Share of the kept pseudo-labels that are right, at each evaluation, on the first 32 unlabeled images without "
        "augmentation. The true masks serve this figure and no training step."
    )
    return out + page.said(text) + page.panels(_curve_panels(accuracy, table, "right among the kept (%)", True))


def cost(frame: pd.DataFrame, table: Table) -> str:
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
        return page.said("Left out: no cell has finished yet.")
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
    return page.said(text) + page.grid(head, rows, foot, "results", "Cost")


def _hours(value: float) -> str:
    return f"{value:.1f} h" if value >= 10 else f"{value:.2f} h" if value >= 0.1 else f"{60 * value:.1f} min"


def _mean(entry: TableEntry | None) -> str:
    return "–" if entry is None or entry.mean is None else f"{entry.mean:.2f}"


def _provenance(frame: pd.DataFrame, table: Table, recorded: Recorded) -> str:
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
    pairs += [("MLflow", masked_uri(recorded.uri)), ("this page was made by", _versions())]
    rows = list(_cells(frame, table))
    head = ["method", "labels", "seed", "mIoU (%)", "network", "iteration", "code", "MLflow run", "signature"]
    listed = page.details(f"All {len(rows)} cells", page.grid(head, rows, kind="cells", label="Cells"))
    return page.definitions(pairs) + listed


def _cells(frame: pd.DataFrame, table: Table) -> Iterator[list[str]]:
    """A line a wanted cell, in the table's order: where its number comes from, or why there is none."""
    runs = frame.sort_values("headline").drop_duplicates("signature", keep="last").set_index("signature")
    known = runs.to_dict("index")
    for row in table.rows:
        for column in table.columns:
            for score in table.entries.get((row, column), TableEntry()).scores:
                number = score.reason if score.last is None else f"{score.last:.2f}"
                run = known.get(score.cell.signature, {})
                commit = short_commit(str(run.get("commit", "")))
                words = [run.get("network"), run.get("iteration"), commit, run.get("run_id")]
                shown = [str(word or "–") for word in words]
                shown[-1] = shown[-1][:8]
                yield [row, column, str(score.cell.seed), number, *shown, score.cell.signature]


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
