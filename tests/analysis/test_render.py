"""What the table looks like: each format says the same, and no name breaks it."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from analysis import render
from analysis.table import Entry, Score, Table, Wanted

GOLDEN = Path(__file__).parents[1] / "golden" / "table.tex"
NASTY = r"a&b_c%d#e$f{g}h~i^j\k|l*m`n<o>p[q](r)"


def entry(row: str, column: str, labels: int, scores: list[float | str]) -> Entry:
    """Scores by seed; a text is the reason why there is none."""
    result = []
    for seed, score in enumerate(scores):
        wanted = Wanted(f"{row}-{labels}-{seed}", row, column, labels, seed)
        if isinstance(score, str):
            result.append(Score(wanted, reason=score))
        else:
            result.append(Score(wanted, "teacher", score, score + 1))
    return Entry(result)


def table(cells: dict[tuple[str, str], list[float | str]], title: str = "shapes") -> Table:
    columns = list(dict.fromkeys(column for _, column in cells))
    entries = {(row, column): entry(row, column, columns.index(column) + 1, s) for (row, column), s in cells.items()}
    missing = [
        f"{row}, {column}, seed {score.wanted.seed}: {score.reason}"
        for (row, column), one in entries.items()
        for score in one.scores
        if score.last is None
    ]
    rows = list(dict.fromkeys(row for row, _ in cells))
    return Table(title, rows, columns, entries, ["mIoU in percent: mean ± std.", "Seeds: 0, 1."], missing)


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
    assert "mean_teacher, 1/67 (6), seed 1: failed: CUDA out of memory" in text
    assert "Seeds: 0, 1." in text


def test_latex_is_as_it_was(usual):
    """Delete the golden file and run again to write it anew; then look at the difference."""
    text = render.latex(usual)
    if not GOLDEN.exists():
        GOLDEN.write_text(text, encoding="utf-8")
        pytest.fail("the golden file was not there; it has been written")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_latex_escapes_every_name():
    text = render.latex(table({(NASTY, "50%_&"): ["x_y & z"]}, title="a_b"))
    assert (
        r"a\&b\_c\%d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k\textbar{}l{*}m`n"
        r"\textless{}o\textgreater{}p{[}q{]}(r) & --: x\_y \& z \\"
    ) in text
    assert r"Method & 50\%\_\& \\" in text
    assert r"\caption{a\_b}" in text
    body = text.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    assert sum(line.replace(r"\&", "").count("&") for line in body.splitlines()) == 2  # the two separators


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX is installed")
def test_latex_compiles(usual, tmp_path):
    nasty = table({(name, "50%_&"): [50.0, "x_y & z"] for name in (NASTY, "[b]", "*c")}, title="a_b")
    body = render.latex(usual) + render.latex(nasty)
    text = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "t.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_markdown_keeps_its_columns_whatever_the_names():
    names = [NASTY, "_a_", "plain_name", "two\nlines"]
    lines = render.markdown(table({(name, "1|8"): ["a|b"] for name in names})).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(names)
    for row in rows:
        assert row.replace(r"\|", "").count("|") == 3
    text = "\n".join(rows)
    assert r"a\&b_c%d#e\$f{g}h\~i^j\\k\|l\*m\`n\<o\>p[q\](r)" in text
    assert r"| \_a\_ |" in text
    assert "| plain_name |" in text
    assert "| two lines |" in text


def test_csv_has_a_line_for_the_seeds_together_and_one_for_each(usual):
    rows = list(csv.DictReader(io.StringIO(render.to_csv(usual))))
    of = {(r["row"], r["column"], r["seed"]): r for r in rows}
    assert len(rows) == 5 * 3
    assert of["supervised", "1/67 (6)", "all"]["miou_last"] == "51.0"
    assert float(of["supervised", "1/67 (6)", "all"]["miou_last_std"]) == pytest.approx(2**0.5)
    assert of["supervised", "1/67 (6)", "1"]["miou_last"] == "52.0"
    assert of["supervised", "1/67 (6)", "1"]["miou_best"] == "53.0"
    assert of["supervised", "1/67 (6)", "1"]["signature"] == "supervised-1-1"
    failed = of["mean_teacher", "1/67 (6)", "1"]
    assert (failed["miou_last"], failed["reason"]) == ("", "failed: CUDA out of memory")
    partly = of["mean_teacher", "1/67 (6)", "all"]
    assert (partly["n"], partly["wanted"], partly["miou_last"]) == ("1", "2", "55.0")


def test_csv_keeps_commas_quotes_and_lines_in_names():
    name = 'a, "b"\nc'
    rows = list(csv.DictReader(io.StringIO(render.to_csv(table({(name, "x"): [1.0]})))))
    assert {row["row"] for row in rows} == {name}


def test_write_puts_three_files_and_overwrites_them(usual, tmp_path):
    paths = render.write(usual, tmp_path / "results" / "shapes")
    assert [path.name for path in paths] == ["table.md", "table.tex", "table.csv"]
    assert paths[0].read_text(encoding="utf-8") == render.markdown(usual)
    render.write(table({("gta", "x"): [1.0]}), tmp_path / "results" / "shapes")
    assert "supervised" not in "".join(path.read_text(encoding="utf-8") for path in paths)
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["table.csv", "table.md", "table.tex"]


def test_an_empty_table_renders():
    empty = Table("nothing", [], [], {}, [], [])
    for make in (render.terminal, render.markdown, render.latex, render.to_csv):
        assert make(empty)
