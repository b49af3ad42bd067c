"""A cell's identity: its signature never changes by accident, and changes with everything that can change a result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gta.cell import Cell, signature
from gta.data.splits.split import Split
from gta.errors import UserError
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
    assert signature(config(), digests) == signature(config(), dict(reversed(digests.items())))


def test_write_freezes_the_cell(tmp_path: Path) -> None:
    cell = Cell.of(changed(config(), {"paths.runs": str(tmp_path)}), split())
    cell.write()
    identity = json.loads(cell.folder.identity_file.read_text())
    assert identity["signature"] == cell.signature == cell.folder.path.name
    assert (identity["labels"], identity["unlabeled"], identity["ratio"]) == (1, 2, "1/3")
    assert identity["params"]["schedule.lr"] == "0.1"
    assert identity["list"] == "unknown list"
    assert not any(name.startswith(("site.", "paths.")) for name in identity["params"])
