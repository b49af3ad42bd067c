"""Names of the MLflow experiment, tags and metrics: what `gta.tracking` writes and `analysis` reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gta.cellfolder import CellFolder

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

Place = tuple[str, str]  # row and column of a table
NOWHERE: Place = ("", "")  # of a cell of which neither is known

EXPERIMENT = "gta"
LONGEST = 5000  # characters of a tag, or a note, that MLflow takes

# What a cell is: fields of `gta.cellfolder.Identity`. One run has one signature.
SIGNATURE = "gta.signature"
CELL_TAGS = (
    "signature",
    "method",
    "label",
    "dataset",
    "split",
    "split_family",
    "labels",
    "unlabeled",
    "val",
    "ratio",
    "seed",
)
DIGEST = "gta.digest."  # + labeled, unlabeled, val, weights

# What came of it: of its `Result`, or the `Failure` that still counts.
HEADLINE = "gta.headline"
EVALUATION = "gta.evaluation"
ITERATION = "gta.iteration"
SECONDS = "gta.seconds"
ORDER = "gta.order"  # of the batches, where it is not the first alone: "order 1 from iteration 400"
TIMM = "gta.timm"  # of a network over a backbone of timm: the versions of timm that made it, parted by commas
GPU_SECONDS = "gta.gpu_seconds"  # of all attempts
COMMIT = "gta.commit"
CLASSES = "gta.classes"  # JSON list of names; where MLflow takes no text so long, the artifact RESULT alone has it,
IOU = "gta.iou."  # + network: JSON list of percentages (null: class absent), last iteration; as CLASSES
BEST_IOU = "gta.best_iou."  # + network: the same of its best evaluation
EVALUATED = "gta.evaluated."  # + name of an `Evaluation`: JSON of it, less what a tag does not hold
RESULT = CellFolder(Path()).result_file.name  # the artifact with the whole `Result`
ERROR = "gta.error"

# Who made it, and where; from the latest attempt at the cell, what computed it from all of which something is left.
JOB = "gta.job"
HOST = "gta.host"
GPU = "gta.gpu"  # names of the kinds of GPU that it trained on, parted by commas; "none" for a CPU
CPU = "gta.cpu"  # the models of the CPUs, likewise
VERSIONS = (
    "gta.versions"  # of the packages that compute: "torch 2.11.0+cpu, numpy 2.3.4, opencv 4.12.0.88, pillow 12.0.0"
)
ROOT = "gta.data_root"  # the folder of the pictures, as it was last submitted
ATTEMPT = "gta.attempt"  # its number: how often the cell was started
DIRTY = "gta.dirty"  # "true" where the code had changes that no commit has
CHECKPOINT = "gta.checkpoint"  # path of the last checkpoint

# MLflow's own, which its page has columns for.
USER = "mlflow.user"
SOURCE_NAME = "mlflow.source.name"
SOURCE_TYPE = "mlflow.source.type"
SOURCE_COMMIT = "mlflow.source.git.commit"
CONTEXT = "mlflow.data.context"  # of a data set of a run: labeled, unlabeled or val
NOTE = "mlflow.note.content"
LOG = "log.txt"  # the artifact with the end of the log

# How far the record is.
JOURNAL = "gta.journal"  # when the journal that was sent began, unix seconds: its identity
CURSOR = "gta.cursor"  # how many of its points (doubles left out) were sent

SWEEP = "gta.sweep."  # + tag of a sweep, or of a variant, that has the cell; the value is "1"
SWEEP_RUN = "gta.sweep"  # of a sweep's own run, the parent of its cells' runs: its name; shapes/seed-0 of a variant
VARIANT = "gta.variant"  # of a variant's own run: what differs from the sweep as declared, in settings
GRID = "gta.grid."  # + number, of a sweep's own run: JSON, row -> column -> signatures of its cells, a part of it
ROWS = "gta.rows"  # of a sweep's own run: JSON list of the rows of its table, in the sweep's order
FILES = "gta.files"  # of a sweep's own run: JSON, name of an artifact -> the digest of what was sent
PARENT = "mlflow.parentRunId"  # of a cell's run: the run of the sweep that had it first

# Metrics of the finished run, beside the series from the journal. These two are the headline network's.
MIOU_LAST = "miou_last"
MIOU_BEST = "miou_best"
EVALUATION_MIOU = "evaluated/"  # + name of an `Evaluation`: percent
CLASS_IOU = "iou/"  # + class: percent, of the last iteration
_FINAL = re.compile(r"val/([^/]+)/miou_last")


def tag(name: str) -> str:
    """The tag of a field of the cell's identity, such as "gta.method"."""
    return f"gta.{name}"


