"""Tables of other numbers of the same runs: a row a network, the last iteration and the best evaluation apart."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from analysis import render
from analysis.render.paper import PaperStyle, paper
from analysis.table import Table, build
from analysis.view import View
from tests.helpers.tables import frame, run, want

LAST, BEST = "1/67 (6) last", "1/67 (6) best"


def two_networks(signature: str, last: float, **more: Any) -> list[dict[str, Any]]:
    """The runs of a cell whose teacher is the headline; its student is 10 points below."""
    student = {"network": "student", "headline": False, "miou_best": last - 2}
    return [run(signature, last, **more), run(signature, last - 10, **{**more, **student})]


def made(view: View, **asked: Any) -> Table:
    rows = [row for seed in range(3) for row in two_networks(f"g{seed}", 60.0 + 2 * seed, seed=seed)]
    rows += [run(f"s{seed}", 50.0 + seed, network="student", label="sup", seed=seed) for seed in range(3)]
    cells = [want(f"s{seed}", "sup", seed=seed, paper="Supervised") for seed in range(3)]
    cells += [want(f"g{seed}", seed=seed, reason="failed: no memory", fill="do it", paper="GTA") for seed in range(4)]
    return build(frame(*rows), cells, view=view, **asked)


def test_a_row_a_network_with_the_headline_first() -> None:
    table = made(View(networks=True))
    assert table.rows == ["sup (student)", "gta (teacher)", "gta (student)"]
    assert [table.entries[row, "1/67 (6)"].mean for row in table.rows] == [51.0, 62.0, 52.0]
    assert "Network: as each row says; the headline is student (sup), teacher (gta)." in table.notes
    assert table.missing == ["gta, 1/67 (6), seed 3 (3 of 4 seeds): failed: no memory"], "once, not for each network"
    assert "1 of 7 cells is missing (1 failed): do it" in render.terminal(table)
    assert "GTA (student)" in paper(table)


def test_a_row_of_which_nothing_is_known_stands_once() -> None:
    table = build(frame(), [want("a")], view=View(networks=True))
    assert table.rows == ["gta"]


@pytest.mark.parametrize("which", ["last", "best"])
def test_one_evaluation_alone_is_marked_in_head_footer_and_data(which: str) -> None:
    table = made(View(scores=(which,)))
    assert table.columns == [f"1/67 (6) {which}"]
    mean = {"last": 62.0, "best": 63.0}[which]
    assert table.entries["gta", f"1/67 (6) {which}"].mean == mean
    said = {"last": "last iteration", "best": "each seed's best evaluation, picked on the validation set"}[which]
    assert f"over (n) seeds, {said}." in table.notes[0]
    for text in (render.terminal(table), render.markdown(table), render.latex(table), render.html(table)):
        assert f"1/67 (6) {which}" in text
        assert f"{mean:.2f}" in text
        assert f"{({62.0, 63.0} - {mean}).pop():.2f}" not in text, "the other one stands nowhere"
    line = next(row for row in csv.DictReader(io.StringIO(render.to_csv(table))) if row["row"] == "gta")
    assert (line["miou_last"], line["miou_best"]) == {"last": ("60.0", ""), "best": ("", "61.0")}[which]


def test_both_stand_in_columns_of_their_own() -> None:
    table = made(View(scores=("last", "best")), baseline="sup")
    assert table.columns == [LAST, BEST]
    entries = json.loads(render.to_json(table))["entries"]
    gta = {entry["column"]: entry for entry in entries if entry["row"] == "gta"}
    assert {column: (one["scored"], one["mean"], one["best_mean"]) for column, one in gta.items()} == {
        LAST: ("last", 62.0, None), BEST: ("best", 63.0, None),
    }  # fmt: skip
    assert [(seed["miou_last"], seed["miou_best"]) for seed in gta[LAST]["seeds"]][:2] == [(60.0, None), (62.0, None)]
    compared = [(c.column, c.difference, c.p_holm) for c in table.comparisons]
    assert compared == [(LAST, 11.0, 0.25), (BEST, 11.0, 0.25)], "each is corrected among its own"
    text = paper(table, PaperStyle())
    assert "mIoU in percent; columns marked last: last iteration; columns marked best: each seed" in text


def test_a_method_named_as_baseline_is_its_headline() -> None:
    table = made(View(networks=True), baseline="gta")
    assert table.baseline == "gta (teacher)"
    assert {c.row: c.difference for c in table.comparisons} == {"sup (student)": -11.0, "gta (student)": -10.0}


def test_a_published_number_stands_in_the_column_that_it_is_of() -> None:
    here = {"dataset": "voc_classic", "encoder": "resnet101", "lists": "u2pl 92 (VOC classic, 1/16)"}
    cells = [want("a", column="1/16 (92)", labels=92, **here)]
    table = build(frame(run("a", 50.0)), cells, rows_beside="all", view=View(scores=("last", "best")))
    placed = [(column, number.scored) for row in table.published for column, (number, _) in row.numbers.items()]
    best = {scored for column, scored in placed if column.endswith("best")}
    assert best
    assert all(scored.startswith("best") for scored in best)
    assert {scored for column, scored in placed if column.endswith("last")} == {"last epoch", "not stated"}


def test_its_files_have_names_of_their_own(tmp_path: Path) -> None:
    render.write_tables(made(View(), baseline="sup"), tmp_path)
    usual = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    render.write_tables(made(View(True, ("best",)), baseline="sup"), tmp_path, PaperStyle())
    render.write_tables(made(View(True, ("best",))), tmp_path)
    new = {path.name for path in tmp_path.iterdir()} - set(usual)
    assert new == {f"table-networks-best.{kind}" for kind in ("md", "tex", "html", "csv", "json")}
    assert {name: (tmp_path / name).read_bytes() for name in usual} == usual
