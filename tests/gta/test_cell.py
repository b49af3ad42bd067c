"""A cell's identity: its signature never changes by accident, and changes with everything that can change a result."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gta import maths
from gta.cell import Cell, signature
from gta.data.splits.split import Split
from gta.errors import UserError
from gta.methods import METHODS
from tests.helpers.cells import config, split
from tests.helpers.configs import changed


def test_the_signature_of_a_fixed_config_is_what_it_was() -> None:
    """If this fails, finished cells are no longer found: bump it only when a result-changing field came or went."""
    assert (
        Cell.of(config(), split()).signature == (Path(__file__).parents[1] / "golden/signature.txt").read_text().strip()
    )


@pytest.mark.parametrize(
    "change",
    [
        {"schedule.lr": 0.2},
        {"method.drop_percent": 70.0},
        {"seed": 1},
        {"num_threads": 2},
        {"data.augment.flip": False},
        {"model.width": 16},
    ],
)
def test_what_can_change_a_result_changes_the_signature(change: dict[str, Any]) -> None:
    assert Cell.of(changed(config(), change), split()).signature != Cell.of(config(), split()).signature


@pytest.mark.parametrize(
    "change",
    [
        {"site.workers": 9},
        {"data.root": "/elsewhere"},
        {"data.split": "another name of the same lists"},
        {"paths.runs": "/elsewhere"},
        {"schedule.log_every": 1},
        {"method.label": "ours"},
        {"sweep_name": "another"},
    ],
)
def test_what_cannot_change_a_result_leaves_the_signature(change: dict[str, Any]) -> None:
    assert Cell.of(changed(config(), change), split()).signature == Cell.of(config(), split()).signature


@pytest.mark.parametrize("name", ["labeled", "unlabeled", "val"])
def test_another_list_is_another_cell(name: str) -> None:
    other = split()
    getattr(other, name).append("z")
    assert Cell.of(config(), other).signature != Cell.of(config(), split()).signature


def test_the_order_of_a_list_is_no_difference() -> None:
    other = Split(labeled=["a"], unlabeled=["c", "b"], val=["d"])
    assert Cell.of(config(), other).signature == Cell.of(config(), split()).signature


def test_weights_count_by_their_content(tmp_path: Path) -> None:
    with_weights = changed(config(), {"model.weights": str(tmp_path / "weights.pth")})
    with pytest.raises(UserError, match=r"weights.pth are not there.*model.weights=random"):
        Cell.of(with_weights, split())
    (tmp_path / "weights.pth").write_bytes(b"one")
    one = Cell.of(with_weights, split()).signature
    (tmp_path / "copy.pth").write_bytes(b"one")
    with_weights = changed(config(), {"model.weights": str(tmp_path / "copy.pth")})
    assert Cell.of(with_weights, split()).signature == one
    (tmp_path / "copy.pth").write_bytes(b"another")
    assert Cell.of(with_weights, split()).signature != one


def test_the_signature_does_not_follow_the_order_of_fields() -> None:
    digests = {"labeled": "1", "val": "2"}
    maths = {"data": 1, "model": 2}
    turned = (dict(reversed(given.items())) for given in (digests, maths))
    assert signature(config(), digests, maths) == signature(config(), *turned)


@pytest.mark.parametrize("part", ["data", "model", "training", "evaluation"])
def test_other_maths_is_another_cell(part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its folder is not trained on by the new code, which says so."""
    mine = changed(config(), {"paths.runs": str(tmp_path)})
    monkeypatch.setattr("gta.cell.load_split", lambda data: split())  # no pictures are needed for this
    old = Cell.of(mine, split())
    old.write()
    assert Cell.load(old.folder, mine).signature == old.signature
    monkeypatch.setitem(maths.PARTS, part, maths.PARTS[part] + 1)
    assert Cell.of(mine, old.split).signature != old.signature
    with pytest.raises(UserError, match=rf"computes otherwise \({part}: version \d, now \d\).*multirun"):
        Cell.load(old.folder, mine)


def test_a_method_whose_maths_changed_has_other_cells_and_no_other_method(monkeypatch: pytest.MonkeyPatch) -> None:
    cps = replace(config(), method=METHODS["cps"].Config())
    before = [Cell.of(one, split()).signature for one in (config(), cps)]
    monkeypatch.setattr(METHODS["gta"].Config, "maths", METHODS["gta"].maths + 1)
    after = [Cell.of(one, split()).signature for one in (config(), cps)]
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_write_freezes_the_cell(tmp_path: Path) -> None:
    cell = Cell.of(changed(config(), {"paths.runs": str(tmp_path)}), split())
    cell.write()
    identity = json.loads(cell.folder.identity_file.read_text())
    assert identity["signature"] == cell.signature == cell.folder.path.name
    assert (identity["labels"], identity["unlabeled"], identity["ratio"]) == (1, 2, "1/3")
    assert identity["params"]["schedule.lr"] == "0.1"
    assert identity["params"]["maths.model"] == str(maths.PARTS["model"])
    assert identity["list"] == "unknown list"
    assert not any(name.startswith(("site.", "paths.")) for name in identity["params"])
