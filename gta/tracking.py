"""The one place that writes to MLflow: replays the cells' journals into it, each point once however often.

A cell has one run, found by its signature tag. The points of a journal (doubles left out) are numbered in
their order, and a tag of the run, the cursor, says how many were sent. The journal's own timestamps go along:
MLflow stores a point once that comes twice with the same timestamp, so that a kill between the points and the
cursor does no harm. A stamp in the cell's folder remembers what was sent: where nothing is new, MLflow is not
even imported.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gta import keys, store
from gta.errors import UserError
from gta.files import write_json
from gta.snapshot import Snapshot, files_of

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

STAMP = "mlflow.json"
_POINTS = 900  # MLflow takes 1000 things in one call
_ENTRIES = 90  # and 100 params, and 100 tags
_PAGE = 100
_ARTIFACTS = ("config.yaml", "cell.json", "result.json")


@dataclass
class SyncReport:
    """What one `sync` did. `problems`: a sentence for each cell, or the store, that could not be synced."""

    cells: int = 0
    waiting: int = 0  # cells that have not started: nothing to record yet
    unchanged: int = 0
    created: int = 0
    updated: int = 0
    points: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = (
            f"{self.cells} cells: {self.created} new in MLflow, {self.updated} updated, "
            f"{self.unchanged} unchanged, {self.waiting} not started; "
            f"{self.points} points in {self.seconds:.1f} s"
        )
        return "\n".join([text, *self.problems])


def sync(cells: Iterable[str | Path], uri: str, sweeps: str | Sequence[str] = (), force: bool = False) -> SyncReport:
    """Bring MLflow up to date with these cell folders, and tag their runs with the `sweeps`.

    Harmless to repeat, at any time, also while the cells run and while another process syncs. A store that is
    down is told in the report's `problems` and loses nothing: what is missing is sent next time. `force`
    looks at everything again, whatever the stamps say. Raises UserError for a tracking URI or a sweep name
    that cannot be used.
    """
    started = time.perf_counter()
    uri = store.normal(uri)
    sweeps = [sweeps] if isinstance(sweeps, str) else list(sweeps)
    for name in sweeps:
        if name != keys.metric(name):
            raise UserError(f"sweep name {name!r}: use letters, digits and _ - . only")
    folders = list(dict.fromkeys(Path(folder) for folder in cells))
    report = SyncReport(cells=len(folders))
    pending, synced = [], []
    for folder in folders:
        files = files_of(folder)
        if not files:
            report.waiting += 1
            continue
        stamp = _stamp(folder, uri)
        new = stamp.get("files") != files or not set(sweeps) <= set(stamp.get("sweeps", ()))
        pending.append(folder) if force or new else synced.append((folder, stamp))
    # A store that was removed, or a run that was deleted in it, is filled again.
    if synced and not store.still_there(uri, [stamp["run_id"] for _, stamp in synced]):
        pending, synced = pending + [folder for folder, _ in synced], []
    report.unchanged = len(synced)
    if pending:
        try:
            with store.lock(uri, folder=pending[0].parent):
                _sync(pending, uri, sweeps, report)
        except Exception as error:  # whatever the store or the network raises: the next sync sends it
            why = f"{_line(error)}; the journals keep everything, sync again later"
            report.problems.append(f"MLflow at {uri}: {why}")
    report.seconds = time.perf_counter() - started
    return report


def _sync(folders: list[Path], uri: str, sweeps: list[str], report: SyncReport) -> None:
    snapshots = []
    for folder in folders:
        try:
            snapshots.append(Snapshot.take(folder))
        except (OSError, ValueError, KeyError, TypeError) as error:
            report.problems.append(f"{folder}: not synced, its files cannot be read ({_line(error)})")
    if not snapshots:
        return
    client = store.connect(uri)
    experiment = store.experiment_id(client, uri)
    known = {s.signature: run_id for s in snapshots if (run_id := _stamp(s.folder, uri).get("run_id"))}
    runs = _find(client, experiment, [s.signature for s in snapshots], known)
    writer = _Writer(client, experiment, uri, sweeps, report)
    for snapshot in snapshots:
        try:
            writer.send(snapshot, runs.get(snapshot.signature))
        except Exception as error:  # one cell that cannot be sent must not keep the others out
            report.problems.append(f"{snapshot.folder}: not synced ({_line(error)}); sync again later")


@dataclass
class _Writer:
    client: MlflowClient
    experiment: str
    uri: str
    sweeps: list[str]
    report: SyncReport

    def send(self, cell: Snapshot, run: Run | None) -> None:
        """Bring the cell's run (made where there is none) up to date, the stamp last."""
        if run is not None and (kept := run.data.tags.get(keys.JOURNAL)) and cell.journal_began:
            if float(kept) > cell.journal_began:
                why = "MLflow has a later run of the same cell"
                self.report.problems.append(f"{cell.folder}: not synced, {why}")
                return
            if float(kept) < cell.journal_began:
                # The cell was run anew from nothing: its points do not go among those of the old run.
                # MLflow keeps a deleted run until `mlflow gc`, so that it can be brought back.
                self.client.delete_run(run.info.run_id)
                run = None
        tags = cell.tags() | {keys.SWEEP + name: "1" for name in self.sweeps}
        if run is None:
            begun = _milliseconds(cell.created)
            run = self.client.create_run(self.experiment, start_time=begun, tags=tags, run_name=cell.run_name())
            self.report.created += 1
        else:
            self.report.updated += 1
        self._send_words(run, cell, tags)
        self._send_points(run, cell)
        self._send_artifacts(run.info.run_id, cell)
        self._send_status(run, cell)
        _write_stamp(cell, self.uri, run.info.run_id, self.sweeps)

    def _send_words(self, run: Run, cell: Snapshot, tags: dict[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        run_id = run.info.run_id
        # A param cannot be changed once it is there, and need not be: the signature is made of them.
        params = [Param(k, v[:6000]) for k, v in cell.params().items() if k not in run.data.params]
        for part in _parts(params, _ENTRIES):
            self.client.log_batch(run_id, params=part)
        changed = [RunTag(k, v) for k, v in tags.items() if run.data.tags.get(k) != v]
        for part in _parts(changed, _ENTRIES):
            self.client.log_batch(run_id, tags=part)
        if keys.ERROR in run.data.tags and keys.ERROR not in tags:
            self.client.delete_tag(run_id, keys.ERROR)

    def _send_points(self, run: Run, cell: Snapshot) -> None:
        from mlflow.entities import Metric, RunTag

        run_id, points, cursor = run.info.run_id, cell.points(), _cursor(run)
        for part in _parts(points[cursor:], _POINTS):
            cursor += len(part)
            metrics = [Metric(p.name, p.value, _milliseconds(p.time), p.iteration) for p in part]
            # Of one call MLflow stores the metrics before the tags: the cursor never runs ahead.
            self.client.log_batch(run_id, metrics=metrics, tags=[RunTag(keys.CURSOR, str(cursor))])
            self.report.points += len(part)
        final = [Metric(p.name, p.value, _milliseconds(p.time), p.iteration) for p in cell.final_points()]
        for part in _parts(final, _POINTS):
            self.client.log_batch(run_id, metrics=part)

    def _send_artifacts(self, run_id: str, cell: Snapshot) -> None:
        stamp = _stamp(cell.folder, self.uri)
        sent = stamp.get("files", {}) if stamp.get("run_id") == run_id else {}
        for name in _ARTIFACTS:
            if name in cell.files and sent.get(name) != cell.files[name]:
                self.client.log_artifact(run_id, str(cell.folder / name))
                if name == "result.json" and (text := cell.iou_csv()):
                    self.client.log_text(run_id, text, "iou.csv")

    def _send_status(self, run: Run, cell: Snapshot) -> None:
        run_id, info = run.info.run_id, run.info
        status, ended = cell.status()
        if status == "RUNNING":
            if info.status != status:
                self.client.update_run(run_id, status=status)
        elif (info.status, info.end_time) != (status, _milliseconds(ended)):
            self.client.set_terminated(run_id, status, end_time=_milliseconds(ended))


def _find(client: MlflowClient, experiment: str, signatures: list[str], known: dict[str, str]) -> dict[str, Run]:
    """Signature -> its run, in few queries. MLflow cannot search "tag in (...)", but "run id in (...)"."""
    found: dict[str, Run] = {}

    def take(runs: Iterable[Run]) -> None:
        for run in runs:
            signature = run.data.tags.get(keys.SIGNATURE, "")
            other = found.get(signature)
            # Two runs of one signature can only come from writers without a common lock: take the fuller.
            if other is None or _cursor(run) > _cursor(other):
                found[signature] = run

    for part in _parts([known[s] for s in signatures if s in known], _PAGE):
        names = ",".join(f"'{run_id}'" for run_id in part)
        take(client.search_runs([experiment], f"attributes.run_id IN ({names})", max_results=_PAGE))
    rest = [s for s in signatures if s not in found]
    if rest:
        page = client.search_runs([experiment], f"tags.`{keys.SIGNATURE}` IS NOT NULL", max_results=_PAGE)
        take(page)
        if page.token:  # the store holds more than a page
            for signature in rest:
                take(client.search_runs([experiment], f"tags.`{keys.SIGNATURE}` = '{signature}'"))
    return {s: found[s] for s in signatures if s in found}


def _cursor(run: Run) -> int:
    return int(run.data.tags.get(keys.CURSOR, 0))


def _stamps(folder: Path) -> dict[str, Any]:
    """Store -> what was sent of this cell to it: {"run_id", "files": as in `files_of`, "sweeps": [...]}."""
    with contextlib.suppress(OSError, ValueError):
        stamps = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        if isinstance(stamps, dict):
            return stamps
    return {}


def _stamp(folder: Path, uri: str) -> dict[str, Any]:
    return _stamps(folder).get(uri, {})


def _write_stamp(cell: Snapshot, uri: str, run_id: str, sweeps: list[str]) -> None:
    stamps = _stamps(cell.folder)
    old = stamps.get(uri, {})
    known = set(old.get("sweeps", ())) if old.get("run_id") == run_id else set()
    stamps[uri] = {"run_id": run_id, "files": cell.files, "sweeps": sorted(known | set(sweeps))}
    write_json(cell.folder / STAMP, stamps)


def _parts(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
