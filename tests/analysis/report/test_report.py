"""The report of a real sweep: all parts, nothing from elsewhere, the numbers of the table, every name escaped."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import runs
from analysis.cells import TableCell
from analysis.report import figures, numbers, page, report, sections
from analysis.report.history import ACCURACY, KEPT, Confusion, RunHistory, picture_order
from analysis.table import build
from gta.certificate import Certificate, Interruption
from tests.helpers.program import Run
from tests.helpers.store import Store

pytestmark = pytest.mark.slow

SECTIONS = ["table", "labels", "curves", "classes", "confusion", "pictures", "pseudo", "cost", "drills", "provenance"]
NASTY = '<b>"a"&</b>'


class Page(HTMLParser):
    """Ids, tags with attributes and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.section = ""
        self.feed(text)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self.section = str(dict(attrs)["id"])
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.setdefault(self.section, []).append(data)

    def said(self, section: str) -> str:
        return " ".join(" ".join(self.text[section]).split())

    def named(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.tags if name == tag]


def drilled(title: str = "gta 1/5 seed 0", **more: Any) -> Certificate:
    """What a drill found out of a cell that resumes."""
    point = Interruption(point="kill -9 inside step 6", attempt=1, resumed=4)
    values: dict[str, Any] = {
        "signature": "0" * 16, "drilled": "1" * 16, "title": title, "where": "local", "ranks": 1, "time": 0.0,
        "seconds": 60.0, "commits": ["abc"], "machines": ["n1: a CPU, no GPU"], "packages": {"torch": "2.13"},
        "schedule": {"iterations": 8}, "interruptions": [point], "compared": ["journal: 60 values"], "identical": True,
        **more,
    }  # fmt: skip
    return Certificate(**values)


@pytest.fixture(scope="module")
def html(store: Store) -> str:
    return report.build(store.frame, store.table, store.uri, [drilled()])


@pytest.fixture(scope="module")
def shown(html: str) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def recorded(store: Store) -> RunHistory:
    return RunHistory(store.uri, store.frame, store.table)


def test_every_part_is_there_and_linked(shown: Page) -> None:
    assert [attributes["id"] for attributes in shown.named("section")] == SECTIONS
    assert [attributes["href"] for attributes in shown.named("a")] == [f"#{name}" for name in SECTIONS]
    for name in SECTIONS:
        assert "Left out" not in shown.said(name), name


def test_it_opens_offline(html: str, shown: Page) -> None:
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in shown.tags}
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), "figures do not share ids"
    for _, attributes in shown.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "data", "action"):
                assert value.startswith(("#", "data:image/")), value
                assert not value.startswith("#") or value[1:] in ids
    assert not re.search(r"https?:|@import|@font-face", html), "no address at all"
    for target in re.findall(r"url\(([^)]*)\)", html):
        assert target.lstrip("#") in ids


def test_a_picture_has_a_text_for_who_cannot_see_it(shown: Page) -> None:
    assert len(shown.named("svg")) == 1 + 2 + 2 + 2, "labels; curves, kept and accuracy of two columns"
    for attributes in shown.named("svg"):
        assert attributes["role"] == "img"
        assert re.search(r"percent .*\d", attributes["aria-label"])
    assert len(shown.named("img")) == 4 * 2, "four validation images, two methods"
    assert all(re.match(r"Image val_0000\d: .*(supervised|gta)", image["alt"]) for image in shown.named("img"))


def test_its_numbers_are_those_of_the_runs(store: Store, shown: Page) -> None:
    scores = store.frame[store.frame["headline"]].set_index("signature")
    for (row, column), entry in store.table.entries.items():
        mine = [float(scores.loc[score.cell.signature, "miou_last"]) for score in entry.done]
        assert f"{pd.Series(mine).mean():.2f}" in shown.said("table"), (row, column)
        for value in mine:
            assert f"{value:.2f}" in shown.said("provenance")
    for run in scores[scores["method"] == "gta"].itertuples():
        if run.ratio == "1/4":  # a single seed: the mean is its own
            for value in run.iou:
                assert f"{value:.1f}" in shown.said("classes")
    assert store.table.missing
    assert all(line in shown.said("table") for line in store.table.missing)


def test_curves_are_the_journal(store: Store, recorded: RunHistory) -> None:
    miou = recorded.miou()
    assert list(miou.columns) == ["signature", "row", "column", "labels", "seed", "iteration", "value"]
    assert set(miou["iteration"]) == {4, 8}
    last = miou[miou["iteration"] == 8].set_index("signature")["value"]
    scores = store.frame[store.frame["headline"]].set_index("signature")["miou_last"]
    pd.testing.assert_series_equal(last.sort_index(), scores.sort_index(), check_names=False)
    kept = recorded.series(KEPT)
    assert set(kept["row"]) == {"gta"}
    assert kept["value"].between(0.7, 0.9).all(), "gta drops a fifth"
    assert set(recorded.series(ACCURACY)["iteration"]) == {4, 8}
    assert recorded.series("no/such/metric").empty


