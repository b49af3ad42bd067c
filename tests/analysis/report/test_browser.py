"""The report in a real browser: it opens, rows go off and on, tables sort, pictures open, a phone sees all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis.report import report
from tests.helpers.browser import ask, needs_chromium, printed
from tests.helpers.store import Store

pytestmark = [pytest.mark.slow, needs_chromium]

WIDE, PHONE = 1440, 390
_SEEN = """
const seen = (element) => element.getClientRects().length > 0;
const all = (selector) => Array.from(document.querySelectorAll(selector));
"""


@pytest.fixture(scope="module")
def html(store: Store) -> str:
    return report.build(store.frame, store.table, store.uri)


def test_it_opens_draws_its_charts_and_loads_nothing(html: str, tmp_path: Path) -> None:
    told = ask(
        html,
        _SEEN
        + """return {
          ready: document.documentElement.dataset.ready,
          loaded: performance.getEntriesByType("resource").map((entry) => entry.name),
          charts: all("figure.chart").length,
          drawn: all(".live .main-svg:first-child").filter(seen).length,
          stills: all(".still").filter(seen).length,
          broken: all("img").filter((img) => !img.naturalWidth).length,
        };""",
        tmp_path,
    )
    assert told == {"ready": "yes", "loaded": [], "charts": 7, "drawn": 7, "stills": 0, "broken": 0}


def test_a_row_is_switched_off_everywhere_and_on_again(html: str, tmp_path: Path) -> None:
    told = ask(
        html,
        _SEEN
        + """
        const kept = (part) => part.style.display === "";
        const still = (row) => all(`.still [id*="-row${row === "gta" ? 1 : 0}-"]`);
        const parts = (row) => all(`[data-row="${row}"]`).filter((part) => !part.closest("details"));
        const state = () => ["gta", "supervised"].map((row) => ({
          parts: parts(row).filter(seen).length,
          lines: all(".live").flatMap((live) => live.data).filter((t) => t.meta === row && t.visible === true).length,
          printed: still(row).filter(kept).length,
        }));
        const box = document.querySelector('[data-switch="gta"]');
        const states = [state()];
        box.click();
        states.push(state());
        box.click();
        states.push(state());
        return states;""",
        tmp_path,
    )
    before, without, again = told
    assert all(value > 0 for state in before for value in state.values())
    assert without[0] == {"parts": 0, "lines": 0, "printed": 0}
    assert without[1] == before[1], "the other row stays"
    assert again == before


def test_a_click_on_a_head_sorts_and_one_on_a_picture_enlarges_it(store: Store, html: str, tmp_path: Path) -> None:
    told = ask(
        html,
        _SEEN
        + """
        const column = () => all("#cost tbody td:last-child").map((cell) => parseFloat(cell.textContent));
        const head = document.querySelector("#cost th:last-child");
        const columns = [0, 1].map(() => (head.querySelector("button").click(), column()));
        document.querySelector('.picture [data-row="gta"] img').click();
        const shown = all("dialog[open] img").filter(seen).map((img) => img.alt.replace(/val_\\\\d+/, "ID"));
        document.querySelector("dialog").click();
        return { columns: columns, shown: shown, open: all("dialog[open]").length };""",
        tmp_path,
    )
    assert told["columns"] == [sorted(told["columns"][0], reverse=True), sorted(told["columns"][0])]
    assert told["columns"][0] != told["columns"][1]
    assert [re.sub(r"val_\d+", "ID", alt) for alt in told["shown"]] == [
        "Image ID", "Image ID: truth", "Image ID: prediction of gta", "Image ID: where gta is wrong",
    ]  # fmt: skip
    assert told["open"] == 0


@pytest.mark.parametrize("width", [PHONE, WIDE])
def test_no_column_is_cut_off(html: str, tmp_path: Path, width: int) -> None:
    told = ask(
        html,
        """
        document.querySelectorAll("details").forEach((one) => (one.open = true));
        const named = (one) => one.tagName + " " + one.textContent.trim().slice(0, 40);
        const outside = Array.from(document.querySelectorAll("h1, h2, h3, p, a, th, td, img, dd, label, .live"))
          .filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
        return { width: innerWidth, page: document.scrollingElement.scrollWidth, outside: outside.map(named) };""",
        tmp_path,
        width,
    )
    assert told["outside"] == []
    assert told["page"] <= told["width"] == width


def test_it_prints_on_few_pages_with_nothing_folded(html: str, tmp_path: Path) -> None:
    folded = """
        const folded = () => document.querySelectorAll("details:not([open])").length;
        const counts = [folded()];
        for (const name of ["beforeprint", "afterprint"]) { dispatchEvent(new Event(name)); counts.push(folded()); }
        return counts;"""
    before, during, after = ask(html, folded, tmp_path)
    assert before == after > 0 == during
    page = tmp_path / "report.html"
    page.write_text(html, encoding="utf-8")
    pages = len(re.findall(rb"/Type\s*/Page\b", printed(page, tmp_path)))
    assert 2 <= pages <= 12
