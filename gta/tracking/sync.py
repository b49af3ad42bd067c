"""Bringing MLflow up to the cells' journals, each point once however often, for one cell or thousands.

A cell has one run, found by its signature tag. The points of a journal (doubles left out) are numbered in
their order, and a tag of the run, the cursor, says how many were sent. The journal's own timestamps go along:
MLflow stores a point once that comes twice with the same timestamp, so that a kill between the points and the
cursor does no harm. `gta.tracking.sync_cache` remembers in the cell's folder what was sent: where nothing is new,
MLflow is not even imported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gta.errors import UserError
from gta.text import first_line, masked_uri
from gta.tracking import keys, store
from gta.tracking import sync_cache as stamps
from gta.tracking.cell import Snapshot, files_of

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

    from gta.tracking.writer import Writer

Alive = Callable[[Path], bool | None]
_TOGETHER = 50  # cells whose journals are in memory, and for which the store is locked, at a time
_PAGE = 1000
_FEW = 20  # so many signatures are asked for one by one; for more the whole experiment is read


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


def sync(
    cells: Iterable[str | Path],
    uri: str,
    sweeps: str | Sequence[str] = (),
    force: bool = False,
    alive: Alive | None = None,
    check: bool = False,
    partial: bool = False,
) -> SyncReport:
    """Bring MLflow up to date with these cell folders; their runs are tagged with, and below, the `sweeps`.

    Harmless to repeat, at any time, also while the cells run and while another process syncs. A store that is
    down is told in the report's `problems` and loses nothing: what is missing is sent next time. `alive` says of
    a folder whether a process works on the cell (None: not known): a run that a dead one left RUNNING is closed.
    `check` compares the stamps with what a server holds (with an SQLite store that is always done, being cheap);
    `force` looks at everything again, whatever the stamps say. `partial`: these are not all cells of their sweeps,
    whose own status is left as it is. Raises UserError for a tracking URI or a sweep name that cannot be used.
    """
    started = time.perf_counter()
    uri = store.normal(uri)
    sweeps = [sweeps] if isinstance(sweeps, str) else list(sweeps)
    for name in sweeps:
        if name != keys.metric(name):
            raise UserError(f"sweep name {name!r}: use letters, digits and _ - . only")
    folders = list(dict.fromkeys(Path(folder) for folder in cells))
    report = SyncReport(cells=len(folders))
    pending: list[Path] = []
    synced: dict[Path, dict[str, Any]] = {}
    for folder in folders:
        files = files_of(folder)
        if not files:
            report.waiting += 1
            continue
        stamp = stamps.read(folder, uri)
        stale = stamp.get("files") != files or not set(sweeps) <= set(stamp.get("sweeps", ()))
        died = alive is not None and stamp.get("status") == "RUNNING" and alive(folder) is False
        if force or stale or died:
            pending.append(folder)
        else:
            synced[folder] = stamp
    try:
        # A store that was removed, emptied or set back is filled again.
        for folder in _gone(synced, uri, check):
            pending.append(folder)
            del synced[folder]
        report.unchanged = len(synced)
        if pending:
            _Sync(uri, sweeps, alive, report).run(pending, None if partial else list(synced))
    except Exception as error:  # whatever the store or the network raises: the next sync sends it
        why = f"{first_line(error)[:300]}; the journals keep everything, sync again later"
        report.problems.append(f"MLflow at {masked_uri(uri)}: {why}")
    report.seconds = time.perf_counter() - started
    return report


def _gone(synced: dict[Path, dict[str, Any]], uri: str, check: bool) -> list[Path]:
    """The cells whose runs are not in the store any more, or are behind their stamps."""
    ids = {stamp["run_id"]: folder for folder, stamp in synced.items()}
    if not ids or store.still_there(uri, list(ids)):
        return []
    if store.sqlite_path(uri) is None and not check:
        return []
    if not store.exists(uri):
        return list(synced)
    client = store.connect(uri)
    experiment = client.get_experiment_by_name(keys.EXPERIMENT)
    runs = _runs(client, experiment.experiment_id, list(ids)) if experiment else []
    there = {run.info.run_id: keys.cursor_of(run) for run in runs}
    return [folder for folder, stamp in synced.items() if there.get(stamp["run_id"]) != stamp.get("cursor")]


@dataclass
class _Sync:
    """One `sync` that has something to send."""

    uri: str
    sweeps: list[str]
    alive: Alive | None
    report: SyncReport

    def run(self, pending: list[Path], rest: list[Path] | None) -> None:
        """Send the `pending` cells; `rest` are those of the same sweeps that need nothing (None: not known)."""
        from gta.tracking.writer import Writer

        folder = pending[0].parent
        with store.lock(self.uri, folder):
            client = store.connect(self.uri)
            experiment = store.experiment_id(client, self.uri, folder.parent)
        located: dict[str, str] | None = None
        writer = Writer(client, experiment, self.uri, self.sweeps, self.report)
        for start in range(0, len(pending), _TOGETHER):
            snapshots = self._snapshots(pending[start : start + _TOGETHER])
            # The lock is let go of now and then, so that another writer of the same store need not wait for all.
            with store.lock(self.uri, folder):
                known = {s.signature: run_id for s in snapshots if (run_id := self._stamped(s))}
                runs = _by_signature(_runs(client, experiment, list(known.values())))
                missing = [s.signature for s in snapshots if s.signature not in runs]
                if located is None and len(missing) > _FEW:
                    located = _locate(client, experiment)
                runs |= _search(client, experiment, missing, located)
                for snapshot in snapshots:
                    self._send(writer, snapshot, runs.get(snapshot.signature))
        if rest is None:
            return
        with store.lock(self.uri, folder):
            writer.close_sweeps([*pending, *rest], waiting=self.report.waiting > 0)

    def _snapshots(self, folders: list[Path]) -> list[Snapshot]:
        found = []
        for folder in folders:
            try:
                found.append(Snapshot.take(folder, self.alive(folder) if self.alive else None))
            except (OSError, ValueError, KeyError, TypeError) as error:
                self.report.problems.append(
                    f"{folder}: not synced, its files cannot be read ({first_line(error)[:300]})"
                )
        return found

    def _stamped(self, snapshot: Snapshot) -> str | None:
        return stamps.read(snapshot.folder, self.uri).get("run_id")

    def _send(self, writer: Writer, snapshot: Snapshot, run: Run | None) -> None:
        try:
            writer.send(snapshot, run)
        except Exception as error:  # one cell that cannot be sent must not keep the others out
            self.report.problems.append(f"{snapshot.folder}: not synced ({first_line(error)[:300]}); sync again later")


def _search(
    client: MlflowClient, experiment: str, signatures: list[str], located: dict[str, str] | None
) -> dict[str, Run]:
    """Signature -> its run, of those without a stamp."""
    if located is not None:
        return _by_signature(_runs(client, experiment, [located[s] for s in signatures if s in located]))
    found: dict[str, Run] = {}
    for signature in signatures:
        found |= _by_signature(client.search_runs([experiment], f"tags.`{keys.SIGNATURE}` = '{signature}'"))
    return found


def _locate(client: MlflowClient, experiment: str) -> dict[str, str]:
    """Signature -> run id, of the whole store: MLflow cannot search "tag in (...)", but "run id in (...)"."""
    found: dict[str, tuple[int, str]] = {}
    token = None
    while True:
        page = client.search_runs(
            [experiment], f"tags.`{keys.SIGNATURE}` IS NOT NULL", max_results=_PAGE, page_token=token
        )
        for run in page:
            signature, place = run.data.tags[keys.SIGNATURE], (keys.cursor_of(run), run.info.run_id)
            found[signature] = max(found.get(signature, place), place)
        if not (token := page.token):
            return {signature: run_id for signature, (_, run_id) in found.items()}


def _runs(client: MlflowClient, experiment: str, run_ids: list[str]) -> list[Run]:
    found: list[Run] = []
    for start in range(0, len(run_ids), 100):
        part = run_ids[start : start + 100]
        names = ",".join(f"'{run_id}'" for run_id in part)
        found += client.search_runs([experiment], f"attributes.run_id IN ({names})", max_results=len(part))
    return found


def _by_signature(runs: Iterable[Run]) -> dict[str, Run]:
    found: dict[str, Run] = {}
    for run in runs:
        signature = run.data.tags.get(keys.SIGNATURE, "")
        other = found.get(signature)
        # Two runs of one signature can only come from writers without a common lock: take the fuller.
        if other is None or keys.cursor_of(run) > keys.cursor_of(other):
            found[signature] = run
    return found
