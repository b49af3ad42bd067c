"""`gta table`: its options, what it says of a grid that has gaps, and what --strict refuses."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from analysis.render import PaperStyle
from gta.cli import table
from gta.cli.composing import grid, look
from gta.cli.main import main
from gta.errors import UserError
from gta.sweep import Sweep
from gta.tracking import keys, store
from launch.submit.recorder import sync
from tests.helpers import cells
from tests.helpers.cells import scored
from tests.helpers.program import Run
from tests.helpers.tracked import damage_an_index, evaluated

SWEEP = Sweep("shapes")


@pytest.mark.slow
def test_the_table_of_a_grid_with_gaps_then_whole(
    say: Run, small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep=shapes", *small, "method=supervised,gta", "seed=0,1,2", "data.split=1/5"]
    refused = say("table", *words, "--strict", "--no-best", "--baseline", "supervised", "--published", "all")
    assert refused.returncode == 2
    assert "--strict refuses the table shapes with method=supervised,gta" in refused.stderr
    assert "cells are missing" in refused.stderr
    assert "`gta multirun sweep=shapes" in refused.stderr
    assert not (tmp_path / "results").exists()

    _, made = grid(words)

    def show(strict: bool = False, **shown: Any) -> str:
        """What the command does with the grid; composing it again and again would take seconds."""
        sync(made, SWEEP)
        table.show(SWEEP, look(made), words, table.Shown(**shown), strict)
        return capsys.readouterr().out

    made[-1].write()
    cells.failed(made[-1], "out of memory", 1.0, attempt=0)
    (line,) = [line for line in show().splitlines() if "missing" in line]
    assert line.startswith("6 of 6 cells are missing (5 never run, 1 failed): gta multirun sweep=shapes")
    assert line.endswith(" --retry failed"), "one command for all of them"
    for index, cell in enumerate(made[:-1]):
        scored(cell, 50.0 + index)
    shown = show(baseline="supervised")
    assert "failed: out of memory" not in shown
    assert "1 of 6 cells is missing (1 failed): gta multirun sweep=shapes" in shown
    shown = show(baseline="supervised", missing=True)
    assert "51.00 ± 1.00 (3) [51.00]" in shown
    assert "53.50 ± 0.71 (2 of 3) [53.50] +3.00" in shown
    assert "Nothing can be said about whether a difference is more than chance: 2 paired seeds" in shown
    assert "gta, 1/5 (8), seed 2 (2 of 3 seeds): failed: out of memory" in shown
    assert "--retry failed" in shown.partition("  failed: gta multirun sweep=shapes")[2].splitlines()[0]
    folder = tmp_path / "results/shapes"
    assert (folder / "significance.csv").exists()
    assert json.loads((folder / "table.json").read_text())["baseline"] == "supervised"

    scored(made[-1], 55.0, commit="b" * 40)
    with pytest.raises(UserError, match=r"2 commits \(aaaaaaaaa, bbbbbbbbb\)") as mixed:
        show(strict=True)
    assert "missing" not in str(mixed.value)

    scored(made[-1], 55.0)
    whole = show(strict=True, best=False, baseline="supervised", published="all")
    assert "54.00 ± 1.00 (3) +3.00" in whole
    assert "With 3 seeds the smallest p" in whole
    assert "missing" not in whole
    assert not (folder / "paper.tex").exists()
    client = store.connect(f"sqlite:///{tmp_path}/runs/mlflow.db")
    page = keys.sweep_run(client, client.get_experiment_by_name(keys.EXPERIMENT).experiment_id, "shapes")
    assert page is not None
    assert {n: v for n, v in page.data.metrics.items() if n.startswith("gta/")} == {
        "gta/8 labels/mean": 54.0, "gta/8 labels/deviation": 1.0, "gta/8 labels/seeds": 3.0,
    }  # fmt: skip
    assert page.data.tags[keys.NOTE] == (folder / "table.md").read_text()
    sent = {item.path for item in client.list_artifacts(page.info.run_id)}
    assert sent == {
        "shapes.yaml",
        "significance.csv",
        *(f"table.{kind}" for kind in ("md", "tex", "html", "csv", "json")),
    }
    table.show(Sweep("shapes"), look(made), words, paper=PaperStyle(label="tab:x"))
    assert r"GTA-Seg & \textbf{54.00}$_{\pm1.0}$" in (folder / "paper.tex").read_text()
    assert main(["table", "sweep=shapes", "--label", "tab:x"]) == 2
    assert "--label is for the table of a paper: add --style paper" in capsys.readouterr().err


@pytest.mark.slow
def test_a_cell_that_mlflow_does_not_take_is_no_success(
    say: Run, small: list[str], tmp_path: Path, empty_store: Path
) -> None:
    words = [*small, "method=supervised", "seed=0"]
    _, cells = grid(words)
    for cell in cells:
        scored(cell, 50.0)
    shutil.copy(empty_store, tmp_path / "runs/mlflow.db")
    (tmp_path / "runs/mlartifacts").write_text("no folder")
    said = say("multirun", *words)
    assert "not synced" in said.stdout
    assert "50.00 (1)" in said.stdout
    assert "the next one without a name replaces these files: sweep_name=NAME keeps them" in said.stdout
    assert said.returncode == 1


@pytest.mark.slow
def test_what_cannot_be_written_or_read_never_costs_the_table(
    say: Run, small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep=shapes", *small, "method=supervised", "seed=0,1", "data.split=1/5"]
    _, (first, second) = grid(words)
    scored(first, 50.0)
    scored(second, 51.0)
    files = tmp_path / "results/shapes"
    runs = tmp_path / "runs"

    def show() -> tuple[int, str, list[str]]:
        code = table.show(SWEEP, look([first, second]), words, problems=sync([first, second], SWEEP))
        told = capsys.readouterr()
        return code, told.out, told.err.splitlines()

    (runs / "mlflow.db.lock").mkdir()  # no store can be made
    code, out, said = show()
    assert code == 1
    assert "50.50 ± 0.71 (2) [50.50]" in out
    (sentence,) = said
    assert "MLflow is not up to date" in sentence
    assert "2 cells have their numbers from their own records" in sentence
    assert "50.50" in (files / "table.md").read_text()

    # the same, and what a cell of another machine's folder had is not known here: good files stay
    before = (files / "table.md").read_bytes()
    (runs / "mlflow.db.lock").rmdir()
    (runs / "mlflow.db").write_bytes(b"no database" * 100)
    second.folder.result_file.unlink()
    code, out, said = show()
    assert (code, len(said)) == (1, 2)
    assert "cannot be read (file is not a database)" in said[0]
    assert said[1].endswith("results/shapes are left as they are.")
    assert "50.00 (1 of 2)" in out
    assert (files / "table.md").read_bytes() == before

    (runs / "mlflow.db").unlink()
    scored(second, 51.0)
    (tmp_path / "results").rename(tmp_path / "kept")
    (tmp_path / "results").write_text("a file, where a folder should be")
    code, out, said = show()
    assert code == 1
    assert "50.50 ± 0.71 (2) [50.50]" in out
    (sentence,) = said
    assert "The table's files were not written to results/shapes" in sentence.replace(f"{tmp_path}/", "")

    (tmp_path / "results").unlink()
    assert show()[::2] == (0, [])
    database = sqlite3.connect(runs / "mlflow.db")
    with database:
        database.execute("update latest_metrics set value = 99.99 where key = 'miou_last' or key like '%/miou_last'")
    database.close()
    code, out, (sentence,) = show()
    assert "50.50 ± 0.71 (2) [50.50]" in out, "the cells' own records count"
    assert "2 cells have their numbers from their own records, as MLflow has others or none" in sentence
    assert sentence.endswith("Delete such a run in MLflow, and `gta sync` makes it anew.")
    assert code == 1
    damage_an_index(runs / "mlflow.db")
    code, out, (sentence,) = show()
    assert "50.50 ± 0.71 (2) [50.50]" in out
    assert "mlflow.db is damaged (" in sentence
    assert "move it away: `mv " in sentence
    (runs / "mlflow.db").rename(runs / "mlflow.db.away")


@pytest.mark.slow
def test_a_table_by_another_protocol_is_of_what_the_folders_have(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["sweep=shapes", *small, "method=supervised", "seed=0", "data.split=1/5"]
    _, (cell,) = grid(words)
    scored(cell, 50.0)
    window = "sliding window 48, stride 2/3, mean of logits"
    of_cell = {"network": "student", "iteration": 10, "evaluation": window, "by_image": False}
    record = evaluated(cell.folder.path, miou=61.0, **of_cell)

    def show() -> tuple[str, str]:
        problems = [] if cell.folder.sync_cache_file.exists() else sync([cell], SWEEP)
        table.show(SWEEP, look([cell]), words, table.Shown(protocols=("sliding_window",)), problems=problems)
        told = capsys.readouterr()
        return told.out, told.err

    out, said = show()
    assert "61.00 (1)" in out
    assert said == ""
    evaluated(cell.folder.path, miou=61.0, commit="d" * 40, **of_cell)
    out, said = show()
    assert "Scored once more by code: ddddddddd." in out, "of the same number, another commit"
    assert "1 cell has its numbers from its own records, as MLflow has others or none" in said
    cell.folder.evaluation_file(record.name).unlink()
    out, said = show()
    assert "61.00" not in out, "MLflow has what the folder has no more"
    assert "1 of 1 cells is missing (1 not scored by sliding_window)" in out

    def usual(strict: bool = False) -> tuple[str, str]:
        table.show(SWEEP, look([cell]), words, strict=strict)
        told = capsys.readouterr()
        return told.out, told.err

    assert "50.00 (1) [50.00]" in usual()[0]
    for changes in ({"best": 62.0}, {"commit": "e" * 40}):
        cells.finish(cell, 50.0, **{"best": 50.0, "commit": "a" * 40, **changes})
        out, said = usual()
        assert f"50.00 (1) [{changes.get('best', 50.0):.2f}]" in out, "the folder's"
        assert "1 cell has its numbers from its own records, as MLflow has others or none" in said
    assert "Code: eeeeeeeee." in out

    result = next(cell.folder.path.glob("result.json"))
    whole = result.read_text()
    result.write_text(whole[:100])
    out = usual()[0]
    assert "50.00 (1) [50.00]" in out
    assert "A damaged record of 1 cell: supervised 1/5 (8) seed 0; the numbers are MLflow's." in " ".join(out.split())
    with pytest.raises(UserError, match=r"numbers with a damaged record \(of 1 cell"):
        usual(strict=True)
    result.write_text(whole)

    cell.folder.path.rename(tmp_path / "elsewhere")
    out, said = usual()
    assert "50.00 (1) [50.00]" in out, "MLflow has it"
    assert "No record here of 1 cell: supervised 1/5 (8) seed 0; the numbers are MLflow's." in " ".join(out.split())
    with pytest.raises(UserError, match=r"numbers with no record here \(of 1 cell: supervised 1/5 \(8\) seed 0\)"):
        usual(strict=True)


@pytest.mark.slow
def test_cells_that_score_a_part_of_the_images_say_so_and_are_scored_as_themselves(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["sweep=shapes", *small, "method=supervised", "seed=0,1", "data.split=1/5", "schedule.eval_images=2"]
    _, made = grid(words)
    for cell in made:
        scored(cell, 50.0)
    shown = table.Shown(bootstrap=True)
    table.show(SWEEP, look(made), words, shown, paper=PaperStyle())
    assert "Not known by image: supervised 1/5 (8); `gta eval" in capsys.readouterr().out
    (lack,) = table.build(SWEEP, look(made), words, shown)[1].uncounted
    paper = (tmp_path / "results/shapes/paper.tex").read_text()
    assert r"\caption{mIoU in percent on the first 2 validation images of shapes:" in paper
    code = main(shlex.split(lack.fill)[1:])
    said = capsys.readouterr()
    assert code == 1, said.err
    assert "not done" not in said.out
    assert said.err.count("its last weights are gone") == 2, "those of both seeds, which these records have none of"
