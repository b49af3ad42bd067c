"""Figures show what the table and the curves say: a line a method, a line a seed, names that do not overlap."""

from __future__ import annotations

import itertools
import math
import re

import pandas as pd
import pytest
from PIL import Image

from analysis.cells import TableCell
from analysis.report import figures, names
from analysis.report.history import COLUMNS
from analysis.table import Table
from tests.helpers.tables import table


@pytest.fixture
def usual() -> Table:
    return table(
        {
            ("supervised", "1/67 (6)"): [50.0, 52.0],
            ("supervised", "1/8 (50)"): [61.25, 61.75],
            ("gta", "1/67 (6)"): [58.0, 60.0],
            ("gta", "1/8 (50)"): [64.0, "never run"],
            ("cps", "1/8 (50)"): ["failed: out of memory"],
        }
    )


def points(rows: dict[str, dict[int, list[float]]]) -> pd.DataFrame:
    """Method -> seed -> values at iterations 10, 20, ..."""
    found = [
        (f"{row}{seed}", row, "1/8 (50)", 50, seed, 10 * (i + 1), value)
        for row, seeds in rows.items()
        for seed, values in seeds.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_line_a_method_at_its_means_with_its_spread(usual):
    axes = figures.miou_over_labels(usual).axes[0]
    drawn = {container.get_label(): container for container in axes.containers}
    assert list(drawn) == ["supervised", "gta"], "what has no number has no line"
    assert drawn["supervised"][0].get_ydata() == pytest.approx([51.0, 61.5])
    (bars,) = drawn["supervised"][2]
    lows_and_highs = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert lows_and_highs[0] == pytest.approx([51 - math.sqrt(2), 51 + math.sqrt(2)])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1/67\n(6)", "1/8\n(50)"]


def test_with_one_label_count_a_dot_a_method():
    one = table({(row, "1/8 (50)"): scores for row, scores in {"a": [50.0, 52.0], "b": ["queued"]}.items()})
    axes = figures.miou_over_labels(one).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert [container[0].get_xdata()[0] for container in axes.containers] == [51.0]


def test_columns_of_equal_label_counts_stand_side_by_side():
    equal = table({("gta", "u2pl 1/8"): [50.0], ("gta", "cps 1/8"): [52.0]})
    for entry in equal.entries.values():
        entry.scores[0] = type(entry.scores[0])(
            TableCell("s", "gta", entry.scores[0].cell.column, 50, 0), "teacher", 50.0, 50.0
        )
    axes = figures.miou_over_labels(equal).axes[0]
    assert list(axes.get_xticks()) == [1, 2]


def test_curves_have_a_line_a_seed_and_one_for_the_mean():
    data = points({"gta": {0: [10, 30], 1: [20, 50], 2: [30]}, "supervised": {0: [5, 6]}})
    figure = figures.curves(data, ["supervised", "gta", "cps"], "mIoU (%)")
    lines = figure.axes[0].lines
    assert len(lines) == (3 + 1) + 1, "a single seed is its own mean; cps has nothing yet"
    (mean,) = [line for line in lines if line.get_label() == "gta"]
    assert list(mean.get_xdata()) == [10], "where all seeds have a value"
    assert list(mean.get_ydata()) == [20.0]
    assert mean.get_linewidth() > 2 * min(line.get_linewidth() for line in lines)
    assert sorted(words(figure)) == ["gta", "supervised"]


def test_long_names_stay_apart():
    rows = ["gta_transfer_decay_90", "gta_transfer_decay_99"]
    figure = figures.curves(points({row: {0: [50.0, 60.0]} for row in rows}), rows)
    assert len(set(words(figure))) == 2
    assert max(map(len, words(figure))) <= 17


def test_a_name_at_a_lines_end_is_not_cut_off():
    figure = figures.curves(points({"W" * 17: {0: [50.0, 60.0]}}), ["W" * 17])
    drawn = figures.whole(figure)
    assert drawn.x1 >= figure.get_tightbbox().x1 > figure.get_figwidth()
    assert figures.whole(figures.curves(points({"gta": {0: [50.0, 60.0]}}), ["gta"])).x1 == figure.get_figwidth()


def test_shares_are_shown_in_percent():
    figure = figures.curves(points({"gta": {0: [0.8, 0.9]}}), ["gta"], "kept (%)", share=True)
    assert list(figure.axes[0].lines[0].get_ydata()) == pytest.approx([80, 90])
    assert figure.axes[0].get_ylim()[1] <= 101


@pytest.mark.parametrize("values", [[1.0, 1.1, 1.2], [0.0, 5.0, 10.0], [9.9, 10.0, 10.0, 10.0], [0.0] * 5, []])
def test_names_keep_their_distance_and_their_order(values):
    places = names.spread(values, 1.0, 0.0, 10.0)
    assert all(after - before >= 1 - 1e-9 for before, after in itertools.pairwise(places))
    assert all(-1e-9 <= place <= 10 + 1e-9 for place in places)
    if values == [0.0, 5.0, 10.0]:
        assert places == values


def test_many_methods_get_several_panels_and_looks_of_their_own():
    rows = [f"m{i}" for i in range(20)]
    assert [len(part) for part in figures.chunks(rows)] == [6, 6, 6, 2]
    assert figures.chunks(rows[:8]) == [rows[:8]]
    looks = {(look["color"], str(look["linestyle"])) for look in figures.looks(rows).values()}
    assert len(looks) == 20


def test_a_method_has_one_colour_in_every_figure_and_panel_and_in_a_part_of_the_sweep():
    rows = [f"m{i}" for i in range(9)]
    whole = table({(row, column): [50.0, 52.0] for row in rows for column in ("1/67 (6)", "1/8 (50)")})
    part = table({("m8", "1/67 (6)"): [50.0], ("m8", "1/8 (50)"): [60.0], ("m2", "1/8 (50)"): [60.0]})
    part.order = rows

    def colours(figure) -> dict[str, str]:
        return {text.get_text(): text.get_color() for text in figure.axes[0].texts}

    lines = colours(figures.miou_over_labels(whole))
    assert sorted(lines) == rows
    data = points({row: {0: [50.0, 60.0]} for row in rows})
    panels = [figures.curves(data, some, of=whole.coloured) for some in figures.chunks(rows)]
    assert len(panels) == 2
    assert colours(panels[0]) | colours(panels[1]) == lines
    assert colours(figures.miou_over_labels(part)) == {row: lines[row] for row in ("m8", "m2")}


def test_files_for_a_page_and_for_a_readme(usual, tmp_path):
    svg, png = figures.write_figure(figures.miou_over_labels(usual), tmp_path / "out" / "miou")
    assert (svg.name, png.name) == ("miou.svg", "miou.png")
    assert "<dc:date>" not in svg.read_text(encoding="utf-8"), "a file that is the same is not sent again"
    assert "supervised" in re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text(encoding="utf-8"))
    with Image.open(png) as picture:
        assert picture.width > 600
        assert picture.getpixel((0, 0))[:3] == (255, 255, 255)
    assert png.stat().st_size < 100_000


def test_a_name_that_matplotlib_would_set_as_mathematics():
    nasty = "a$b_c$ <d> & é"
    text = figures.svg(figures.miou_over_labels(table({(nasty, "1/8 (50)"): [50.0], (nasty, "1/4"): [60.0]})))
    assert "a$b_c$ &lt;d&gt; &amp;" in text
