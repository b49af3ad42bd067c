"""What the runs logged while they trained, and the artifacts of their last evaluation: MLflow -> DataFrame, files.

Everything here is asked for the runs of one table; a run that has none of it is left out, never an error.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import yaml

from analysis.table import Table
from gta.cellfolder import CellFolder
from gta.errors import UserError
from gta.masking import masked
from gta.text import first_line
from gta.tracking import store

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

COLUMNS = ["signature", "row", "column", "labels", "seed", "iteration", "value"]
KEPT, ACCURACY = "pseudo/kept", "pseudo/accuracy"  # shares, 0 to 1
DATA_WAIT = "system/data_wait_percent"
WARM_UP = "schedule.warm_up"
LOCAL = "http://127.0.0.1:5000"  # where `make mlflow` has its page
_STUDENT = "val/student/miou"


@dataclass(frozen=True)
class Confusion:
    """Confusion matrix of one run: `matrix` rows truth, columns prediction, in pixels."""

    network: str
    iteration: int
    classes: list[str]
    matrix: list[list[int]]


def cells_frame(table: Table) -> pd.DataFrame:
    """The cells of the table: signature, row, column, labels, seed, in the table's order."""
    found = [
        (score.cell.signature, row, column, score.cell.labels, score.cell.seed)
        for row in table.rows
        for column in table.columns
        if (row, column) in table.entries
        for score in table.entries[row, column].scores
    ]
    return pd.DataFrame(found, columns=COLUMNS[:5])


class RunHistory:
    """Reads the runs of `frame` (as `analysis.runs.load` gives them) that fill `table`.

    Raises UserError, as `load` does, where the store does not answer.
    """

    def __init__(self, uri: str, frame: pd.DataFrame, table: Table) -> None:
        self.uri = store.normal(uri)
        self.cells = cells_frame(table)
        runs = frame.drop_duplicates("signature").set_index("signature")["run_id"].to_dict()
        self.runs = {s: str(runs[s]) for s in self.cells["signature"] if runs.get(s)}  # those that MLflow has
        headline = frame[frame["headline"]]
        self.networks = dict(zip(headline["signature"], headline["network"], strict=True))
        self._client: MlflowClient | None = None

    def series(self, metric: str) -> pd.DataFrame:
        """All points of one metric: COLUMNS, a row a point, in the table's order, then by iteration."""
        return self._tidy({signature: self._points(signature, metric) for signature in self.runs})

    def miou(self) -> pd.DataFrame:
        """mIoU in percent by iteration, as `series`: of the scored network; before it exists, of the student.

        A run that has not ended does not say which network it is scored by: the teacher, where it has one.
        """
        points = {}
        for signature in self.runs:
            scored = self._points(signature, f"val/{self.networks.get(signature, 'teacher')}/miou")
            points[signature] = {**self._points(signature, _STUDENT), **scored}
        return self._tidy(points)

    @cached_property
    def settings(self) -> dict[str, dict[str, str]]:
        """Signature -> dotted name -> text of each setting that can change a result, as its run recorded them."""
        return {signature: dict(run.data.params) for signature, run in self._found.items()}

    def data_wait(self) -> dict[str, float]:
        """Signature -> percent of its training's time that the run waited for batches, as it last said; of those that
        say it. On a GPU that is the most that it may be (`gta.train.waiting`).
        """
        found = {signature: run.data.metrics.get(DATA_WAIT) for signature, run in self._found.items()}
        return {signature: value for signature, value in found.items() if value is not None}

    def warm_ups(self, column: str) -> list[int]:
        """The iterations at which the warm-up of the column's runs ends, without doubles; none that has none."""
        mine = self.cells.loc[self.cells["column"] == column, "signature"]
        texts = {self.settings.get(signature, {}).get(WARM_UP, "") for signature in mine}
        return sorted(int(text) for text in texts if text.isdigit() and int(text) > 0)

    def page(self, signature: str) -> str:
        """The address of the run's page: of the tracking server, or of the one that `make mlflow` starts."""
        run = self._found.get(signature)
        if run is None:
            return ""
        server = masked(self.uri).rstrip("/") if self.uri.startswith("http") else LOCAL
        return f"{server}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"

    def palette(self, signature: str) -> list[list[int]]:
        """RGB by class index as the run's config has them; empty where it has none, or cannot be read."""
        with tempfile.TemporaryDirectory() as folder:
            path = self._artifact(signature, CellFolder(Path()).config_file.name, Path(folder))
            try:
                found = yaml.safe_load(path.read_text(encoding="utf-8"))["data"]["palette"] if path else []
                return [[int(part) for part in colour[:3]] for colour in found]
            except (yaml.YAMLError, OSError, KeyError, TypeError, ValueError):
                return []

    def confusion(self, signature: str) -> Confusion | None:
        """The confusion matrix of the run's last evaluation, or None."""
        with tempfile.TemporaryDirectory() as folder:
            path = self._artifact(signature, "confusion.json", Path(folder))
            return Confusion(**json.loads(path.read_text(encoding="utf-8"))) if path else None

    def pictures(self, signature: str, folder: Path) -> list[Path]:
        """Validation pictures of the run, copied into `folder`, in the order of the list; each has four panels
        side by side: image, truth, prediction, error."""
        folder.mkdir(parents=True, exist_ok=True)
        path = self._artifact(signature, "images", folder)
        return sorted(path.glob("*.png"), key=lambda file: picture_order(file.name)) if path else []

    @property
    def client(self) -> MlflowClient:
        if self._client is None:
            self._client = store.connect(self.uri)
        return self._client

    @cached_property
    def _found(self) -> dict[str, Run]:
        return {signature: self._get(run_id) for signature, run_id in self.runs.items()}

    def _get(self, run_id: str) -> Run:
        try:
            return self.client.get_run(run_id)
        except Exception as error:
            raise self._unread(error) from None

    def _unread(self, error: Exception) -> UserError:
        return UserError(masked(f"MLflow at {self.uri} cannot be read: {first_line(error)}"))

    def _tidy(self, points: dict[str, dict[int, float]]) -> pd.DataFrame:
        rows = [
            (*cell, iteration, value)
            for cell in self.cells.itertuples(index=False)
            for iteration, value in sorted(points.get(str(cell[0]), {}).items())
        ]
        return pd.DataFrame(rows, columns=COLUMNS)

    def _points(self, signature: str, metric: str) -> dict[int, float]:
        try:
            history = self.client.get_metric_history(self.runs[signature], metric)
        except Exception as error:
            raise self._unread(error) from None
        return {point.step: point.value for point in history}

    def _artifact(self, signature: str, name: str, folder: Path) -> Path | None:
        """A file or folder of the run's artifacts, copied into `folder`; None where there is none such."""
        if signature not in self.runs:
            return None
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        try:
            return Path(self.client.download_artifacts(self.runs[signature], name, str(folder)))
        except Exception:  # not there, or a store that is elsewhere: the numbers come without it
            return None


def picture_order(name: str) -> tuple[int, str]:
    """Sorts `10_frame.png` after `9_frame.png`: by the place in the validation list."""
    number = name.partition("_")[0]
    return (int(number) if number.isdigit() else 10**9, name)


def picture_id(path: Path) -> str:
    """The image's id: the file name without the place in the list in front of it."""
    return path.stem.partition("_")[2] or path.stem
