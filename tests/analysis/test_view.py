"""Tables of other numbers of the same runs: a row a network, the last iteration and the best evaluation apart."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from analysis import render
from analysis.cells import Protocol
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
    others = {scored for column, scored in placed if column.endswith("last")}
    assert "last epoch" in others
    assert not any(scored.startswith("best") for scored in others)


def test_its_files_have_names_of_their_own(tmp_path: Path) -> None:
    render.write_tables(made(View(), baseline="sup"), tmp_path)
    usual = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    render.write_tables(made(View(True, ("best",)), baseline="sup"), tmp_path, PaperStyle())
    render.write_tables(made(View(True, ("best",))), tmp_path)
    new = {path.name for path in tmp_path.iterdir()} - set(usual)
    assert new == {f"table-networks-best.{kind}" for kind in ("md", "tex", "html", "csv", "json")}
    assert {name: (tmp_path / name).read_bytes() for name in usual} == usual


WINDOW = "sliding window 48, stride 2/3, mean of logits"
SLIDING = Protocol("sliding_window", WINDOW, "gta eval sweep=shapes evaluation.protocol=sliding_window")
OWN = Protocol("own", "original size", "gta eval sweep=shapes")


def again(miou: float, **more: Any) -> dict[str, Any]:
    """What `gta eval` found out about the network of a run."""
    usual = {"which": "last", "iteration": 800, "evaluation": WINDOW, "commit": "c" * 40, "iou": [50.0, None]}
    return {**usual, "miou": miou, **more}


def scored(signature: str, last: float, *found: dict[str, Any], **more: Any) -> dict[str, Any]:
    own = {"iteration": 800, "best_iteration": 600.0, "classes": ["a", "b"], "iou": [50.0, 40.0]}
    return run(signature, last, evaluations=list(found), **own, **more)


def test_each_protocol_has_columns_of_its_own_and_says_what_is_missing() -> None:
    best = again(72.0, which="best", iteration=600)
    older = again(99.0, iteration=400)  # of a checkpoint that the cell has left behind
    rows = [
        scored("a", 60.0, again(70.0), best, again(1.0, evaluation="center crop 32")),
        scored("b", 62.0, older, seed=1),
    ]
    cells = [want(name, seed=seed, protocols=(OWN, SLIDING)) for seed, name in enumerate("ab")]
    view = View(scores=("last", "best"), protocols=("own", "sliding_window"))
    table = build(frame(*rows), cells, view=view)
    assert table.columns == [f"1/67 (6) {name} {which}" for name in view.protocols for which in view.scores]
    means = [table.entries["gta", column].mean for column in table.columns]
    assert means == [61.0, 62.0, 70.0, 72.0]
    assert table.missing == [
        "gta, 1/67 (6), seed 1 (1 of 2 seeds): not scored by sliding_window",
        "gta, 1/67 (6), seed 1 (1 of 2 seeds): not scored by sliding_window with its best weights",
    ]
    assert list(table.fill) == [SLIDING.command, f"{SLIDING.command} --which best"]
    assert "1 of 2 cells is missing" in render.terminal(table)
    notes = " ".join(table.notes)
    assert f"Evaluation: own: original size; sliding_window: {WINDOW}." in notes
    assert "In columns marked sliding_window last, the mean is over 1 of 2 classes: neither masks nor" in notes
    assert "Scored once more by code: ccccccccc." in notes
    assert "columns marked best: the weights of each seed's best evaluation in training" in notes
    lines = list(csv.DictReader(io.StringIO(render.to_csv(table))))
    assert [line["evaluation"] for line in lines if line["miou_best"] == "72.0"] == [WINDOW]
    assert table.view.stem == "-own-sliding_window-last-best"


def test_a_network_that_was_not_scored_names_the_command_for_all() -> None:
    rows = [scored("a", 60.0, again(70.0)), scored("a", 50.0, network="student", headline=False)]
    view = View(networks=True, protocols=("sliding_window",))
    table = build(frame(*rows), [want("a", protocols=(SLIDING,))], view=view)
    assert table.entries["gta (teacher)", "1/67 (6) sliding_window"].mean == 70.0
    assert list(table.fill) == [f"{SLIDING.command} --network all"]


def test_scores_by_several_codes_or_windows_are_mixed() -> None:
    narrow = Protocol("sliding_window", "sliding window 32")
    of_narrow = again(71.0, evaluation=narrow.words, commit="d" * 40)
    rows = [scored("a", 60.0, again(70.0)), scored("b", 62.0, of_narrow, seed=1)]
    cells = [want("a", protocols=(SLIDING,)), want("b", seed=1, protocols=(narrow,))]
    table = build(frame(*rows), cells, view=View(protocols=("sliding_window",)))
    assert table.mixed == [
        "2 commits that scored once more (ccccccccc, ddddddddd)",
        f"2 evaluations by sliding_window ({WINDOW}, {narrow.words})",
    ]


def test_a_score_of_unknown_code_is_none_of_the_others() -> None:
    of_unknown = again(71.0, commit=None)
    rows = [scored("a", 60.0, again(70.0)), scored("b", 62.0, of_unknown, seed=1)]
    cells = [want(name, seed=seed, protocols=(OWN, SLIDING)) for seed, name in enumerate("ab")]
    table = build(frame(*rows), cells, view=View(protocols=("own", "sliding_window")))
    assert table.mixed == ["2 commits that scored once more (ccccccccc, unknown)"]
    assert "Scored once more by code: ccccccccc, unknown (MIXED commits)." in table.notes
    table = build(frame(rows[1]), cells[1:], view=View(protocols=("own", "sliding_window")))
    assert "Scored once more by code: unknown." in table.notes


def test_the_column_of_the_training_protocol_says_which_classes_no_mean_has() -> None:
    lacking = {**scored("a", 60.0), "iou": [50.0, float("nan")]}
    table = build(frame(lacking), [want("a", protocols=(OWN,))], view=View(protocols=("own",)))
    said = "The mean is over 1 of 2 classes: neither masks nor predictions of the evaluation have b"
    assert [note.startswith(said) for note in table.notes].count(True) == 1
