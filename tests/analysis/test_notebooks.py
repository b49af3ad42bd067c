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
    NotebookClient(whole, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(place)}}).execute()
    parts = [whole.cells[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
    table, curves, ablation = ([data for cell in part for data in outputs(cell)] for part in parts)

    def markdown(part: list[dict[str, str]]) -> str:
        return "".join(data.get("text/markdown", "") for data in part)

    def figures(part: list[dict[str, str]]) -> list[str]:
        return ["".join(data["image/svg+xml"]) for data in part if "image/svg+xml" in data]

    number = store.table.entries["gta", "1/4 (10)"].mean
    assert f"{number:.2f}" in markdown(table)
    assert len(figures(table)) == 1
    (seeds,) = (data["text/html"] for data in table if "text/html" in data)
    assert seeds.count("<th") < 20, "a small frame"
    assert len(figures(curves)) == 6, "three metrics, two columns"
    assert not any("text/html" in data for data in (*curves, *ablation)), "figures, not frames"
    less = store.table.entries["gta", "1/5 (8)"].mean - store.table.entries["supervised", "1/5 (8)"].mean
    assert f"{less:+.2f}" in markdown(ablation)
    drawn = figures(ablation)
    assert len(drawn) == 4, "two columns: by row, and by class"
    assert "violet" in drawn[-1]
    for shown in (markdown(table), markdown(ablation)):
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
