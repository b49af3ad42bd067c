"""The notebooks run against a real store, wherever below the project they are opened, and are kept without output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.program import ROOT
from tests.helpers.store import Store

nbformat = pytest.importorskip("nbformat")
FOLDER = ROOT / "analysis" / "notebooks"
NAMES = ("results_table", "learning_curves", "ablation")


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def test_there_are_these_notebooks_and_they_hold_no_output() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)
    for name in NAMES:
        code = [cell for cell in read(name).cells if cell.cell_type == "code"]
        assert code[0].source.startswith('SWEEP = "shapes"'), "the sweep is chosen on top"
        assert all(cell.outputs == [] and cell.execution_count is None for cell in code), name


@pytest.mark.slow
def test_they_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one kernel, one after the other, each from nothing: a kernel each would import MLflow three times."""
    from nbclient import NotebookClient

    place = store.root / "analysis" / "notebooks"
    place.mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    whole = read(NAMES[0])
    starts = [0]
    for name in NAMES[1:]:
        whole.cells += [nbformat.v4.new_code_cell("%reset -f"), *read(name).cells]
        starts.append(len(whole.cells) - len(read(name).cells))
    NotebookClient(whole, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(place)}}).execute()
    parts = [whole.cells[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
    table, curves, ablation = ([data for cell in part for data in outputs(cell)] for part in parts)

    number = store.table.entries["gta", "1/4 (10)"].mean
    assert f"{number:.2f}" in "".join(data.get("text/markdown", "") for data in table)
    assert sum("image/svg+xml" in data for data in table) == 1
    assert sum("image/svg+xml" in data for data in curves) == 4, "two metrics, two columns"
    less = store.table.entries["gta", "1/5 (8)"].mean - store.table.entries["supervised", "1/5 (8)"].mean
    assert f"{less:.2f}" in ablation[0]["text/html"]
    assert "violet" in ablation[-1]["text/html"]
    for shown in (table[0]["text/markdown"], ablation[0]["text/html"], curves[-1]["text/html"]):
        assert 0 < shown.index("supervised") < shown.index("gta"), "the sweep's order, not the alphabet's"


def outputs(cell: Any) -> list[dict[str, str]]:
    return [out.data for out in cell.get("outputs", []) if "data" in out]


def test_without_a_store_it_is_said_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from analysis import project
    from gta.errors import UserError

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="make sweep"):
        project.load("shapes")
