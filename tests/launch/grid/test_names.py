"""Names of cells: prefixes of signatures, method/split/seed words, and a helpful sentence for the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from gta.cellfolder import CellFolder
from gta.errors import UserError
from launch.grid import names
from tests.helpers.cells import identity

CELLS = [("gta", "92", 0), ("gta", "92", 1), ("gta", "1/8", 0), ("mean_teacher", "1/8", 0)]
SIGNATURES = ["abc111aa", "abc222bb", "0f0f0f0f", "abd33333"]


@pytest.fixture
def cells(tmp_path: Path) -> list[names.Named]:
    for signature, (method, split, seed) in zip(SIGNATURES, CELLS, strict=True):
        folder = CellFolder(tmp_path / "runs/cells" / signature)
        identity(folder, method=method, label=method, split=split, seed=seed)
    (tmp_path / "runs/cells/beef4444").mkdir()
    (tmp_path / "runs/cells/beef4444/cell.json").write_text("{")
    return names.known(tmp_path / "runs")


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("abc1", "abc111aa"),
        ("abc222bb", "abc222bb"),
        ("gta/92/seed1", "abc222bb"),
        ("gta/92/1", "abc222bb"),
        ("gta/1/8/seed0", "0f0f0f0f"),
        ("gta/1_8", "0f0f0f0f"),
        ("voc/gta/1_8/seed0", "0f0f0f0f"),
        ("mean_teacher", "abd33333"),
        ("0f0", "0f0f0f0f"),
    ],
)
def test_a_cell_is_found(cells: list[names.Named], name: str, signature: str) -> None:
    assert names.find(name, cells).signature == signature


def test_a_folder_is_a_name_too(cells: list[names.Named], tmp_path: Path) -> None:
    assert names.find(str(tmp_path / "runs/cells/abc111aa"), cells).name == "gta/92/seed0"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("abc", r"abc could be gta/92/seed0 \(abc111aa\), gta/92/seed1 \(abc222bb\); give more"),
        ("gta/92", r"gta/92 could be .*seed0.*seed1"),
        ("gta/29/seed0", r"there is no such cell; did you mean gta/92/seed0 \(abc111aa\)"),
        ("mean_techer/1/8/seed0", "did you mean mean_teacher/1/8/seed0"),
        ("abe3", r"did you mean .*\(abd33333\)"),
        ("ab", "give at least 3 digits"),
        ("zzzzzzzz", "there are .*gta/92/seed0"),
    ],
)
def test_other_names_get_a_sentence(cells: list[names.Named], name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        names.find(name, cells)


def test_cells_of_one_name_are_told_apart_by_signature_or_grid(cells: list[names.Named], tmp_path: Path) -> None:
    identity(CellFolder(tmp_path / "runs/cells/dddd5555"), method="gta", label="gta", split="92", seed=0)
    two = names.known(tmp_path / "runs")
    with pytest.raises(UserError, match=r"what several cells are called: .*abc111aa.*dddd5555.*; .* \(sweep=NAME"):
        names.find("gta/92/seed0", two)


def test_many_at_once(cells: list[names.Named]) -> None:
    found = names.find_all(["gta/92/*", "abc111", "mean_teacher"], cells)
    assert [cell.signature for cell in found] == ["abc111aa", "abc222bb", "abd33333"]
    with pytest.raises(UserError, match=r"cps/\*: no cell is called so"):
        names.find_all(["cps/*"], cells)


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there are no cells here yet \(another folder: paths.runs="):
        names.find("gta", names.known(tmp_path))


def test_a_cell_whose_record_is_broken_is_called_by_its_signature(
    cells: list[names.Named], capsys: pytest.CaptureFixture[str]
) -> None:
    assert names.find("beef", cells).folder.signature == "beef4444"
    assert names.find("abc1", cells).signature == "abc111aa"
    assert capsys.readouterr().err == "", "nobody asked for it by its words"
    assert names.find("mean_teacher", cells).signature == "abd33333"
    said = capsys.readouterr().err
    assert "beef4444/cell.json is not JSON: `gta repair beef4444` says" in said, "it might have been meant, too"
    names.find_all(["gta/92/*", "mean_teacher"], cells)
    assert capsys.readouterr().err == said, "said once"
