"""The report of a real sweep: all parts, nothing from elsewhere, the numbers of the table, every name escaped."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import runs
from analysis.cells import TableCell, cells_of
from analysis.report import figures, numbers, page, pictures, report, sections, settings
from analysis.report.history import ACCURACY, KEPT, Confusion, RunHistory, picture_order
from analysis.table import build
from gta import journal
from gta.certificate import Certificate, Interruption
from gta.tracking import keys
from gta.tracking import store as tracking
from tests.helpers.parsed import Page
from tests.helpers.program import Run
from tests.helpers.store import Store

pytestmark = pytest.mark.slow

SECTIONS = ["table", "settings", "labels", "curves", "classes", "confusion", "pictures", "pseudo", "cost", "drills"]
SECTIONS += ["provenance"]
PANELS = [("prediction of ", ""), ("where ", " is wrong")]
NASTY = '<b>"a"&</b>'


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
    links = [attributes["href"] for attributes in shown.named("a")]
    assert links[: len(SECTIONS)] == [f"#{name}" for name in SECTIONS]
    for name in SECTIONS:
        assert "Left out" not in shown.said(name), name


def test_it_opens_offline(html: str, shown: Page) -> None:
    assert not {"link", "iframe", "object", "embed"} & {tag for tag, _ in shown.tags}
    assert not any("src" in attributes for attributes in shown.named("script")), "scripts stand in the page"
    (policy,) = [a["content"] for a in shown.named("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; "), "and what would be fetched all the same is refused"
    assert len(html) < 6_000_000
    library = (page.STATIC / "plotly-basic.min.js").read_text(encoding="utf-8")
    assert library in html
    html = html.replace(library, "")
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), "figures do not share ids"
    for tag, attributes in shown.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if tag == "a" and not value.startswith("#"):  # opened by who clicks it alone
                assert value.startswith("http://127.0.0.1:5000/#/experiments/"), value
            elif name in ("src", "href", "xlink:href", "data", "action"):
                assert value.startswith(("#", "data:image/")), value
                assert not value.startswith("#") or value[1:] in ids
    own = re.sub(r'<a href="[^"]*"', "", html)
    assert not re.search(r"https?:|@import|@font-face", own), "no address at all but those of links"
    for target in re.findall(r"url\(([^)]*)\)", html):
        assert target.lstrip("#") in ids


def test_a_picture_has_a_text_for_who_cannot_see_it(shown: Page) -> None:
    assert len(shown.named("svg")) == 1 + 2 + 2 + 2, "labels; curves, kept and accuracy of two columns"
    for attributes in shown.named("svg"):
        assert attributes["role"] == "img"
        assert re.search(r"percent .*\d", attributes["aria-label"])
    alts = [image["alt"] for image in shown.named("img")]
    names = {alt.split(":")[0] for alt in alts}
    assert 2 <= len(names) <= 4
    for name in names:
        panels = [f"{said}{row}{end}" for row in ("supervised", "gta") for said, end in PANELS]
        assert [alt for alt in alts if alt.split(":")[0] == name] == [
            name,
            f"{name}: truth",
            *(f"{name}: {p}" for p in panels),
        ]


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
    assert "1 of 8 cells is missing (1 never run): gta multirun sweep=shapes" in shown.said("table")


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
    assert "1 of 1 cells is missing (1 never run)" in found.said("table")
    for name in SECTIONS[1:-1]:
        assert "Left out" in found.said(name), name
    assert "never run" in found.said("provenance")
    assert not list(tmp_path.iterdir()), "no store is made by looking"


def test_wide_pictures_are_embedded_smaller(tmp_path: Path) -> None:
    from PIL import Image

    Image.effect_noise((4096, 300), 60).save(tmp_path / "0_a.png")
    image, mask = (str(pictures.embedded(tmp_path / "0_a.png", place, "text")["source"]) for place in (0, 2))
    assert image.startswith("data:image/jpeg")
    assert mask.startswith("data:image/png"), "the colours of classes stay as they are"
    assert max(len(image), len(mask)) < 100_000


def shot(name: str, *right: float) -> pictures.Shot:
    return pictures.Shot(name, {}, {f"m{i}": value for i, value in enumerate(right)})


def test_the_first_the_median_and_the_worst_picture_are_shown_each_once() -> None:
    shots = [shot("a", 90, 80), shot("b", 10, 30), shot("c", 50, 52), shot("d", 40, 41), shot("e", 95, 99)]
    chosen = [(title, one.name) for title, one in pictures.choose(shots)]
    assert chosen == [("First", "a"), ("Number 2 and worst", "b"), ("Median", "c")]
    assert [one.name for _, one in pictures.choose(shots[:1])] == ["a"]


def test_settings_name_what_differs_first(store: Store, recorded: RunHistory, shown: Page) -> None:
    found = settings.by_row(recorded, store.table)
    assert found["gta"]["seed"] == found["supervised"]["seed"] == ["0", "1"]
    said = shown.said("settings")
    assert said.index("method.name supervised gta") < said.index("method.drop_percent – 80.0")
    assert "settings that the rows share" in said
    assert said.index("settings that the rows share") < said.index("schedule.warm_up 3")
    bold = [a for a in shown.named("td") if a.get("class") == "other"]
    assert {a["data-row"] for a in bold} == {"gta"}, "what is not as in the first row"


def test_differences_are_to_the_first_row(store: Store, shown: Page) -> None:
    iou = numbers.seed_iou(store.frame, store.table).set_index(["row", "column", "class", "seed"])["iou"]
    paired = (iou["gta"] - iou["supervised"]).groupby(["column", "class"]).mean()
    said = shown.said("classes")
    assert len(paired) == 2 * 5
    assert [name for (_, name), value in paired.items() if f"{name} {value:+.1f}" not in said] == []


def test_panels_of_curves_share_one_scale_and_mark_the_warm_up(html: str, recorded: RunHistory, store: Store) -> None:
    found = [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', html)]
    miou = [chart for chart in found if chart["y"] == "mIoU (%)" and chart["x"] == "iteration"]
    assert len(miou) == 2
    assert miou[0]["yrange"] == miou[1]["yrange"]
    assert miou[0]["xrange"] == miou[1]["xrange"]
    ends = sorted(trace["y"][-1] for chart in miou for trace in chart["traces"] if trace["mean"])
    means = sorted(entry.mean for entry in store.table.entries.values() if entry.n)
    assert ends == pytest.approx(means, abs=1e-3)
    assert recorded.warm_ups("1/5 (8)") == miou[0]["marks"] == [3]
    assert html.count(">warm-up ends<") == 6, "curves, kept and accuracy of two columns"


def test_an_entry_is_one_line_and_the_seeds_are_told_once(store: Store, shown: Page) -> None:
    said = shown.said("table")
    entry = store.table.entries["gta", "1/5 (8)"]
    assert f"{entry.mean:.2f} ± {entry.std:.2f} [{entry.best_mean:.2f}]" in said.replace("(2) ", "")
    equal = build(store.frame, [c for c in cells_of(store.frame) if c.column == "1/5 (8)"], title="equal")
    text = Page(report.build(store.frame, equal, store.uri)).said("table")
    assert "n = 2 in every entry." in text
    assert "(2)" not in text


def test_small_things() -> None:
    assert sorted(["10_b.png", "9_a.png", "0_z.png"], key=picture_order) == ["0_z.png", "9_a.png", "10_b.png"]
    made = page.figure(figures.curves(pd.DataFrame(columns=["row", "seed", "iteration", "value"]), []), "alt", {})
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
    for made in (drilled(signature=next(iter(store.table.signatures))), drilled("of another cell")):
        made.write(made.file(store.root / "results" / "shapes"))
    answer = say("report", *store.words)
    assert answer.returncode == 0, answer.stderr
    (folder,) = store.root.glob("results/shapes/variants/*")
    assert sorted(path.name for path in folder.iterdir()) == ["miou.png", "miou.svg", "report.html"]
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert Page(text).said("provenance").count("never run") == 1
    assert "identical, bit for bit" in Page(text).said("drills"), "the certificate in the sweep's folder"
    assert "of another cell" not in text
    assert "shapes with method=supervised,gta data.split=1/5,1/4" in text
    assert answer.stdout.count("report.html") == 1
    links = [a["href"] for a in Page(text).named("a") if "cells/" in a["href"]]
    assert len(links) == 7, "the folders of those that ran, from where the page lies"
    assert all((folder / link / "result.json").exists() for link in links)
    client = tracking.connect(store.uri)
    page = keys.sweep_run(client, client.get_experiment_by_name(keys.EXPERIMENT).experiment_id, f"shapes/{folder.name}")
    assert "| supervised |" in " ".join(page.data.tags[keys.NOTE].split()), "as gta table makes it"


def test_cost_is_in_gpu_hours_where_they_are_known(store: Store) -> None:
    def said(hours: float) -> str:
        text = sections.cost(store.frame.assign(gpu_hours=hours), store.table)
        return Page(f'<section id="cost">{text}</section>').said("cost")

    seconds = store.frame.drop_duplicates("signature")["seconds"].sum()
    assert "No GPU was used. Time" in said(0.0)
    assert f"7 cells took {seconds / 60:.1f} min in all" in said(0.0)
    assert "GPU" not in said(math.nan)
    assert "GPU-hours: mean of a cell, and sums. 7 cells took 14.0 h in all" in said(2.0)


def test_cost_says_how_long_training_waited_for_data(store: Store, recorded: RunHistory, shown: Page) -> None:
    waits = recorded.data_wait()
    assert set(waits) == set(recorded.runs)
    for signature, share in waits.items():
        lines = journal.counted(journal.read(store.root / "runs/cells" / signature / "journal.jsonl"))
        last = next(line for line in lines if line["iteration"] == lines[-1]["iteration"])  # the first counts
        assert share == pytest.approx(last["values"]["system/data_wait_percent"])
    assert "Waiting for data: share of the training's time, mean of a cell." in shown.said("cost")
    some = dict.fromkeys(
        [score.cell.signature for score in store.table.entries["gta", store.table.columns[0]].scores], 7.4
    )
    assert "waiting for data" not in str(sections.cost(store.frame, store.table))
    on_gpu = str(sections.cost(store.frame.assign(gpu_hours=1.0), store.table, some))
    assert "works on meanwhile, at most" in on_gpu
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr[ >].*?</tr>", on_gpu, re.S)]
    last = {row[0]: row[-1] for row in cells}
    assert (last["method"], last["gta"], last["supervised"]) == ("waiting for data, %", "7", "–")
