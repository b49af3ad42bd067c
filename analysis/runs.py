"""MLflow -> one tidy DataFrame, a row a (run, network).

    signature, run_id                  str: the cell (16 hex digits), its MLflow run
    method, label                      str: key of the method, name of the table's row
    dataset, split, split_family       str: as in the config; ratio: str, "1/16"
    labels, seed                       int: number of labeled images; seed
    network, headline                  str: student, teacher; bool: the network whose score is the run's
    evaluation                         str: the protocol in words
    iteration, best_iteration          int: of the last score (0 until there is one); float: of the best
    miou_last, miou_best               float: percent, NaN until the run has finished
    classes, iou                       list of str; list of float: percent by class at the last iteration, NaN for an
                                       absent class; both empty until there are any. Of more classes than a tag holds
                                       they are read from the run's artifact: empty where that cannot be had
    best_iou                           list of float: the same of the best evaluation; empty of what older versions sent
    status, error                      str: MLflow's (FINISHED, FAILED, RUNNING, KILLED); what stopped it
    seconds, gpu_hours                 float: training time; GPU-hours of all attempts, 0 on a CPU, NaN until known
    commit                             str: git commits that made it, parted by commas; +TREE: had uncommitted changes
    gpu, cpu                           str: kinds of GPU that it trained on, "none" for a CPU; models of the CPUs
    versions                           str: of what computes, "torch 2.11.0+cpu, numpy 2.3.4, ..."; all three of each
                                       attempt of whose training something is left, parted by commas ("torch 2.6.0,
                                       torch 2.11.0"), "" where none says
    data_root                          str: the folder of the pictures, as it was last submitted; "": not known
    timm                               str: versions of timm, parted by commas; "" without a backbone of it, or unknown
    order                              str: of the batches, if not the first alone: "order 1 from iteration 400"
    evaluations                        list of dict, what `gta eval` found out about the network: `which` (last, best),
                                       `iteration`, `evaluation` (the protocol in words), `images`, `miou`,
                                       `commit`, `by_image`, and `iou` where a tag holds it
    digest_labeled, _unlabeled, _val   str: sha256 of the id lists
    digest_weights                     str: sha256 of the initial weights, or "random"

A row a network, not a run: `frame[frame.headline]` is a row a run that has a score.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import class_iou
from analysis.class_iou import ByClass
from gta.cellfolder import BrokenRecord, CellFolder
from gta.errors import UserError
from gta.masking import masked
from gta.text import first_line
from gta.tracking import answers, keys, store
from gta.tracking.answers import KeptRun
from gta.tracking.cell import TrackedCell
from gta.tracking.tags import evaluations_in

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

COLUMNS = {
    "signature": "str",
    "run_id": "str",
    "method": "str",
    "label": "str",
    "dataset": "str",
    "split": "str",
    "split_family": "str",
    "labels": "int64",
    "ratio": "str",
    "seed": "int64",
    "network": "str",
    "headline": "bool",
    "evaluation": "str",
    "iteration": "int64",
    "miou_last": "float64",
    "miou_best": "float64",
    "best_iteration": "float64",
    "status": "str",
    "error": "str",
    "seconds": "float64",
    "gpu_hours": "float64",
    "commit": "str",
    "gpu": "str",
    "cpu": "str",
    "versions": "str",
    "data_root": "str",
    "timm": "str",
    "order": "str",
    "digest_labeled": "str",
    "digest_unlabeled": "str",
    "digest_val": "str",
    "digest_weights": "str",
    "classes": "object",
    "iou": "object",
    "best_iou": "object",
    "evaluations": "object",
}
_PAGE = 1000


def load(
    uri: str,
    signatures: Collection[str] | None = None,
    sweep: str | None = None,
    say: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """The runs of a sweep, of these signatures, of both conditions, or (neither given) all; see above.

    Give the sweep where there is one: MLflow then finds its runs by one query. A run without scores yet has
    one row, its network "". An empty frame with all columns where there is no store. A run whose tags somebody changed
    so that they cannot be read is left out; `say` is told, a sentence a run. Raises UserError for a tracking URI that
    cannot be used or a store that does not answer.
    """
    uri = store.normal(uri)
    if not store.exists(uri):
        return _frame([])
    client = cache(lambda: store.connect(uri))
    try:
        filters = _filters(signatures, sweep)
        runs = answers.runs(uri, f"runs: {filters}", lambda: _search(client(), filters))
    except UserError:
        raise
    except Exception as error:
        raise unread(uri, error) from None
    best: dict[str, KeptRun] = {}
    for run in runs:
        signature = run.data.tags[keys.SIGNATURE]
        if signatures is not None and signature not in signatures:
            continue
        # One run a signature, unless writers shared no lock: then the one that finished, then the later.
        if signature not in best or _rank(run) > _rank(best[signature]):
            best[signature] = run
    rows = []
    for signature, run in best.items():
        try:
            rows += _rows(client, run)
        except (ValueError, TypeError, RecursionError) as error:  # one run must not end the table of the others
            if say is not None:
                why = first_line(error) or type(error).__name__
                say(masked(f"MLflow's run {run.info.run_id} of cell {signature[:8]} has tags that are none ({why})."))
    return _frame(rows)


def unread(uri: str, error: Exception) -> UserError:
    """What is said of a store that does not answer; MLflow's own words may hold a password."""
    return UserError(masked(f"MLflow at {uri} cannot be read: {first_line(error)}"))


