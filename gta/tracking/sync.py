"""Bringing MLflow up to the cells' journals, each point once however often, for one cell or thousands.

A cell has one run, found by its signature tag. The points of a journal (doubles left out) are numbered in
their order, and a tag of the run, the cursor, says how many were sent. The journal's own timestamps go along:
MLflow stores a point once that comes twice with the same timestamp, so that a kill between the points and the
cursor does no harm. `gta.tracking.sync_cache` remembers in the cell's folder what was sent: where nothing is new,
MLflow is not even imported.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gta import progress
from gta.cellfolder import BrokenRecord, CellFolder
from gta.errors import UserError
from gta.locks import Busy
from gta.masking import masked
from gta.sweep import Sweep
from gta.text import first_line, some
from gta.tracking import keys, store
from gta.tracking.cell import TrackedCell, files_of
from gta.tracking.report import SyncReport
from gta.tracking.sync_cache import TAGS, Sent, cached
from gta.tracking.told import Told

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

    from gta.tracking.writer import Writer

Alive = Callable[[Path], bool | None]
_TOGETHER = 50  # cells whose journals are in memory, and for which the store is locked, at a time
_PAGE = 1000
LATER = "the journals keep everything, and `gta sync` sends it later"
_HOPELESS = 3  # cells that fail for one reason, one after the other, after which the store's others are not tried
_SHOWN = 3  # cells that a sentence names
_FEW = 20  # so many signatures are asked for one by one; for more the whole experiment is read


def sync(
    cells: Iterable[str | Path],
    uri: str,
    sweeps: str | Sequence[str | Sweep] = (),
    force: bool = False,
    alive: Alive | None = None,
    check: bool = False,
    partial: bool = False,
    patience: float | None = None,
    rows: Sequence[str] = (),
    grid: Mapping[str, keys.Place] | None = None,
) -> SyncReport:
    """Bring MLflow up to date with these cell folders; their runs are tagged with, and below, the `sweeps`.

    Harmless to repeat, at any time, also while the cells run and while another process syncs. A store that is
    down is told in the report's `problems` and loses nothing: what is missing is sent next time. `alive` says of
    a folder whether a process works on the cell (None: not known): a run that a dead one left RUNNING is closed.
    `check` compares the sync caches with what a server holds (with an SQLite store that is always done, being cheap);
    `force` looks at everything again, whatever the caches say. `partial`: these are not all cells of their sweeps,
    whose own status is left as it is. `patience`: seconds for another writer of the store (None: a minute), whose name
    is a problem else. `rows`: of the table of the sweeps, in their order, told to the sweeps' own runs, as is the
    `grid`: the signatures of all their cells, each with its row and column (empty: not known). Raises UserError
    for a tracking URI or a sweep name that cannot be used.
    """
    started = time.perf_counter()
    uri = store.normal(uri)
    asked = [sweeps] if isinstance(sweeps, str) else list(sweeps)
    told = Told([Sweep(one) if isinstance(one, str) else one for one in asked], list(rows), grid or {})
    for sweep in told.sweeps:
        if sweep.tag != keys.metric(sweep.tag):
            raise UserError(f"sweep name {sweep.name!r}: use letters, digits and _ - . only")
    folders = [CellFolder(path) for path in dict.fromkeys(map(Path, cells))]
    report = SyncReport(cells=len(folders))
    pending: list[CellFolder] = []
    synced: dict[CellFolder, Sent] = {}
    for folder in folders:
        files = files_of(folder)
        if not files:
            report.waiting += 1
            continue
        sent = cached(folder, uri)
        old = sent is None or sent.files != files or sent.tags < TAGS
        if force or sent is None or old or not set(told.tags) <= set(sent.sweeps):
            pending.append(folder)
            continue
        if folder == folders[0] and any(not told.known(sent, tag) for tag in told.tags):
            pending.append(folder)
            continue
        died = alive is not None and sent.status == "RUNNING" and alive(folder.path) is False
        if died:
            pending.append(folder)
        else:
            synced[folder] = sent
    try:
        # A store that was removed, emptied or set back is filled again.
        for folder in _gone(synced, uri, check):
            pending.append(folder)
            del synced[folder]
        report.unchanged = len(synced)
        if pending:
            _Sync(uri, told, alive, report, patience).run(pending, None if partial else list(synced))
    except Busy as error:
        report.problems.append(f"{error.why}: {error.advice}; {LATER}")
    except UserError as error:  # a store that cannot be opened; it says what to do
        report.problems.append(masked(str(error)))
    except Exception as error:  # whatever the store or the network raises: the next sync sends it
        why = f"{_reason(error)}; {LATER}"
        report.problems.append(masked(f"MLflow at {uri}: {why}"))
    report.seconds = time.perf_counter() - started
    return report


def _gone(synced: dict[CellFolder, Sent], uri: str, check: bool) -> list[CellFolder]:
    """The cells whose runs are not in the store any more, or are otherwise than what was sent."""
    ids = [sent.run_id for sent in synced.values()]
    if not ids or store.still_so(uri, {sent.run_id: sent.status for sent in synced.values()}):
        return []
    if store.sqlite_path(uri) is None and not check:
        return []
    if not store.exists(uri):
        return list(synced)
    client = store.connect(uri)
    experiment = client.get_experiment_by_name(keys.EXPERIMENT)
    runs = _runs(client, experiment.experiment_id, ids) if experiment else []
    there = {run.info.run_id: (keys.cursor_of(run), run.info.status) for run in runs}
    return [folder for folder, sent in synced.items() if there.get(sent.run_id) != (sent.cursor, sent.status)]


@dataclass
class _Sync:
    """One `sync` that has something to send."""

    uri: str
    told: Told
    alive: Alive | None
    report: SyncReport
    patience: float | None = None
    failed: dict[str, list[CellFolder]] = field(default_factory=dict)  # why -> cells that could not be sent
    in_a_row: int = 0
    not_tried: int = 0

    def run(self, pending: list[CellFolder], rest: list[CellFolder] | None) -> None:
        """Send the `pending` cells; `rest` are those of the same sweeps that need nothing (None: not known)."""
        from gta.tracking.writer import Writer

        folder = pending[0].path.parent
        with store.lock(self.uri, folder, self.patience):
            client = store.connect(self.uri)
            experiment = store.experiment_id(client, self.uri, folder.parent, self.report.notes.append)
        located: dict[str, str] | None = None
        writer = Writer(client, experiment, self.uri, self.told, self.report)
        with progress.work("writing cells to MLflow", len(pending)) as work:
            for start in range(0, len(pending), _TOGETHER):
                cells = self._read(pending[start : start + _TOGETHER])
                with store.lock(self.uri, folder, self.patience):  # let go of between, for another writer of the store
                    located = self._send_together(writer, cells, located, work)
        self._say_what_failed()
        if rest is None or self.not_tried:
            return
        with store.lock(self.uri, folder, self.patience):
            writer.close_sweeps([*pending, *rest], waiting=self.report.waiting > 0)

    def _send_together(
        self, writer: Writer, cells: list[TrackedCell], located: dict[str, str] | None, work: progress.Work
    ) -> dict[str, str] | None:
        """Send some cells; `located`, or the runs of the whole store where these had to be looked for."""
        client, experiment = writer.client, writer.experiment
        known = [sent.run_id for cell in cells if (sent := cached(cell.folder, self.uri))]
        runs = _by_signature(_runs(client, experiment, known))
        missing = [cell.signature for cell in cells if cell.signature not in runs]
        if located is None and len(missing) > _FEW:
            located = _locate(client, experiment)
        runs |= _search(client, experiment, missing, located)
        for cell in cells:
            self._send(writer, cell, runs.get(cell.signature))
            work.advance()
        return located

    def _read(self, folders: list[CellFolder]) -> list[TrackedCell]:
        found = []
        for folder in folders:
            try:
                found.append(TrackedCell.read(folder, self.alive(folder.path) if self.alive else None))
            except BrokenRecord as error:
                self.report.damaged.append(f"not synced: {error}")
            except OSError as error:
                self.report.problems.append(f"{folder.path}: not synced, it cannot be read ({first_line(error)[:300]})")
        return found

    def _send(self, writer: Writer, cell: TrackedCell, run: Run | None) -> None:
        if self.in_a_row >= _HOPELESS:
            self.not_tried += 1
            return
        try:
            writer.send(cell, run)
            self.in_a_row = 0
        except Exception as error:  # one cell that cannot be sent must not keep the others out
            if own := _own_trouble(cell):  # nor may several end the sync, as a store that takes nothing does
                self.report.damaged.append(masked(f"{cell.folder.path}: not synced, it cannot be read ({own})"))
                return
            why = masked(_reason(error))
            self.in_a_row = self.in_a_row + 1 if why in self.failed else 1
            self.failed.setdefault(why, []).append(cell.folder)

    def _say_what_failed(self) -> None:
        """A sentence for each reason: a store that takes nothing has the same one for every cell."""
        for why, folders in self.failed.items():
            names = some([str(folder.path) for folder in folders], _SHOWN)
            self.report.problems.append(f"{names}: not synced ({why}); {LATER}")
        if self.not_tried:
            self.report.problems[-1] += f"; {self.not_tried} more cells were not tried"


def _own_trouble(cell: TrackedCell) -> str:
    """Why a cell cannot be put into MLflow's terms, whichever store there is; empty where it can."""
    try:
        for terms in (cell.tags, cell.params, cell.points, cell.final_points, cell.status):
            terms()
    except Exception as error:
        return _reason(error) or type(error).__name__
    return ""


def _reason(error: Exception) -> str:
    """What an error says in a line; of a database's, which MLflow hands on among statements, the database's words."""
    told = re.search(r"\([\w.]+\.\w*Error\w*\) (.+)", str(error))
    return (told[1] if told else first_line(error))[:300]


def _search(
    client: MlflowClient, experiment: str, signatures: list[str], located: dict[str, str] | None
) -> dict[str, Run]:
    """Signature -> its run, of those whose run is not known from their sync cache."""
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
