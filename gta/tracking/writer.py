"""The one place that writes runs to MLflow: a cell's params, tags, points, artifacts, status, and its sweeps' runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlflow.entities import Metric, Param, RunTag
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from gta.cellfolder import CellFolder
from gta.sweep import Sweep
from gta.tracking import keys
from gta.tracking.cell import Point, TrackedCell
from gta.tracking.extras import send_lists, send_log
from gta.tracking.report import SyncReport
from gta.tracking.sync_cache import TAGS, Sent, cached, remember
from gta.tracking.told import Told, digest

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_THINGS = 1000  # MLflow takes so many in one call,
_ENTRIES = 100  # and of them so many params and so many tags


@dataclass
class Writer:
    """Sends cells to the experiment, as few calls each as MLflow allows."""

    client: MlflowClient
    experiment: str
    uri: str
    told: Told
    report: SyncReport
    parents: dict[str, Run] = field(default_factory=dict)  # sweep -> its own run
    ordered: dict[str, list[str]] = field(default_factory=dict)  # sweep -> its rows, as its own run has them now
    touched: dict[str, Sweep] = field(default_factory=dict)  # tag -> a sweep of which something was sent

    def send(self, cell: TrackedCell, run: Run | None) -> None:
        """Bring the cell's run (made where there is none) up to date; what was sent is remembered last."""
        if run is not None and (kept := run.data.tags.get(keys.JOURNAL)) and cell.journal_began:
            before = float(kept) in cell.begins  # the clock may have been set back since
            if float(kept) > cell.journal_began and not before:
                why = "MLflow has a later run of the same cell"
                self.report.problems.append(f"{cell.folder.path}: not synced, {why}")
                return
            if float(kept) != cell.journal_began:
                # The cell was run anew from nothing, or was cut back: its points do not go among those of the old run.
                # MLflow keeps a deleted run until `mlflow gc`, so that it can be brought back.
                self.client.delete_run(run.info.run_id)
                run = None
        of_sweeps = list(dict.fromkeys([*([cell.sweep] if cell.sweep else []), *self.told.sweeps]))
        sweeps = [sweep.tag for sweep in of_sweeps]
        self.touched |= {sweep.tag: sweep for sweep in of_sweeps}
        tags = cell.tags() | {keys.SWEEP + name: "1" for name in sweeps}
        if sweeps and (run is None or keys.PARENT not in run.data.tags):
            tags[keys.PARENT] = self._parent(of_sweeps[0], cell.created).info.run_id
        if run is None:
            begun = _milliseconds(cell.created)
            run = self.client.create_run(self.experiment, start_time=begun, tags=tags, run_name=cell.run_name())
            self.report.created += 1
        else:
            self.report.updated += 1
        cursor = self._send_data(run, cell, tags)
        send_lists(self.client, run, cell)
        had = cached(cell.folder, self.uri)
        if had is None or had.run_id != run.info.run_id:
            had = Sent(run_id=run.info.run_id, files={}, sweeps=[])
        self._send_artifacts(run, cell, had.files)
        status, ended = cell.status()
        self._set_status(run, status, ended)
        rows = {sweep.tag: self._tell(sweep, cell.created) for sweep in self.told.sweeps if self.told.anything}
        grids = dict.fromkeys(rows, digest(self.told.grid)) if self.told.grid else {}
        known = Sent(
            run_id=run.info.run_id, files=cell.files, sweeps=sweeps, cursor=cursor, rows=rows, grids=grids, tags=TAGS
        )
        sent = replace(known, status=status, ended=ended, log=self._send_log(run, cell, status, had.log))
        remember(cell.folder, self.uri, sent)

    def close_sweeps(self, folders: list[CellFolder], waiting: bool) -> None:
        """Give the sweeps of these cells the status that follows from the cells'; `waiting`: some have not begun."""
        states: dict[str, list[tuple[str, float]]] = {}
        for folder in folders:
            if (sent := cached(folder, self.uri)) is None:  # it could not be read or sent
                waiting = True
                continue
            for name in sent.sweeps:
                states.setdefault(name, []).append((sent.status, sent.ended))
        for name in self.touched.keys() & states.keys():
            found = {status for status, _ in states[name]} | (
                {"KILLED"} if waiting and name in self.told.tags else set()
            )
            status = next(word for word in ("RUNNING", "FAILED", "KILLED", "FINISHED") if word in found)
            ended = max(ended for _, ended in states[name])
            self._set_status(self._parent(self.touched[name], ended), status, ended)

    def _parent(self, sweep: Sweep, began: float) -> Run:
        """The run of a sweep, found by its tag; made where there is none. `began`: in unix seconds."""
        if sweep.tag not in self.parents:
            tags = {keys.SWEEP_RUN: sweep.tag} | ({keys.VARIANT: sweep.variant} if sweep.variant else {})
            found = keys.sweep_run(self.client, self.experiment, sweep.tag)
            self.parents[sweep.tag] = found or self.client.create_run(
                self.experiment, _milliseconds(began), tags, run_name=sweep.tag
            )
        return self.parents[sweep.tag]

    def _tell(self, sweep: Sweep, began: float) -> list[str]:
        """Tell the sweep's own run the rows of its table, which are handed back, and its cells."""
        if sweep.tag not in self.ordered:
            parent = self._parent(sweep, began)
            for name, text in self.told.news(parent).items():
                self.client.set_tag(parent.info.run_id, name, text)
            self.ordered[sweep.tag] = self.told.rows_for(parent)
        return self.ordered[sweep.tag]

    def _send_data(self, run: Run, cell: TrackedCell, tags: dict[str, str]) -> int:
        """Send params, tags and points that the run lacks, remove what counts no more; returns the cursor."""
        run_id, all_points, cursor = run.info.run_id, cell.points(), keys.cursor_of(run)
        # A param cannot be changed once it is there, and need not be: the signature is made of them.
        params = [Param(k, v[:6000]) for k, v in cell.params().items() if k not in run.data.params]
        changed = [RunTag(k, v) for k, v in tags.items() if run.data.tags.get(k) != v]
        final = [point for point in cell.final_points() if run.data.metrics.get(point.name) != point.value]
        points = all_points[cursor:]
        self.report.points += len(points)
        while params or changed or points or final:
            words = changed[: _ENTRIES - 1]
            room = _THINGS - len(params[:_ENTRIES]) - len(words) - 1
            part = points[:room]
            last = final[: room - len(part)]
            cursor += len(part)
            if part:
                # Of one call MLflow stores the metrics before the tags: the cursor never runs ahead.
                words.append(RunTag(keys.CURSOR, str(cursor)))
            metrics = [_metric(point) for point in [*part, *last]]
            self.client.log_batch(run_id, metrics=metrics, params=params[:_ENTRIES], tags=words)
            params, changed = params[_ENTRIES:], changed[_ENTRIES - 1 :]
            points, final = points[len(part) :], final[len(last) :]
        gone = [k for k in run.data.tags if (k == keys.ERROR or k.startswith(keys.EVALUATED)) and k not in tags]
        for name in gone:  # a failure that counts no more; an evaluation that the folder no longer has
            self.client.delete_tag(run_id, name)
        return cursor

    def _send_artifacts(self, run: Run, cell: TrackedCell, sent: dict[str, list[int]]) -> None:
        new = {name: path for name, path in cell.artifacts.items() if sent.get(path) != cell.files[path]}
        if not new:
            return
        repository = get_artifact_repository(run.info.artifact_uri, tracking_uri=self.uri)
        for name, path in new.items():
            repository.log_artifact(str(cell.folder.path / path), name.rpartition("/")[0] or None)

    def _send_log(self, run: Run, cell: TrackedCell, status: str, sent: list[int]) -> list[int]:
        """Send the log of a cell that is over (one that runs would be sent again and again); what is sent of it."""
        if status == "RUNNING" or (path := cell.log) is None:
            return sent
        return send_log(run, self.uri, path, sent)

    def _set_status(self, run: Run, status: str, ended: float) -> None:
        run_id, info = run.info.run_id, run.info
        if status == "RUNNING":
            if info.status != status:
                self.client.update_run(run_id, status=status)
        elif (info.status, info.end_time) != (status, _milliseconds(ended)):
            self.client.set_terminated(run_id, status, end_time=_milliseconds(ended))


def _metric(point: Point) -> Metric:
    return Metric(point.name, point.value, _milliseconds(point.time), point.iteration)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
