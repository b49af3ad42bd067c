"""The page of a sweep in MLflow, its own run: the table's numbers as metrics, the table as its note, its files."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gta.errors import UserError
from gta.locks import Busy
from gta.masking import masked
from gta.text import first_line
from gta.tracking import answers, keys, store

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_AGAIN = "`gta table` sends it again"


@dataclass(frozen=True)
class SweepPage:
    """What the page is to have: metrics (None: there is no number any more), the note in Markdown (empty: as it is),
    files by the names of their artifacts; `rows` of the table that they are of: one of fewer rows than the sweep's own
    leaves note and files as they are.
    """

    metrics: Mapping[str, float | None] = field(default_factory=dict)
    note: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)
    rows: tuple[str, ...] = ()


def publish(uri: str, sweep: str, page: SweepPage, runs: Path) -> list[str]:
    """Bring a sweep's own run up to its page; only what is new is sent, and where nothing is, nothing is written.

    `runs`: the folder of runs, for the lock of a store that is no file. A sweep without a run has no page yet. What
    goes wrong is handed back in sentences.
    """
    try:
        uri = store.normal(uri)
        if not store.exists(uri):
            return []
        kept = next(iter(answers.sweep_runs(uri, f"= '{sweep}'")), None)
        if kept is None or not _news(kept, page).anything:
            return []
        client = store.connect(uri)
        experiment = client.get_experiment_by_name(keys.EXPERIMENT)
        run = keys.sweep_run(client, experiment.experiment_id, sweep) if experiment else None
        if run is None:
            return []
        news = _news(run, page)
        if news.anything:
            with store.lock(uri, runs):
                _send(client, uri, run, news)
    except Busy as error:
        return [f"{error.why}: {error.advice}; {_AGAIN}"]
    except UserError as error:
        return [masked(str(error))]
    except Exception as error:  # whatever the store or the network raises
        return [masked(f"MLflow at {uri}: the page of {sweep} is as it was ({first_line(error)[:300]}); {_AGAIN}")]
    return []


@dataclass(frozen=True)
class _News:
    """What the run lacks. `digests`: of all files that it has then."""

    metrics: dict[str, float]
    note: str
    files: dict[str, bytes]
    digests: dict[str, str]

    @property
    def anything(self) -> bool:
        return bool(self.metrics or self.note or self.files)


def _news(run: keys.HasTags, page: SweepPage) -> _News:
    had = run.data.metrics
    metrics = {name: math.nan if value is None else value for name, value in page.metrics.items()}
    metrics = {name: value for name, value in metrics.items() if not _same(had.get(name), value)}
    if not set(keys.rows_of(run)) <= set(page.rows):
        return _News(metrics, "", {}, {})
    note = masked(page.note) if masked(page.note) != run.data.tags.get(keys.NOTE) else ""
    digests = _digests(run)
    files = {name: _content(path) for name, path in page.files.items()}
    files = {name: content for name, content in files.items() if digests.get(name) != _digest(content)}
    return _News(metrics, note, files, {**digests, **{name: _digest(content) for name, content in files.items()}})


def _same(had: float | None, value: float) -> bool:
    """Whether a metric has its value; without a number there is none to be told."""
    if math.isnan(value):
        return had is None or math.isnan(had)
    return had == value


def _digests(run: keys.HasTags) -> dict[str, str]:
    try:
        found = json.loads(run.data.tags.get(keys.FILES, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _content(path: Path) -> bytes:
    """What is sent of a file; of settings without passwords."""
    content = path.read_bytes()
    return masked(content.decode(errors="replace")).encode() if path.suffix == ".yaml" else content


def _send(client: MlflowClient, uri: str, run: Run, news: _News) -> None:
    """Numbers and files first, then the tags that say so: after a kill in between they are sent again."""
    from mlflow.entities import Metric, RunTag

    from gta.tracking.extras import send_content  # imports MLflow

    now = round(time.time() * 1000)
    metrics = [Metric(name, value, now, 0) for name, value in news.metrics.items()]
    for start in range(0, len(metrics), 1000):
        client.log_batch(run.info.run_id, metrics=metrics[start : start + 1000])
    for name, content in news.files.items():
        send_content(run, uri, name, content)
    tags = [RunTag(keys.NOTE, news.note)] if news.note else []
    tags += [RunTag(keys.FILES, json.dumps(news.digests))] if news.files else []
    if tags:
        client.log_batch(run.info.run_id, tags=tags)
