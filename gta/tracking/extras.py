"""What a run has beside numbers and words: a cell's lists as MLflow's data sets, the end of its log; any content."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from gta.masking import masked
from gta.tracking import keys
from gta.tracking.cell import TrackedCell

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_DIGEST = 36  # characters of a data set's digest that MLflow takes; the tags have all of it
_TAG_LENGTH = 500  # characters of an input's tag that MLflow takes
_LOG_BYTES = 1 << 20  # of a log's end
_UNKNOWN = ("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED", "FEATURE_DISABLED")  # what a server of before data sets says


def send_lists(client: MlflowClient, run: Run, cell: TrackedCell) -> None:
    """Tell MLflow which lists the run is of, by their digests, where it does not know yet; a server that has no data
    sets is left alone.
    """
    known = {(one.dataset.name, one.dataset.digest) for one in (run.inputs.dataset_inputs if run.inputs else ())}
    new = [one for one in _lists(cell) if (one.dataset.name, one.dataset.digest) not in known]
    if not new:
        return
    try:
        client.log_inputs(run.info.run_id, new)
    except MlflowException as error:
        if error.error_code not in _UNKNOWN:
            raise


def _lists(cell: TrackedCell) -> list[DatasetInput]:
    """A list that cells share is one data set in MLflow: how it was split is the run's own to say, in tags of its
    input; the val list is of no split.
    """
    identity = cell.identity
    counts = {"labeled": identity.labels, "unlabeled": identity.unlabeled, "val": identity.val}
    split = {"split": identity.split, "split_family": identity.split_family}
    found = []
    for name, count in counts.items():
        if digest := identity.digests.get(name):
            listed = Dataset(
                name=f"{identity.dataset} {name}"[:500],
                digest=digest[:_DIGEST],
                source_type="list",
                source=json.dumps({"dataset": identity.dataset, "sha256": digest}),
                profile=json.dumps({"num_rows": count}),
            )
            told = {keys.CONTEXT: name, **(split if name != "val" else {})}
            found.append(DatasetInput(listed, [InputTag(key, text[:_TAG_LENGTH]) for key, text in told.items()]))
    return found


def send_log(run: Run, uri: str, path: Path, sent: list[int]) -> list[int]:
    """Send the end of a log, passwords left out, where it is another than what was `sent`; [bytes, modification time in
    ns] of it. A log that cannot be read is left out.
    """
    try:
        stat = path.stat()
        found = [stat.st_size, stat.st_mtime_ns]
        if found == sent:
            return sent
        with path.open("rb") as file:
            file.seek(max(0, found[0] - _LOG_BYTES))
            text = file.read(_LOG_BYTES).decode(errors="replace")
    except OSError:
        return sent
    send_content(run, uri, keys.LOG, masked(text).encode())
    return found


def send_content(run: Run, uri: str, name: str, content: bytes) -> None:
    """Make this the content of the artifact `name` of the run, which everybody can read."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / name
        copy.write_bytes(content)
        with suppress(OSError):
            os.chmod(copy, 0o644)
        get_artifact_repository(run.info.artifact_uri, tracking_uri=uri).log_artifact(str(copy))