def final(network: str, name: str) -> str:
    """The metric of a network in the finished run; `name` is miou_last, miou_best or best_iteration."""
    return f"val/{network}/{name}"


def sweep_run(client: MlflowClient, experiment_id: str, sweep: str) -> Run | None:
    """The sweep's own run, by its tag."""
    return next(iter(sweep_runs(client, experiment_id, f"= '{sweep}'")), None)


def sweep_runs(client: MlflowClient, experiment_id: str, condition: str) -> list[Run]:
    """The sweeps' own runs whose tag is so (`= 'shapes'`), each tag once: of two by writers without a common lock, the
    first.
    """
    text = f"tags.`{SWEEP_RUN}` {condition}"
    first: dict[str, Run] = {}
    for run in client.search_runs([experiment_id], text, order_by=["attributes.start_time ASC"]):
        first.setdefault(run.data.tags[SWEEP_RUN], run)
    return list(first.values())


class HasTags(Protocol):
    """A run of MLflow's, or one as it was kept (`gta.tracking.answers`)."""

    @property
    def data(self) -> Any: ...


def rows_of(run: HasTags) -> list[str]:
    """The rows of a sweep's table in the sweep's order, from the sweep's own run; empty where that does not say."""
    return _strings(run.data.tags.get(ROWS, "[]"))


def grid_of(run: HasTags) -> dict[str, Place]:
    """The signatures of a sweep's cells, each with its place in the sweep's table, from the sweep's own run; empty
    where that does not say, and `NOWHERE` where it has a list of signatures alone, as older versions wrote it.
    """
    names = [name for name in run.data.tags if name.startswith(GRID)]
    found: dict[str, Place] = {}
    for name in sorted(names, key=lambda name: (len(name), name)):
        found |= dict.fromkeys(_strings(run.data.tags[name]), NOWHERE)
        part = _loaded(run.data.tags[name])
        for row, columns in part.items() if isinstance(part, dict) else ():
            for column, signatures in columns.items() if isinstance(columns, dict) else ():
                found |= dict.fromkeys(map(str, signatures), (row, column)) if isinstance(signatures, list) else {}
    return found


def _strings(text: str) -> list[str]:
    """A JSON list of texts; empty where it is none."""
    found = _loaded(text)
    return [str(one) for one in found] if isinstance(found, list) else []


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def networks(metrics: dict[str, float]) -> list[str]:
    """The networks that have final metrics among `metrics`, sorted."""
    return sorted(match[1] for match in map(_FINAL.fullmatch, metrics) if match)


def metric(name: str) -> str:
    """`name` with the characters that MLflow refuses in a metric's name replaced by an underscore."""
    return re.sub(r"[^\w.\-:/ ]", "_", name)


def part(name: str) -> str:
    """`name` as a part of a metric's name: no slash, nothing that MLflow refuses or would take for a path."""
    plain = re.sub(r"[^\w\-. ]", "_", name).strip()[:100]
    return plain if plain.strip(".") else "_" * len(plain)


def parts(names: Iterable[str]) -> list[str]:
    """Each name as a `part`, no two alike: of those that MLflow cannot tell apart the later ones have their index, as
    has one of which nothing is left.
    """
    found: list[str] = []
    for index, name in enumerate(names):
        own = part(name) or str(index)
        while own in found:
            own = f"{own} {index}"
        found.append(own)
    return found


def class_metrics(classes: Iterable[str]) -> list[str]:
    """The metric of each class's IoU."""
    return [CLASS_IOU + name for name in parts(classes)]


def rounded(iou: Iterable[float | None]) -> list[float | None]:
    """IoU by class in percent, with the digits that are recorded."""
    return [None if value is None else round(value, 4) for value in iou]


def cursor_of(run: Run) -> int:
    """How many of the journal's points the run has."""
    return int(run.data.tags.get(CURSOR, 0))
