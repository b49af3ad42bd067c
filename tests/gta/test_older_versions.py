"""What an older version left is read; what a newer one wrote is refused in a sentence that names the versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from gta.cell import Cell
from gta.cellfolder import BrokenRecord
from gta.cli.table import build
from gta.errors import UserError
from gta.sweep import Sweep
from gta.train import checkpoint
from gta.train.run import load_network
from launch.show.rows import rows
from launch.state.ledger import ledger
from tests.helpers.older import FINISHED, UNFINISHED, older
from tests.helpers.program import Run

CPU = torch.device("cpu")


@pytest.fixture
def both(tmp_path: Path) -> list[Cell]:
    return [older(tmp_path / "runs", signature) for signature in (FINISHED, UNFINISHED)]


def test_status_and_table_read_them(both: list[Cell]) -> None:
    entries = ledger(both)
    done, stopped = rows(entries)
    assert (done.state, done.miou, done.damaged) == ("done", pytest.approx(16.27387), ())
    assert (stopped.state, stopped.iteration, stopped.attempts, stopped.damaged) == ("stopped", 4, 1, ())
    _, table, unread = build(Sweep("shapes"), entries)
    assert table.entries["gta", "1/5 (8)"].mean == pytest.approx(16.27387)
    assert [line.split(":")[0] for line in table.missing] == ["supervised, 1/5 (8), seed 0"]
    assert not unread.damaged


def test_show_reads_them(say: Run, both: list[Cell]) -> None:
    said = say("show", FINISHED, f"paths.runs={both[0].config.paths.runs}")
    assert said.returncode == 0, said.stderr
    assert "16.2739" in said.stdout
    assert "damaged" not in said.stdout
    shown = json.loads(say("show", UNFINISHED, "--json", f"paths.runs={both[0].config.paths.runs}").stdout)
    assert [one["why"] for one in shown["attempts"]] == ["time limit"]
    assert shown["damaged"] == []


def test_networks_of_both_checkpoint_formats_are_read(both: list[Cell]) -> None:
    done, stopped = both
    name, network, iteration = load_network(done.config, done.folder, CPU)
    assert (name, iteration) == ("teacher", 8)
    assert checkpoint.load(done.folder.checkpoint_file)["format"] == 2
    assert network.eval()(torch.zeros(1, 3, 32, 32)) is not None
    name, _, iteration = load_network(stopped.config, stopped.folder, CPU)
    assert (name, iteration) == ("student", 6)
    assert checkpoint.load(stopped.folder.checkpoint_file)["format"] == 1


def test_a_record_of_a_newer_version_is_refused_and_told(say: Run, both: list[Cell]) -> None:
    folder = both[0].folder
    for path in (folder.result_file, folder.identity_file):
        path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    sentence = "is of version 2, and this program reads 1: use the version of gta that wrote it"
    for read in (folder.result, folder.identity):
        with pytest.raises(BrokenRecord, match=sentence):
            read()
    (row,) = rows(ledger(both[:1]))
    assert row.state == "damaged"
    assert "result.json: of version 2, and this program reads 1" in row.what
    said = say("show", FINISHED, f"paths.runs={both[0].config.paths.runs}")
    assert "damaged: cell.json: of version 2, and this program reads 1" in said.stdout
    assert "with the version of gta that wrote it" in said.stdout


def test_a_checkpoint_of_a_newer_version_is_refused_and_told(both: list[Cell]) -> None:
    cell = both[1]
    state = checkpoint.load(cell.folder.checkpoint_file)
    torch.save({**state, "format": 3}, cell.folder.checkpoint_file)
    with pytest.raises(UserError, match="of format 3, and this version of gta reads 1 and 2: use the version"):
        load_network(cell.config, cell.folder, CPU)
