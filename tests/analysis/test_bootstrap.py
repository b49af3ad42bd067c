"""A bootstrap over images is the plain loop over drawn images, paired, and says what it is about."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis import bootstrap, render
from analysis.bootstrap import RESAMPLES, interval
from analysis.cells import Protocol
from analysis.entry import BEST, SeedScore, TableEntry
from analysis.table import Table, build
from analysis.view import Facet
from gta import evaluations
from gta.cellfolder import CellFolder
from gta.errors import UserError
from gta.evaluations import ByImage
from tests.helpers.tables import frame, run, want
from tests.helpers.tracked import evaluated, finish, make_cell

WORDS = "sliding window 48, stride 2/3, mean of logits"  # of `evaluated`
IMAGES, CLASSES = 9, 4


def network(seed: int) -> ByImage:
    """Counts of some images; the last class is in one of them only, so that many resamples lack it."""
    random = np.random.default_rng(seed)
    union = random.integers(1, 100, size=(IMAGES, CLASSES))
    union[1:, -1] = 0
    return ByImage([f"image {i}" for i in range(IMAGES)], (union * random.random(union.shape)).astype(np.int64), union)


def plain(networks: list[ByImage], places: list[int]) -> float:
    """Mean over networks of the mIoU of some images, pixel by pixel, class by class."""
    scores = []
    for one in networks:
        iou = []
        for c in range(CLASSES):
            hit = sum(int(one.intersection[i, c]) for i in places)
            either = sum(int(one.union[i, c]) for i in places)
            if either:
                iou.append(100 * hit / either)
        scores.append(sum(iou) / len(iou))
    return sum(scores) / len(scores)


def percentiles(values: list[float]) -> tuple[float, float]:
    """2.5 and 97.5 percent, linear between neighbours."""
    ordered = sorted(values)
    found = []
    for share in (0.025, 0.975):
        at = share * (len(ordered) - 1)
        low = int(at)
        found.append(ordered[low] + (at - low) * (ordered[low + 1] - ordered[low]))
    return found[0], found[1]


def test_it_is_the_plain_loop_over_drawn_images() -> None:
    ours, theirs = [network(1), network(2)], [network(3), network(4)]
    drawn = np.random.default_rng(0).integers(IMAGES, size=(RESAMPLES, IMAGES)).tolist()
    everything = list(range(IMAGES))
    found = interval(ours)
    assert found.value == pytest.approx(plain(ours, everything), abs=1e-9)
    assert (found.low, found.high) == pytest.approx(percentiles([plain(ours, places) for places in drawn]), abs=1e-9)
    apart = interval(ours, theirs)
    assert apart.value == pytest.approx(plain(ours, everything) - plain(theirs, everything), abs=1e-9)
    differences = [plain(ours, places) - plain(theirs, places) for places in drawn]
    assert (apart.low, apart.high) == pytest.approx(percentiles(differences), abs=1e-9)


def test_a_difference_is_of_the_same_images() -> None:
    one = network(1)
    same = interval([one], [one])
    assert (same.value, same.low, same.high) == (0, 0, 0), "whichever images are drawn"
    assert interval([one]).high - interval([one]).low > 1
    other = ByImage(one.ids[::-1], one.intersection, one.union)
    with pytest.raises(UserError, match="scored on other images"):
        interval([one], [other])


def counted(below: Path, view_baseline: str = "") -> Table:
    """A table of two rows with two seeds each; of one cell there are no counts."""
    rows, cells = [], []
    own = Protocol("own", WORDS, "gta eval sweep=shapes")
    for row in ("sup", "gta"):
        for seed in range(2):
            folder = CellFolder(make_cell(below, seed=seed))
            made = evaluated(folder.path, by_image=(row, seed) != ("gta", 1))
            cells.append(want(folder.signature, row, seed=seed, protocols=(own,)))
            rows.append(run(folder.signature, made.miou, label=row, seed=seed, evaluation=WORDS))
    table = build(frame(*rows), cells, baseline=view_baseline)
    table.count_images(below)
    return table


def test_a_table_shows_what_is_known_and_how_the_rest_is_made(tmp_path: Path) -> None:
    table = counted(tmp_path)
    (sup,) = table.over_images
    assert (sup.row, sup.seeds, sup.images) == ("sup", (0, 1), 2)
    assert sup.miou.value == pytest.approx(table.entries["sup", "1/67 (6)"].mean)
    for text in (render.terminal(table), render.markdown(table), render.html(table), render.latex(table)):
        plainly = " ".join(text.replace("\\", "").replace("{}", "").split())
        assert "Over images" in plainly
        assert f"{sup.miou.low:.2f} to {sup.miou.high:.2f}" in plainly
        assert "nothing of other seeds or labeled lists" in plainly
        assert "Not known by image: gta 1/67 (6)" in plainly
        assert "gta eval sweep=shapes" in plainly
    content = json.loads(render.to_json(table))
    assert content["over_images"][0]["images"] == 2
    (one,) = content["uncounted"]
    assert one == {"row": "gta", "column": "1/67 (6)", "seeds": [1], "fill": "gta eval sweep=shapes", "why": ""}


def test_a_row_is_compared_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    table = counted(tmp_path, "sup")
    (uncounted,) = _without(table)
    evaluated(tmp_path / uncounted)
    table.count_images(tmp_path)
    gta = next(one for one in table.over_images if one.row == "gta")
    assert gta.paired == (0, 1)
    assert gta.difference is not None
    assert (gta.difference.low, gta.difference.value, gta.difference.high) == (0, 0, 0), "they are alike"
    assert next(one for one in table.over_images if one.row == "sup").difference is None
    text = render.terminal(table)
    assert "its 95 %" in text
    files = {path.name for path in render.write_tables(table, tmp_path / "results")}
    assert "bootstrap.csv" in files
    line = (tmp_path / "results/bootstrap.csv").read_text().splitlines()[-1]
    assert line.startswith("gta,1/67 (6),2,2,")
    assert line.endswith(",sup,2,0.0,0.0,0.0")


def _without(table: Table) -> set[str]:
    (one,) = table.uncounted
    entry = table.entries[one.row, one.column]
    return {score.cell.signature for score in entry.scores if score.cell.seed in one.seeds}


def test_damaged_counts_are_not_known(tmp_path: Path) -> None:
    table = counted(tmp_path)
    for path in tmp_path.glob("*/evaluations/*.npz"):
        path.write_bytes(b"PK")
    table.count_images(tmp_path)
    assert table.over_images == []
    assert [(one.row, one.seeds) for one in table.uncounted] == [("sup", (0, 1)), ("gta", (0, 1))]


def test_counts_of_another_list_are_not_used_and_do_not_end_the_table(tmp_path: Path) -> None:
    """The images of one cell's counts are not those of the list that its record names."""
    table = counted(tmp_path, "sup")
    (uncounted,) = _without(table)
    made = evaluated(tmp_path / uncounted)
    counts = evaluations.read_by_image(CellFolder(tmp_path / uncounted), made)
    assert counts is not None
    for ids, why in ((["a", "x"], bootstrap._OTHER_LIST), (["b", "a"], "its seeds were scored on different images")):
        other = ByImage(ids, counts.intersection, counts.union)
        evaluations.write(CellFolder(tmp_path / uncounted), made, other)
        table.count_images(tmp_path)
        (sup,), (gta,) = table.over_images, table.uncounted
        assert (sup.row, gta.row, gta.why) == ("sup", "gta", why)
        assert "Not known by image: gta" in render.terminal(table)


