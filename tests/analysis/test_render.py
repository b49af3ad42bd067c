"""What the table looks like: each format says the same, and no name breaks it."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from analysis import render
from analysis.published import Beside, Number
from analysis.render.layout import clean
from analysis.significance import compare
from analysis.table import Entry, Score, Table, Wanted

GOLDEN = Path(__file__).parents[1] / "golden" / "table.tex"
NASTY = r"a&b_c%d#e$f{g}h~i^j\k|l*m`n<o>p[q](r)"
_RANDOM = random.Random(7)
_CHARACTERS = [*"_&|%<>#$\\{}~^`'\"*[]()!-+=.,:;/?@ \n\té中😀λΔ±–ßøŁ\u202e\x1b\x00aB7", "--", "**", "&amp;"]
HOSTILE = [
    *(
        "_a_",
        "*c",
        "[b]",
        "[x] done",
        "# head",
        "- item",
        "1. item",
        "+ x",
        "<b>bold</b>",
        "a\\",
        "---",
        "|",
        "``",
        "$x$",
    ),
    *(
        "[a](http://x.y)",
        "![a](b)",
        "<!-- x -->",
        "&lt;",
        "~~x~~",
        "__x__",
        "%",
        "{",
        "}",
        "\\end{table}",
        "0.5",
        "=",
        "\\",
    ),
    *("".join(_RANDOM.choices(_CHARACTERS, k=_RANDOM.randint(1, 12))) + "z" for _ in range(60)),
]


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
    text = render.document(usual)
    if not GOLDEN.exists():
        GOLDEN.write_text(text, encoding="utf-8")
        pytest.fail("the golden file was not there; it has been written")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_latex_escapes_every_name():
    text = render.latex(table({(NASTY, "50%_&"): ["x_y & z"]}, title="a_b"))
    assert (
        r"a\&b\_c\%d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k\textbar{}l{*}m{\char96}n"
        r"\textless{}o\textgreater{}p{[}q{]}(r) & --: x\_y \& z \\"
    ) in text
    assert r"Method & 50\%\_\& \\" in text
    assert r"\caption{a\_b}" in text
    body = text.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    assert sum(line.replace(r"\&", "").count("&") for line in body.splitlines()) == 2  # the two separators


def test_letters_that_tex_has_are_kept_and_others_named():
    (line,) = [line for line in render.latex(table({("é ö ł λ Ω 中 --", "x"): [1.0]})).splitlines() if r"\'{e}" in line]
    assert line.startswith("\\'{e} \\\"{o} \\l{} $\\lambda$ $\\Omega$ {[}U+4E2D{]} -{}- &")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX is installed")
def test_latex_compiles_by_itself_and_within_a_document(full, tmp_path):
    """The file as it is; and fragments, of every hostile name there is, where only booktabs is loaded."""
    hostile = table({(name, "50%_&"): [50.0, f"failed: {name}"] for name in HOSTILE}, title=NASTY)
    (tmp_path / "alone.tex").write_text(render.document(full), encoding="utf-8")
    body = render.latex(full) + render.latex(hostile) + r"\input{alone}"
    text = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{body} the end\end{{document}}"
    (tmp_path / "within.tex").write_text(text, encoding="utf-8")
    for name in ("alone", "within"):
        command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", f"{name}.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        assert "incomplete" not in done.stdout
        assert "Missing character" not in (tmp_path / f"{name}.log").read_text(errors="replace")
    assert "Overfull" not in (tmp_path / "alone.log").read_text(errors="replace"), "the page is as wide as the table"


@pytest.fixture(scope="module")
def hostile() -> Table:
    names = list(dict.fromkeys(HOSTILE))
    made = table({(name, "x"): [50.0, f"failed: {name}"] for name in names} | {(names[0], NASTY): [1.0]}, title=NASTY)
    made.fill = {f"echo '{NASTY}' `x`": ["failed"]}
    number = Number(50.0, "a", "b", "c", "d", "e")
    made.published = [Beside(name, "a", {"x": (number, "b")}) for name in names]
    return made


class Cells(HTMLParser):
    """The texts of all th and td, with what stands in a sup left out; and every tag there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.within: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in ("th", "td"):
            self.texts.append("")
        if tag not in ("meta", "br"):
            self.within.append(tag)

    def handle_endtag(self, tag):
        assert self.within.pop() == tag, "well formed"

    def handle_data(self, data):
        if {"th", "td"} & set(self.within) and "sup" not in self.within:
            self.texts[-1] += data


