"""IoU by class of a run's networks, from its tags or from its artifact."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cellfolder import Result
from gta.tracking import keys
from gta.tracking.answers import KeptRun
from gta.tracking.tags import is_by_class

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ByClass = dict[str, tuple[list[float | None], list[float | None]]]  # network -> IoU of the last evaluation, the best


def of_run(client: Callable[[], MlflowClient], run: KeptRun, networks: list[str]) -> tuple[list[str], ByClass]:
    """The classes, and the IoU of each: from the run's tags; from its artifact where one did not fit a tag."""
    tags = run.data.tags
    wanted = [keys.CLASSES, *(keys.IOU + network for network in networks)]
    if not networks or all(name in tags for name in wanted):
        best = [keys.BEST_IOU + network for network in networks]  # which older versions did not send
        found = {name: json.loads(tags.get(name, "[]")) for name in (*wanted, *best)}
        names, *values = found.values()
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError(f"{keys.CLASSES} is no list of names")
        if not all(map(is_by_class, values)):
            raise ValueError(f"{keys.IOU}... is no list of percentages")
        return found[keys.CLASSES], {
            network: (found[keys.IOU + network], found[keys.BEST_IOU + network]) for network in networks
        }
    result = _result(client, run)
    if result is None:
        return [], {}
    return result.classes, of_result(result)


def of_result(result: Result | None) -> ByClass:
    """The same of a cell's own record; empty without one."""
    networks = result.networks.items() if result else ()
    return {name: (keys.rounded(scores.last.iou), keys.rounded(scores.best.iou)) for name, scores in networks}


def _result(client: Callable[[], MlflowClient], run: KeptRun) -> Result | None:
    """The run's `Result`, of which it has an artifact; None where that is out of reach or broken."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return Result.read(Path(client().download_artifacts(run.info.run_id, keys.RESULT, folder)))
        except Exception:  # a store whose artifacts are elsewhere: the numbers come without it
            return None