def _filters(signatures: Collection[str] | None, sweep: str | None) -> list[str]:
    """What MLflow is asked for, in its words."""
    if sweep is not None:
        return [f"tags.`{keys.SWEEP}{sweep}` = '1'"]
    if signatures is not None and len(signatures) <= 100:
        return [f"tags.`{keys.SIGNATURE}` = '{signature}'" for signature in signatures]
    return [f"tags.`{keys.SIGNATURE}` IS NOT NULL"]


def _search(client: MlflowClient, filters: list[str]) -> Iterator[Run]:
    experiment = client.get_experiment_by_name(keys.EXPERIMENT)
    if experiment is None:
        return
    if experiment.lifecycle_stage == "deleted":
        raise UserError(f"MLflow's experiment {keys.EXPERIMENT!r} is in the trash: `gta sync` restores it.")
    for text in filters:
        token = None
        while True:
            page = client.search_runs([experiment.experiment_id], text, max_results=_PAGE, page_token=token)
            yield from (run for run in page if keys.SIGNATURE in run.data.tags)
            token = page.token
            if not token:
                break


def _rank(run: KeptRun) -> tuple[bool, int]:
    return run.info.status == "FINISHED", run.info.start_time or 0


def of_folders(folders: Iterable[CellFolder], say: Callable[[str], None] | None = None) -> pd.DataFrame:
    """The same of cells' own folders, for numbers that the store does not have; run_id is "". A cell that has not
    begun, or whose result or identity cannot be read, is left out; `say` is told why, a sentence a cell.
    """
    rows = []
    for folder in folders:
        try:
            rows += _of_folder(folder)
        except BrokenRecord as error:
            why = str(error)
        except Exception as error:  # one cell, whatever it holds, must not end the table of the others
            why = f"{folder.path} cannot be read ({first_line(error) or type(error).__name__})."
        else:
            continue
        if say is not None:
            say(masked(why))
    return _frame(rows)


def _of_folder(folder: CellFolder) -> list[dict[str, Any]]:
    """The rows of one cell. Raises BrokenRecord, or OSError for what cannot be opened."""
    cell = TrackedCell.read(folder, whole=False)
    result = cell.result
    iou = class_iou.of_result(result)
    metrics = {point.name: point.value for point in cell.final_points()}
    row = _row(cell.tags(), "", cell.status()[0], result.classes if result else [])
    return _by_network(row, metrics, iou, result.headline if result else "")


def joined(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The runs of two frames; of a cell that both have, those of the second."""
    kept = first[~first["signature"].isin(second["signature"])]
    return _frame([*kept.to_dict("records"), *second.to_dict("records")])  # type: ignore[list-item]


def _rows(client: Callable[[], MlflowClient], run: KeptRun) -> list[dict[str, Any]]:
    tags, metrics = run.data.tags, run.data.metrics
    classes, iou = class_iou.of_run(client, run, keys.networks(metrics))
    row = _row(tags, run.info.run_id, run.info.status, classes)
    return _by_network(row, metrics, iou, tags.get(keys.HEADLINE, ""))


def _row(tags: dict[str, str], run_id: str, status: str, classes: list[str]) -> dict[str, Any]:
    """What all networks of a run share."""
    row: dict[str, Any] = {name: tags.get(keys.tag(name), "") for name in keys.CELL_TAGS}
    row |= {f"digest_{name}": tags.get(keys.DIGEST + name, "") for name in ("labeled", "unlabeled", "val")}
    return row | {
        "run_id": run_id,
        "labels": _whole(row["labels"]),
        "seed": _whole(row["seed"]),
        "digest_weights": tags.get(keys.DIGEST + "weights", ""),
        "evaluation": tags.get(keys.EVALUATION, ""),
        "iteration": _whole(tags.get(keys.ITERATION, "")),
        "status": status,
        "error": tags.get(keys.ERROR, ""),
        "seconds": float(tags.get(keys.SECONDS) or "nan"),
        "gpu_hours": float(tags.get(keys.GPU_SECONDS) or "nan") / 3600,
        "commit": tags.get(keys.COMMIT, ""),
        **{name: tags.get(keys.tag(name), "") for name in ("gpu", "cpu", "versions", "data_root")},
        "timm": tags.get(keys.TIMM, ""),
        "order": tags.get(keys.ORDER, ""),
        "classes": classes,
        "evaluations": evaluations_in(tags),
    }


def _whole(text: str) -> int:
    """A tag's whole number, 0 where it is empty. Raises ValueError, also for one that no column holds."""
    value = int(text or 0)
    if abs(value) >= 2**63:
        raise ValueError(f"{text[:20]}... is no number of anything")
    return value


def _by_network(row: dict[str, Any], metrics: dict[str, float], iou: ByClass, headline: str) -> list[dict[str, Any]]:
    """A row for each network that has scores; one with the network "" where none has."""
    rows = []
    for network in keys.networks(metrics) or [""]:
        scores: dict[str, Any] = {
            name: metrics.get(keys.final(network, name), float("nan"))
            for name in (keys.MIOU_LAST, keys.MIOU_BEST, "best_iteration")
        }
        for name, by_class in zip(("iou", "best_iou"), iou.get(network, ([], [])), strict=True):
            scores[name] = [float("nan") if value is None else value for value in by_class]
        scores["evaluations"] = [one for one in row["evaluations"] if one["network"] == network]
        rows.append({**row, **scores, "network": network, "headline": network != "" and network == headline})
    return rows


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=pd.Index(list(COLUMNS))).astype(COLUMNS)
    order = ["dataset", "labels", "label", "seed", "signature", "network"]
    return frame.sort_values(order, ignore_index=True)
