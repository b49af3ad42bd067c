"""SQLite, a real tracking server and a real PostgreSQL: eight cells at once, a server that dies, one that hangs."""

from __future__ import annotations

import multiprocessing
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gta.cellfolder import CellFolder
from gta.config import Config
from gta.files import write_text
from gta.tracking import background_sync, keys, store
from gta.tracking import sync as tracking
from gta.tracking.cell import TrackedCell
from gta.tracking.sync_cache import cached
from gta.train.control import Control, Request
from tests.helpers import sync_worker
from tests.helpers.backends import Postgres, Server
from tests.helpers.configs import changed
from tests.helpers.tracked import make_cell, run_of, train
from tests.helpers.training import make, train_in

pytestmark = pytest.mark.slow

KINDS = ("sqlite", "server", "postgresql")


@dataclass
class Stores:
    """URI of each kind of store; `missing`: why there is no PostgreSQL."""

    uris: dict[str, str]
    server: Server
    missing: str = ""

    def uri(self, kind: str) -> str:
        if kind not in self.uris:
            pytest.skip(self.missing)
        return self.uris[kind]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Stores]:
    folder = tmp_path_factory.mktemp("stores")
    shutil.copy(empty_store, folder / "mlflow.db")
    server = Server(folder, empty_store)
    server.start()  # what takes longest, beside the others
    found = Stores({"sqlite": f"sqlite:///{folder}/mlflow.db", "server": server.uri}, server)
    postgres = None
    try:
        try:
            postgres = Postgres()
            found.uris["postgresql"] = postgres.uri
        except pytest.skip.Exception as error:
            found.missing = str(error)
        server.wait()
        yield found
    finally:
        server.kill()
        if postgres:
            postgres.stop()


@pytest.fixture(scope="module")
def eight(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight cells that ran at once, each a process that wrote its journal and sent it to every store."""
    folder = tmp_path_factory.mktemp("eight")
    cells = [make_cell(folder / "cells", seed=number) for number in range(8)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gta.tracking.writer", "mlflow.store.tracking.sqlalchemy_store"])  # once for all
    uris = stores.uris.values()
    running = [context.Process(target=sync_worker.main, args=(str(cell), *uris)) for cell in cells]
    for process in running:
        process.start()
    for process in running:
        process.join(timeout=900)
    assert [process.exitcode for process in running] == [0] * 8
    return cells


def recorded(uri: str, cell: Path) -> list[tuple[str, int, float, int]]:
    """(metric, iteration, value, ms) of every point that MLflow has of a cell's journal, doubles included."""
    client = store.connect(uri)
    run = run_of(client, cell)
    final = {point.name for point in TrackedCell.read(CellFolder(cell)).final_points()}
    points = [p for name in run.data.metrics for p in client.get_metric_history(run.info.run_id, name)]
    return sorted((p.key, p.step, p.value, p.timestamp) for p in points if p.key not in final)


def written(cell: Path) -> list[tuple[str, int, float, int]]:
    """The same, as the journal has it."""
    points = TrackedCell.read(CellFolder(cell)).points()
    return sorted((p.name, p.iteration, p.value, round(p.time * 1000)) for p in points)


@pytest.mark.parametrize("kind", KINDS)
def test_eight_cells_at_once_lose_nothing(stores: Stores, eight: list[Path], kind: str) -> None:
    uri = stores.uri(kind)
    for cell in eight:
        assert len(written(cell)) == 360
        assert recorded(uri, cell) == written(cell)
    client = store.connect(uri)
    experiment = client.get_experiment_by_name(keys.EXPERIMENT).experiment_id
    (parent,) = client.search_runs([experiment], "tags.`gta.sweep` = 'eight'")
    assert {run_of(client, cell).data.tags[keys.PARENT] for cell in eight} == {parent.info.run_id}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_store_lost_is_sent_again(
    stores: Stores, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = stores.uri(kind)
    cells = [make_cell(tmp_path / "cells", seed=number) for number in range(2)]
    write_text(CellFolder(cells[0]).artifacts_folder / "images/0_a.png", "picture")
    train(cells[1], range(1), "stopped")
    assert tracking.sync(cells, uri).problems == []
    client = store.connect(uri)
    client.delete_run(run_of(client, cells[0]).info.run_id)
    report = tracking.sync(cells, uri, check=True)
    assert (report.created, report.unchanged, report.problems) == (1, 1, [])
    files = client.list_artifacts(run_of(client, cells[0]).info.run_id, "images")
    assert [item.path for item in files] == ["images/0_a.png"]
    assert tracking.sync(cells, uri, check=True).unchanged == 2
    assert capsys.readouterr().out == "", "MLflow says two lines a run of a server"


class AtStep(Control):
    """Does something within the n-th step."""

    def __init__(self, step: int, action: Callable[[], None]):
        self.left, self.action = step, action

    def request(self) -> Request:
        self.left -= 1
        if self.left == 0:
            self.action()
        return Request.NONE


def sending_config(folder: Path, uri: str) -> Config:
    values = {"paths.tracking_uri": uri, "site.live_tracking": True, "sweep_name": "by_itself"}
    return changed(make(folder, "supervised"), values)


def cell_of(below: Path) -> Path:
    """A cell that is to send by itself, before its first attempt."""
    cell = make_cell(below, method="supervised")
    CellFolder(cell).journal_file.unlink()
    return cell


def test_a_server_killed_half_way_costs_nothing(
    stores: Stores, eight: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells send by themselves; the server dies within the first, and is started again when all are done."""
    monkeypatch.setattr(background_sync, "EVERY_SECONDS", 0.2)
    monkeypatch.setattr(background_sync, "LAST_SECONDS", 1.0)
    server = stores.server
    config = sending_config(tmp_path, server.uri)
    cells = [cell_of(tmp_path / "runs") for _ in range(2)]

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not CellFolder(cells[0]).sync_cache_file.exists():  # the first points have arrived
            assert time.monotonic() < deadline
            time.sleep(0.1)
        server.kill()

    for cell, control in zip(cells, (AtStep(5, kill), Control()), strict=True):
        assert train_in(cell, config, cell.name, control)
    sent = cached(CellFolder(cells[0]), server.uri)
    assert sent is not None
    assert sent.cursor < len(written(cells[0]))
    down = tracking.sync(cells, server.uri, "by_itself")
    assert len(down.problems) == 1
    assert "`gta sync` sends it later" in down.problems[0]
    server.start()
    server.wait()
    assert tracking.sync(cells, server.uri, "by_itself").problems == []
    for cell in cells:
        assert recorded(server.uri, cell) == written(cell)
        assert run_of(store.connect(server.uri), cell).info.status == "FINISHED"
    assert tracking.sync([*cells, *eight], server.uri, check=True).points == 0


def test_a_server_that_hangs_holds_up_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_sync, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(background_sync, "LAST_SECONDS", 0.2)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")  # so long would MLflow itself wait for an answer
    with socket.socket() as silent:  # takes connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        config = sending_config(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        cell = cell_of(tmp_path / "runs")
        assert train_in(cell, config, cell.name, Control())
        waiting = [thread for thread in threading.enumerate() if thread.name == "background sync"]
        assert waiting, "it has no answer yet"
    for thread in waiting:  # hung up on, it says so: not into the output of another test
        thread.join()
    assert max(point[1] for point in written(cell)) == config.schedule.iterations
