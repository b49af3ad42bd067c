"""The table of a paper: what it says and leaves out, and that it fits a two-column article."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from analysis import render
from analysis.render.paper import PaperStyle
from analysis.table import Table
from gta.errors import UserError
from tests.helpers.golden import same_as_golden
from tests.helpers.tables import everything, table

LATEX = ("article.cls", "booktabs.sty", "threeparttable.sty", "xcolor.sty")  # what is loaded


def without_tex() -> str:
    """What of LaTeX is not here; empty where a table can be compiled."""
    if shutil.which("pdflatex") is None or shutil.which("kpsewhich") is None:
        return "no LaTeX is installed"
    found = subprocess.run(["kpsewhich", *LATEX], capture_output=True, text=True, check=False).stdout.split()
    absent = sorted(set(LATEX) - {Path(path).name for path in found})
    return f"LaTeX has no {', '.join(absent)} here" if absent else ""


needs_tex = pytest.mark.skipif(bool(without_tex()), reason=without_tex())


@pytest.fixture
def traced() -> Table:
    made = everything()
    made.notes = [
        "mIoU in percent: mean ± sample standard deviation over (n) seeds, last iteration.",
        "In brackets the mean of each seed's best evaluation, picked on the validation set.",
        "Data: shapes; val list c247ad3d.",
        "Labeled lists: seed0 1/67 (6) a14c6f7a.",
        "Evaluation: original size.",
        "Code: 0384e0f85.",
    ]
    made.mixed = ["2 commits (0384e0f85, abc)"]
    return made


def test_a_papers_table_is_as_it_was(traced):
    same_as_golden("paper.tex", render.paper(traced))


def test_titles_means_and_deviations_are_shown_and_digests_are_comments(traced):
    text = render.paper(traced)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    comments = [line for line in text.splitlines() if line.startswith("%")]
    assert r"Mean Teacher & 77.00$_{\pm31.1}$ {\scriptsize (2 of 3)} {\scriptsize (+26.50)} & -- \\" in body
    assert r"GTA-Seg & \textbf{59.00}$_{\pm1.0}$ {\scriptsize (+8.00)}" in body
    assert "[" not in body.partition(r"\midrule")[2].partition(r"\bottomrule")[0], "no best evaluations"
    for digest in ("c247ad3d", "a14c6f7a", "0384e0f85"):
        assert digest not in body
        assert sum(digest in line for line in comments) == 1
    assert "picked on the validation set" not in text
    assert "The runs do not agree in: 2 commits." in body, "a warning is no comment"
    assert r"\item Evaluation: original size." in body
    assert sum("gta multirun sweep=shapes --retry failed" in line for line in comments) == 1
    assert text.count("another evaluation: e.") == text.count(r"\item[a]") == 1
    assert text.count(r"\tnote{a}") == 1
    assert "difference to Supervised over" in body
    assert "($-$0.23)" in body


def test_caption_label_and_decimals_are_the_authors(traced):
    text = render.paper(traced, PaperStyle(r"mIoU (\%) of \emph{all}", "tab:main_results", 1))
    assert r"\caption{mIoU (\%) of \emph{all}}" in text
    assert r"\label{tab:main_results}" in text
    assert r"GTA-Seg & \textbf{59.0}$_{\pm1.0}$ {\scriptsize (+8.0)}" in text
    assert r"\textbf{59}$_{\pm1}$" in render.paper(traced, PaperStyle(decimals=0))
    assert r"\textbf{59.000}$_{\pm1.00}$" in render.paper(traced, PaperStyle(decimals=3))
    close = table({("a", "x"): [61.02], ("b", "x"): [61.04], ("c", "x"): [60.0]})
    tied = render.paper(close, PaperStyle(decimals=1))
    assert tied.count(r"\textbf{61.0}") == 2, "bold is by what is shown"
    wrong = (
        "100% of it",
        "open {",
        "} {",
        "end\\",
        "a # b",
        "voc_blender & 5",
        "cost $5",
        "one\n\ntwo",
        "2^3",
        "$a$_b",
    )
    for caption in wrong:
        with pytest.raises(UserError, match="is LaTeX"):
            PaperStyle(caption)
    with pytest.raises(UserError, match="letters, digits"):
        PaperStyle(label="tab main")


@pytest.mark.parametrize("caption", [r"$x_1^2$ \& \#1", r"\(x_1\)", r"as \cite{a_b}, table~\ref{tab:a_b}", r"US\$ 5"])
def test_a_caption_may_have_formulas_and_references(caption):
    assert PaperStyle(caption).caption == caption


def test_titles_are_put_in_once_and_names_of_files_stay(traced):
    traced.notes = ["Network: student (gta, supervised). Weights supervised.pth."]
    for entry in traced.entries.values():
        for score in entry.scores:
            if score.cell.row == "gta":
                object.__setattr__(score.cell, "paper", "supervised GTA")
    assert r"\item Network: student (supervised GTA, Supervised). Weights supervised.pth." in render.paper(traced)


def test_of_one_seed_no_deviation_is_explained():
    text = render.paper(table({("gta", "x"): [50.0]}))
    assert r"\item mIoU in percent at the last iteration, over one seed." in text


def test_the_papers_file_of_an_earlier_table_goes(tmp_path, traced):
    render.write_tables(traced, tmp_path, PaperStyle())
    assert (tmp_path / "paper.tex").exists()
    render.write_tables(traced, tmp_path)
    assert not (tmp_path / "paper.tex").exists()
    assert (tmp_path / "significance.csv").exists()


def wide(rows: int, columns: int, name: str) -> Table:
    draw = random.Random(columns)
    names = [f"1/{2**index} ({10582 // 2**index})" for index in range(columns)]
    return table({(f"{name} {row}", c): [draw.uniform(60, 80) for _ in range(3)] for row in range(rows) for c in names})


@needs_tex
def test_in_a_two_column_article_no_box_is_overfull(tmp_path, traced):
    """From two columns of numbers, which fit in one of the article, to more than a page is wide; with long names."""
    tables = [
        traced,
        wide(3, 1, "gta"),
        wide(7, 4, "CPS"),
        wide(3, 6, "gta"),
        wide(3, 30, "Mean Teacher"),
    ]
    tables.append(wide(2, 5, "a method that has very many words in its name, one after the other"))
    inputs = []
    for index, made in enumerate(tables):
        made.title = f"shapes{index}"
        (tmp_path / f"t{index}.tex").write_text(render.paper(made), encoding="utf-8")
        inputs.append(rf"Text. \input{{t{index}}} See table~\ref{{tab:shapes{index}}}.\clearpage")
    body = "\n\n".join(inputs)
    (tmp_path / "article.tex").write_text(
        r"\documentclass[twocolumn]{article}\usepackage{booktabs,threeparttable}\begin{document}"
        + body
        + r"\end{document}"
    )
    for name in ("article", "article", "t0"):  # the second time with what the labels are
        command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", f"{name}.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        log = (tmp_path / f"{name}.log").read_text(errors="replace")
    log = (tmp_path / "article.log").read_text(errors="replace") + log
    assert not re.findall(r"Overfull.*", log)
    assert "undefined" not in log
    places = [re.search(r"\\begin\{(table\*?)\}", render.paper(made))[1] for made in tables]
    assert places == ["table*", "table", "table", "table*", "table*", "table*"]