def test_the_confusion_matrix_gives_the_iou(store: Store, recorded: RunHistory) -> None:
    for run in store.frame[store.frame["headline"]].itertuples():
        found = recorded.confusion(run.signature)
        assert found is not None
        assert (found.network, found.iteration, found.classes) == (run.network, 8, run.classes)
        for i, iou in enumerate(run.iou):
            union = sum(found.matrix[i]) + sum(line[i] for line in found.matrix) - found.matrix[i][i]
            assert 100 * found.matrix[i][i] / union == pytest.approx(iou, abs=1e-3)


def test_confusions_are_summed_and_put_into_percent() -> None:
    one = Confusion("student", 1, ["a", "b", "c"], [[1, 3, 0], [0, 5, 5], [0, 0, 0]])
    first, second, third = numbers.confusion_shares([one, one])
    assert (first, second) == ([25.0, 75.0, 0.0], [0.0, 50.0, 50.0])
    assert all(value != value for value in third), "a class that occurs nowhere has no shares"


def test_the_column_with_the_most_results_is_looked_into(store: Store) -> None:
    assert report.best_column(store.table) == "1/5 (8)"


def nasty(frame: pd.DataFrame) -> Iterator[TableCell]:
    for run in frame.drop_duplicates("signature").itertuples():
        yield TableCell(run.signature, f"{run.method} {NASTY}", f"{run.ratio} {NASTY}", run.labels, run.seed)


def test_names_are_escaped(store: Store) -> None:
    table = build(store.frame, nasty(store.frame), title=NASTY)
    text = report.build(store.frame, table, store.uri)
    assert "<b>" not in text
    found = Page(text)
    for name in ("table", "curves", "classes", "confusion", "pictures", "cost", "provenance"):
        assert NASTY in found.said(name), name
    assert all(NASTY in attributes["aria-label"] for attributes in found.named("svg"))


def test_without_any_run_it_says_what_is_missing(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    table = build(runs.load(uri), [TableCell("s", "gta", "1/8 (50)", 50, 0, "never run")], title="empty")
    text = report.build(runs.load(uri), table, uri)
    found = Page(text)
    assert "gta, 1/8 (50), seed 0: never run" in found.said("table")
    for name in SECTIONS[1:-1]:
        assert "Left out" in found.said(name), name
    assert "never run" in found.said("provenance")
    assert not list(tmp_path.iterdir()), "no store is made by looking"


def test_wide_pictures_are_embedded_smaller(tmp_path: Path) -> None:
    from PIL import Image

    Image.effect_noise((4096, 300), 60).save(tmp_path / "0_a.png")
    text = page.strip(tmp_path / "0_a.png", "four panels", "gta")
    assert "data:image/jpeg" in text
    assert len(text) < 300_000


def test_small_things() -> None:
    assert sorted(["10_b.png", "9_a.png", "0_z.png"], key=picture_order) == ["0_z.png", "9_a.png", "10_b.png"]
    made = page.figure(figures.curves(pd.DataFrame(columns=["row", "seed", "iteration", "value"]), []), "alt")
    assert "var(--ink)" in made
    assert figures.INK not in made, "axes follow light and dark"


def test_drills_are_shown_with_their_verdicts(store: Store, shown: Page) -> None:
    said = shown.said("drills")
    assert "gta 1/5 seed 0 on one machine, 1 rank 1970-01-01 00:00 UTC 1 identical, bit for bit" in said
    assert "kill -9 inside step 6; went on from iteration 4" in said
    differing = drilled(NASTY, identical=False, differences=["the journal: loss/supervised of iteration 4"])
    text = report.build(store.frame, store.table, store.uri, [differing])
    assert "<b>" not in text
    assert f"{NASTY} on one machine" in Page(text).said("drills")
    assert "DIFFERS: the journal: loss/supervised of iteration 4" in Page(text).said("drills")


def test_the_command_writes_the_page_and_the_figure(say: Run, store: Store) -> None:
    drilled().write(drilled().file(store.root / "results" / "shapes"))
    answer = say("report", *store.words)
    assert answer.returncode == 0, answer.stderr
    folder = store.root / "results" / "shapes"
    assert sorted(path.name for path in folder.iterdir()) == ["drill", "miou.png", "miou.svg", "report.html"]
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert Page(text).said("provenance").count("never run") == 1
    assert "identical, bit for bit" in Page(text).said("drills"), "the certificate in the sweep's folder"
    assert answer.stdout.count("report.html") == 1


def test_cost_is_in_gpu_hours_where_they_are_known(store: Store) -> None:
    def said(hours: float) -> str:
        text = sections.cost(store.frame.assign(gpu_hours=hours), store.table)
        return Page(f'<section id="cost">{text}</section>').said("cost")

    seconds = store.frame.drop_duplicates("signature")["seconds"].sum()
    assert "No GPU was used. Time" in said(0.0)
    assert f"7 cells took {seconds / 60:.1f} min in all" in said(0.0)
    assert "GPU" not in said(math.nan)
    assert "GPU-hours: mean of a cell, and sums. 7 cells took 14.0 h in all." in said(2.0)
