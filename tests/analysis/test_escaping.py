"""No name breaks a format: what is hostile in one of them is shown as it is, or named, in all."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import subprocess
from contextlib import suppress
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from analysis import render
from analysis.published import PlacedRow, PublishedNumber
from analysis.render.layout import clean
from analysis.significance import compare
from analysis.table import Table
from tests.helpers.tables import everything, table

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
def test_latex_compiles_by_itself_and_within_a_document(tmp_path):
    """The file as it is; and fragments, of every hostile name there is, where only booktabs is loaded."""
    full = everything()
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
    number = PublishedNumber(50.0, "a", "b", "c", "d", "e")
    made.published = [PlacedRow(name, "a", {"x": (number, "b")}) for name in names]
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
    names = {*hostile.rows, *(b.method for b in hostile.published)}
    assert {row["row"] for row in rows} == {f"'{name}" if name[0] in "=+-@\t\r" else name for name in names}
    content = json.loads(render.to_json(hostile))
    assert content["rows"] == hostile.rows
    assert content["title"] == NASTY


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-"]


def test_no_csv_holds_a_formula_and_numbers_stay_numbers():
    made = table({(name, column): [50.0, f"={name}", 51.0] for name in FORMULAS for column in ("=x", "-1.2")})
    made.baseline = "=1+1"
    worse = {"=x": {0: 48.0, 1: 49.0, 2: 47.0}}
    made.comparisons = compare("@SUM(A1)", worse, {"=x": {0: 50.0, 1: 50.5, 2: 51.0}})
    texts = [render.to_csv(made), render.significance_csv(made)]
    for text in texts:
        for row in csv.reader(io.StringIO(text, newline="")):
            assert not [cell for cell in row if cell[:1] in tuple("=+-@\t\r") and not is_number(cell)]
    rows = list(csv.DictReader(io.StringIO(texts[0], newline="")))
    assert {row["column"] for row in rows} == {"'=x", "-1.2"}
    assert {row["row"] for row in rows} == {f"'{name}".replace("\r", "\n") for name in FORMULAS}
    (compared,) = csv.DictReader(io.StringIO(texts[1], newline=""))
    assert float(compared["difference"]) < 0
    assert compared["baseline"] == "'=1+1"


def is_number(text: str) -> bool:
    with suppress(ValueError):
        return bool(float(text)) or True
    return False