def test_no_difference_is_told_to_rows_on_other_images(tmp_path: Path) -> None:
    table = counted(tmp_path, "sup")
    (uncounted,) = _without(table)
    evaluated(tmp_path / uncounted)
    for score in table.entries["gta", "1/67 (6)"].scores:
        folder = CellFolder(tmp_path / score.cell.signature)
        (one,) = evaluations.all_of(folder)
        counts = evaluations.read_by_image(folder, one)
        assert counts is not None
        turned = ByImage(counts.ids[::-1], counts.intersection[::-1], counts.union[::-1])
        evaluations.write(folder, one, turned)
    table.count_images(tmp_path)
    gta = next(one for one in table.over_images if one.row == "gta")
    assert (gta.seeds, gta.paired, gta.difference) == ((0, 1), (), None)
    (line,) = bootstrap.notes([], table.uncounted, "sup")
    assert line == "No difference to sup: gta 1/67 (6) (they were scored on other images, or in another order)."


def test_a_score_that_came_out_otherwise_is_said_with_what_helps(tmp_path: Path) -> None:
    """`gta eval` on another device: to call it again does nothing, as it is recorded."""
    table = counted(tmp_path)
    for score in table.entries["gta", "1/67 (6)"].scores:
        evaluated(tmp_path / score.cell.signature)
    table.entries["gta", "1/67 (6)"].scores[1] = replace(score, last=(score.last or 0) + 1e-4)
    table.count_images(tmp_path)
    (one,) = table.uncounted
    assert (one.seeds, one.fill) == ((1,), "gta eval sweep=shapes --again")
    (line,) = bootstrap.notes([], table.uncounted, "")
    assert "came to another number than training" in line
    assert "evaluation.by_image=true" in line
    assert line.endswith("`gta eval sweep=shapes --again` scores anew, on a device of the kind that trained.")


def test_best_weights_that_nobody_kept_are_advised_to_no_one(tmp_path: Path) -> None:
    folder = CellFolder(make_cell(tmp_path))
    finish(folder.path)
    cell = want(folder.signature, protocols=(Protocol("own", WORDS, "gta eval sweep=shapes"),))
    score = SeedScore(cell, "student", None, 66.0, evaluation=WORDS)
    entries = {("gta (student)", "c"): TableEntry([score], BEST), ("gta (teacher)", "c"): TableEntry([], BEST)}
    entries["gta (teacher)", "c"].scores.append(replace(score, network="teacher"))
    _, (student, teacher) = bootstrap.of_table(entries, {"c": Facet(BEST)}, tmp_path)
    assert (student.fill, student.why) == ("", "the best weights are kept of the teacher alone")
    assert (teacher.fill, teacher.why) == ("gta eval sweep=shapes --which best", "")
