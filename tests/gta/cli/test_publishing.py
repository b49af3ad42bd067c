"""What `gta report` puts on its sweep's page in MLflow."""

from __future__ import annotations

import itertools
import shutil
import time
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from analysis.render.markdown import markdown
from analysis.report import page, report
from gta.cell import Cell
from gta.cli.publishing import publish
from gta.cli.table import build
from gta.sweep import Sweep
from gta.tracking import keys, store
from launch.state.ledger import ledger
from launch.submit.recorder import sync
from tests.helpers.cells import finish

SWEEP = Sweep("shapes")


def test_a_report_makes_the_page_whole_and_is_sent_again_only_when_there_is_news(
    cells: list[Cell], empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, tmp_path / "runs/mlflow.db")
    for cell in cells:
        finish(cell)
    assert sync(cells, SWEEP) == []
    entries, uri = ledger(cells), cells[0].config.paths.tracking_uri

    def send() -> list[str]:
        monkeypatch.setattr(page, "_number", itertools.count())  # as in a process of its own
        frame, table, _ = build(SWEEP, entries)
        return publish(SWEEP, entries, table, report.write_report(frame, table, uri, tmp_path / "results"))

    assert send() == []
    client = store.connect(uri)
    run = keys.sweep_run(client, client.get_experiment_by_name(keys.EXPERIMENT).experiment_id, SWEEP.name)
    assert run is not None
    assert run.data.metrics["gta/1 labels/mean"] == 50.0
    assert run.data.tags[keys.NOTE] == markdown(build(SWEEP, entries)[1])
    assert "report.html" in {item.path for item in client.list_artifacts(run.info.run_id)}
    real, sent = time.gmtime, []
    monkeypatch.setattr(time, "gmtime", lambda *seconds: real(*seconds or [0.0]))
    monkeypatch.setattr(MlflowClient, "log_batch", lambda *_, **more: sent.append(more))
    assert (send(), sent) == ([], []), "nothing new, at another time"
