"""A sweep's page in MLflow: numbers, note and files, each sent when it is new, and nothing else."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from analysis.render import page as pages
from gta.tracking import keys, store
from gta.tracking import sync as tracking
from gta.tracking.page import SweepPage, publish
from tests.helpers.tables import table
from tests.helpers.tracked import finish, make_cell


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was written to MLflow: names of metrics and tags."""
    names: list[str] = []
    real = MlflowClient.log_batch

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        names.extend(entry.key for entry in [*metrics, *tags])
        real(self, run_id, metrics=metrics, params=params, tags=tags)

    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    return names


def a_sweep(folder: Path, uri: str, name: str) -> None:
    cell = make_cell(folder)
    finish(cell)
    assert tracking.sync([cell], uri, name, rows=["supervised", "gta"]).problems == []


def run_named(client, name: str):
    return keys.sweep_run(client, client.get_experiment_by_name(keys.EXPERIMENT).experiment_id, name)


def test_a_page_is_sent_once_and_then_what_changed(tmp_path, uri, client, sent):
    a_sweep(tmp_path / "cells", uri, "paged")
    sent.clear()
    made = table({("supervised", "1/50 (8)"): [50.0, 52.0], ("gta", "1/50 (8)"): [60.0, "failed: x"]})
    files = {name: tmp_path / name for name in ("table.md", "own.yaml")}
    files["table.md"].write_text("a table")
    files["own.yaml"].write_text("site: {setup: [https://me:hunter2@host]}\n")

    def send(rows: tuple[str, ...] = ("supervised", "gta"), note: str = "") -> list[str]:
        sent.clear()
        page = SweepPage(pages.metrics(made), note or pages.note(made), files, rows)
        assert publish(uri, "paged", page, tmp_path) == []
        return sorted(sent)

    send()
    run = run_named(client, "paged")
    assert {name: value for name, value in run.data.metrics.items() if name.startswith("supervised")} == {
        "supervised/1 labels/mean": 51.0,
        "supervised/1 labels/deviation": pytest.approx(math.sqrt(2)),
        "supervised/1 labels/seeds": 2.0,
    }
    assert run.data.metrics["gta/1 labels/mean"] == 60.0
    assert "gta/1 labels/deviation" not in run.data.metrics, "of one seed there is none"
    assert "| supervised |" in run.data.tags[keys.NOTE].replace("  ", " ")
    text = Path(client.download_artifacts(run.info.run_id, "own.yaml")).read_text()
    assert "***@host" in text
    assert "hunter2" not in text
    assert send() == [], "nothing new"
    files["table.md"].write_text("another")
    assert send() == [keys.FILES]
    assert Path(client.download_artifacts(run.info.run_id, "table.md")).read_text() == "another"
    assert send(rows=("gta",), note="of a part") == [], "a part of the sweep leaves the whole's note"
    made.entries.update(table({("gta", "1/50 (8)"): ["failed: x", "failed: x"]}).entries)
    assert send(note="kept") == ["gta/1 labels/mean", "gta/1 labels/seeds", keys.NOTE]
    assert math.isnan(run_named(client, "paged").data.metrics["gta/1 labels/mean"]), "there is no such number any more"
    assert send(note="kept") == []
    client.delete_run(run.info.run_id)
    a_sweep(tmp_path / "more", uri, "paged")
    assert keys.NOTE in send(note="kept"), "a run that was lost gets its page again"


def test_a_kill_while_a_page_is_sent_leaves_it_to_be_sent_again(tmp_path, uri, client, monkeypatch):
    a_sweep(tmp_path / "cells", uri, "killed")
    file = tmp_path / "report.html"
    file.write_text("a report")
    page = SweepPage({"gta/8 labels/mean": 50.0}, "note", {file.name: file}, ("supervised", "gta"))
    with monkeypatch.context() as dying:
        dying.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            publish(uri, "killed", page, tmp_path)
    assert keys.NOTE not in run_named(client, "killed").data.tags
    assert publish(uri, "killed", page, tmp_path) == []
    run = run_named(client, "killed")
    assert run.data.tags[keys.NOTE] == "note"
    assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["report.html"]
    assert len(client.get_metric_history(run.info.run_id, "gta/8 labels/mean")) == 1


def test_what_goes_wrong_is_a_sentence_and_no_store_is_made(tmp_path, uri, monkeypatch):
    page = SweepPage({"gta/8 labels/mean": 50.0}, "note")
    assert publish(f"sqlite:///{tmp_path}/none.db", "any", page, tmp_path) == []
    assert not (tmp_path / "none.db").exists()
    assert publish(uri, "no_such_sweep", page, tmp_path) == [], "its cells were not sent"
    (said,) = publish("http://127.0.0.1:9", "any", page, tmp_path)
    assert said.startswith("MLflow at http://127.0.0.1:9: the page of any is as it was (")
    a_sweep(tmp_path / "cells", uri, "refused")
    with monkeypatch.context() as refusing:
        why = "attempt to write a readonly database"
        refusing.setattr(MlflowClient, "log_batch", lambda *_, **__: (_ for _ in ()).throw(OSError(why)))
        (said,) = publish(uri, "refused", page, tmp_path)
        assert why in said
        assert publish(uri, "refused", SweepPage(), tmp_path) == [], "nothing new is nothing to write"
    assert store.exists(uri)


def test_the_note_of_a_long_table_ends_at_a_line_and_says_where_the_rest_is():
    made = table({(f"row {index} {'x' * 80}", "1/50 (8)"): [50.0] for index in range(80)})
    text = pages.note(made)
    assert len(text) <= 5000
    assert text.endswith("|\n\nThe whole is in the artifact table.md, or report.html.\n")


def test_columns_of_one_label_count_are_told_apart_by_their_names():
    made = table({("gta", "1/50 (8)"): [50.0], ("gta", "other/50 (8)"): [60.0]})
    for entry in made.entries.values():
        entry.scores = [
            type(score)(type(score.cell)("s", "gta", "c", 8, 0), "t", score.last, 0.0) for score in entry.scores
        ]
    assert {name for name in pages.metrics(made) if name.endswith("mean")} == {
        "gta/1_50 _8_/mean", "gta/other_50 _8_/mean",
    }  # fmt: skip


def test_rows_that_mlflow_cannot_tell_apart_have_metrics_of_their_own():
    long = "x" * 100
    rows = ["gta (a)", "gta [a]", f"{long} one", f"{long} two"]
    made = table({(row, "1/50 (8)"): [50.0 + index] for index, row in enumerate(rows)})
    found = pages.metrics(made)
    assert {name: value for name, value in found.items() if name.endswith("/mean")} == {
        "gta _a_/1 labels/mean": 50.0, "gta _a_ 1/1 labels/mean": 51.0,
        f"{long}/1 labels/mean": 52.0, f"{long} 3/1 labels/mean": 53.0,
    }  # fmt: skip
    part = table({("gta [a]", "1/50 (8)"): [51.0]})
    part.order = rows
    assert pages.metrics(part)["gta _a_ 1/1 labels/mean"] == 51.0, "a part of the sweep names them as the whole"
