"""What the table looks like: each format says the same, and no name breaks it."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from analysis import render
from analysis.table import Table
from tests.helpers.golden import same_as_golden
from tests.helpers.tables import entry, everything, table


@pytest.fixture
def full() -> Table:
    return everything()


@pytest.fixture
def usual() -> Table:
    return table(
        {
            ("supervised", "1/67 (6)"): [50.0, 52.0],
            ("supervised", "1/8 (50)"): [61.25, 61.75],
            ("mean_teacher", "1/67 (6)"): [55.0, "failed: CUDA out of memory"],
            ("mean_teacher", "1/8 (50)"): ["never run", "queued"],
            ("gta", "1/67 (6)"): [58.0, 60.0],
        }
    )


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        ([50.0, 52.0], "51.00 ± 1.41 (2) [52.00]"),
        ([50.004], "50.00 (1) [51.00]"),
        ([50.0, "never run", "never run"], "50.00 (1 of 3) [51.00]"),
        ([50.0, 52.0, "failed: x"], "51.00 ± 1.41 (2 of 3) [52.00]"),
        (["failed: out of memory", "failed: timeout"], "–: failed"),
        (["queued", "never run"], "–: queued, never run"),
    ],
)
def test_an_entry_says_mean_spread_count_and_best(scores, text):
    assert render.text(entry("gta", "1/8", 50, scores)) == text


def test_the_terminal_shows_all_of_it(usual):
    text = render.terminal(usual)
    header = next(line for line in text.splitlines() if "1/67 (6)" in line)
    assert header.index("1/67 (6)") < header.index("1/8 (50)")
    (line,) = [line for line in text.splitlines() if line.startswith("supervised")]
    assert "51.00 ± 1.41 (2) [52.00]" in line
    assert "Seeds: 0, 1." in text


def test_a_line_says_how_many_cells_are_missing_and_each_is_named_on_request(full):
    makers = (render.terminal, render.markdown, render.latex, render.html)
    line = "4 of 18 cells are missing (1 failed, 1 never run, 2 queued): gta multirun sweep=shapes --retry failed"
    plain = [re.sub(r"<[^>]+>|\\texttt|[`{}\\]", "", make(full)) for make in makers]
    for text in plain:
        assert text.count(line) == 1
        assert "CUDA out of memory" not in text
    assert line in plain[0].splitlines(), "one line, to be copied"
    full.listed = True
    for make in makers:
        assert "seed 1: failed: CUDA out of memory" in make(full)
    one = table({("gta", "x"): [1.0, "queued"]})
    assert "1 of 2 cells is missing (1 queued)" in render.terminal(one)
    assert "missing" not in render.terminal(table({("gta", "x"): [1.0]}))


def test_latex_is_as_it_was(usual):
    same_as_golden("table.tex", render.document(usual))


def test_csv_is_tidy(full):
    """A line a score, ours and published: no means among them."""
    rows = list(csv.DictReader(io.StringIO(render.to_csv(full))))
    ours = [row for row in rows if not row["source"]]
    assert len(ours) == sum(entry.wanted for entry in full.entries.values())
    (one,) = [r for r in ours if (r["row"], r["column"], r["seed"]) == ("supervised", "1/67 (6)", "1")]
    assert (one["miou_last"], one["miou_best"], one["labels"], one["signature"]) == (
        "52.0",
        "53.0",
        "1",
        "supervised-1-1",
    )
    (failed,) = [r for r in ours if r["reason"] == "failed: CUDA out of memory"]
    assert failed["miou_last"] == ""
    (published,) = [row for row in rows if row["source"]]
    assert (published["row"], published["miou_best"], published["lists"]) == ("GTA-Seg", "70.5", "cps")
    assert (published["miou_last"], published["seed"]) == ("", "")
    compared = list(csv.DictReader(io.StringIO(render.significance_csv(full))))
    assert {row["baseline"] for row in compared} == {"supervised"}
    (gta,) = [row for row in compared if (row["row"], row["column"]) == ("gta", "1/67 (6)")]
    assert (float(gta["difference"]), gta["seeds"], gta["p"]) == (8.0, "3", "0.25")


def test_json_has_means_ranks_and_comparisons(full):
    content = json.loads(render.to_json(full))
    of = {(entry["row"], entry["column"]): entry for entry in content["entries"]}
    assert (of["gta", "1/67 (6)"]["mean"], of["gta", "1/67 (6)"]["rank"]) == (59.0, 1)
    assert of["mean_teacher", "1/67 (6)"]["rank"] is None, "not all of its seeds are there"
    assert of["mean_teacher", "1/8 (50)"]["mean"] is None
    assert content["published"][0]["numbers"][0]["source"] == "ESL, table 1"
    assert {c["row"] for c in content["comparisons"]} == {"mean_teacher", "gta"}


def test_best_is_bold_second_underlined_published_grey(full):
    best, second, theirs = "59.00 ± 1.00", "51.00 ± 1.00", "70.50"
    assert f"**{best}**" in render.markdown(full)
    assert f"<u>{second}</u>" in render.markdown(full)
    assert f"*{theirs} (b)*" in render.markdown(full)
    assert rf"\textbf{{{best}}}".replace("±", r"$\pm$") in render.latex(full)
    assert rf"\underline{{{second}}}".replace("±", r"$\pm$") in render.latex(full)
    assert rf"\textcolor{{gray}}{{{theirs}\textsuperscript{{b}}}}" in render.latex(full)
    assert f'<span class="best">{best}</span>' in render.html(full)
    assert f'<span class="second">{second}</span>' in render.html(full)
    assert '<tr class="published first"><th scope="row">GTA-Seg<sup>a</sup></th>' in render.html(full)
    colored = render.terminal(full, color=True)
    assert f"\x1b[1m{best}\x1b[0m" in colored
    assert f"\x1b[4m{second}\x1b[0m" in colored
    assert "\x1b[90mGTA-Seg (a)" in colored
    assert "\x1b" not in render.terminal(full)


def test_only_entries_with_all_their_seeds_are_ranked(full):
    assert full.entries["mean_teacher", "1/67 (6)"].mean == 77.0
    assert full.ranks("1/67 (6)") == {"gta": 1, "supervised": 2}
    assert table({("a", "x"): [1.0], ("b", "x"): [1.0], ("c", "x"): [0.5]}).ranks("x") == {"a": 1, "b": 1}
    assert table({("a", "x"): [1.0]}).ranks("x") == {}, "alone it is not best of anything"


@pytest.mark.parametrize("make", [render.terminal, render.markdown, render.latex, render.html])
def test_every_format_for_people_says_all_of_it(full, make):
    full.listed = True
    text = make(full).replace("{}", "").replace("\\", "").replace("&#x27;", "'")
    for part in (
        "+8.00",  # difference to the baseline
        "(2 of 3)",
        "failed: CUDA out of memory",
        "gta multirun sweep=shapes --retry failed",
        "a: another evaluation: e.",
        "b: another labeled list: cps.",
        "Against supervised",
        "+8.00 to +8.00",  # the interval
        "smallest p that this test can give is 0.25",
    ):
        assert part in text or part.replace("_", r"\_") in text, part


def test_the_best_scores_can_be_left_out(full):
    assert "[60.00]" in render.terminal(full)
    full.best = False
    for make in (render.terminal, render.markdown, render.latex, render.html):
        assert "60.00" not in make(full)


@pytest.mark.parametrize("width", [160, 80, 60, 40, 20])
def test_the_terminal_fits_and_loses_nothing(full, width):
    full.listed = True
    text = render.terminal(full, width)
    body, _, missing = text.partition("\n4 of 18 cells are missing")
    assert max(map(len, body.splitlines())) <= max(width, 36)
    joined = "".join(body.split())
    for part in ("59.00±1.00", "[60.00]", "+8.00", "61.10±0.10", "70.50(b)", "GTA-Seg"):
        assert part in joined
    assert body.count("supervised") >= 1
    assert "  failed: gta multirun sweep=shapes --retry failed" in missing, "one line, to be copied"


def test_write_puts_the_files_and_overwrites_them(full, usual, tmp_path):
    folder = tmp_path / "results" / "shapes"
    names = ["table.md", "table.tex", "table.html", "table.csv", "table.json"]
    assert [path.name for path in render.write_tables(full, folder)] == [*names, "significance.csv"]
    assert (folder / "table.md").read_text(encoding="utf-8") == render.markdown(full)
    paths = render.write_tables(table({("gta", "x"): [1.0]}), folder)
    assert "supervised" not in "".join(path.read_text(encoding="utf-8") for path in paths)
    assert sorted(path.name for path in folder.iterdir()) == sorted(names), "an old comparison does not stay"


def test_an_empty_table_renders():
    empty = Table("nothing", [], [], {}, [], [])
    makers = (
        render.terminal,
        render.markdown,
        render.latex,
        render.document,
        render.html,
        render.to_csv,
        render.to_json,
    )
    for make in makers:
        assert make(empty)