def test_html_is_one_file_in_which_no_name_is_markup(hostile):
    text = render.html(hostile)
    read = Cells(text)
    assert read.within == []
    names = [clean(name) for name in hostile.rows]
    assert [name for name in read.texts if name in set(names)] == names * 2, "ours, then the published"
    assert not read.tags & {"b", "script", "img", "link", "a"}
    assert "src=" not in text
    assert "http" not in text.replace("http://x.y", "")


def test_markdown_shows_every_name_as_it_is(hostile):
    text = render.markdown(hostile)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    rows, cells = [], []
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline" and rows and token.level >= 4:
            cells = token.children or []
            assert {c.type for c in cells} <= {"text", "text_special", "em_open", "em_close"} | STYLE, token.content
            rows[-1].append("".join(c.content for c in cells if c.type in ("text", "text_special")))
    names = [clean(name) for name in hostile.rows]
    assert {len(row) for row in rows if len(row) > 1} == {3}
    assert [row[0] for row in rows[1 : 1 + len(names)]] == names
    theirs = rows[1 + len(names) : 1 + 2 * len(names)]
    assert [row[0].removesuffix(" (a)") for row in theirs] == names


STYLE = {"strong_open", "strong_close", "html_inline"}  # ours: bold, and <u>


def test_the_terminal_shows_names_and_no_control_character(hostile):
    text = render.terminal(hostile, 400)
    assert not {c for c in text if ord(c) < 32 and c != "\n"}
    lines = text.splitlines()
    for name in map(clean, hostile.rows):
        assert any(line.startswith(name) for line in lines), name


def test_csv_and_json_give_every_name_back(hostile):
    rows = list(csv.DictReader(io.StringIO(render.to_csv(hostile), newline="")))
    assert {row["row"] for row in rows} == set(hostile.rows) | {b.method for b in hostile.published}
    content = json.loads(render.to_json(hostile))
    assert content["rows"] == hostile.rows
    assert content["title"] == NASTY


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


@pytest.fixture
def full() -> Table:
    """A table with everything: a rank, gaps, a published row, a baseline."""
    made = table(
        {
            ("supervised", "1/67 (6)"): [50.0, 52.0, 51.0],
            ("supervised", "1/8 (50)"): [61.25, 61.75, 61.0],
            ("mean_teacher", "1/67 (6)"): [55.0, "failed: CUDA out of memory", 99.0],
            ("mean_teacher", "1/8 (50)"): ["never run", "queued", "queued"],
            ("gta", "1/67 (6)"): [58.0, 60.0, 59.0],
            ("gta", "1/8 (50)"): [61.0, 61.1, 61.2],
        }
    )
    made.fill = {"python -m gta multirun sweep=shapes retry=failed": ["failed"]}
    made.published = [
        Beside("GTA-Seg", "a", {"1/8 (50)": (Number(70.5, "ESL, table 1", "cps", "r", "e", "best"), "b")})
    ]
    made.footnotes = ["a: another evaluation: e.", "b: another labeled list: cps.", "Published numbers are from: ESL."]
    made.baseline = "supervised"
    scores = {
        row: {c: {s.wanted.seed: s.last for s in made.entries[row, c].done} for c in made.columns} for row in made.rows
    }
    for row in ("mean_teacher", "gta"):
        made.comparisons += compare(row, scores[row], scores["supervised"])
    return made


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
    text = make(full).replace("{}", "").replace("\\", "").replace("&#x27;", "'")
    for part in (
        "+8.00",  # difference to the baseline
        "(2 of 3)",
        "failed: CUDA out of memory",
        "python -m gta multirun sweep=shapes retry=failed",
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
    text = render.terminal(full, width)
    body, _, missing = text.partition("\nMissing:\n")
    assert max(map(len, body.splitlines())) <= max(width, 36)
    joined = "".join(body.split())
    for part in ("59.00±1.00", "[60.00]", "+8.00", "61.10±0.10", "70.50(b)", "GTA-Seg"):
        assert part in joined
    assert body.count("supervised") >= 1
    assert "  failed: python -m gta multirun sweep=shapes retry=failed" in missing, "one line, to be copied"


def test_write_puts_the_files_and_overwrites_them(full, usual, tmp_path):
    folder = tmp_path / "results" / "shapes"
    names = ["table.md", "table.tex", "table.html", "table.csv", "table.json"]
    assert [path.name for path in render.write(full, folder)] == [*names, "significance.csv"]
    assert (folder / "table.md").read_text(encoding="utf-8") == render.markdown(full)
    paths = render.write(table({("gta", "x"): [1.0]}), folder)
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
