"""The documentation says what is there: links, the tree, records, tags, causes of a death, generated pages."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path

import pytest

from gta import cellfolder
from gta.cli.main import COMMANDS
from gta.compose.compose import CONF
from gta.tracking import keys
from launch.state.policy import POLICY
from tests.helpers.program import ROOT
from tests.helpers.snippets import PAGES, anchors, links, named, snippets

DOCS = ROOT / "docs"


def table(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = page.read_text().partition(f"\n## {heading}\n")[2]
    assert text, f"{named(page)} has no heading {heading}"
    rows = re.findall(r"^\| (.*) \|$", text.partition("\n## ")[0], re.MULTILINE)
    return [re.split(r" \| ", row) for row in rows[2:]]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    pages = [ROOT / "README.md"]
    while pages:
        page = pages.pop()
        seen.add(page)
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        pages += [target for target in targets if target.suffix == ".md" and target not in seen]
    assert set(PAGES) <= seen


def test_code_points_to_pages_that_are_there() -> None:
    for folder in ("gta", "launch", "analysis", "benchmarks", "sweeps"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml"):
                for name in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text()):
                    assert (ROOT / name).is_file(), f"{path}: {name}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_the_layout_names_real_files() -> None:
    (tree,) = [s.text for s in snippets(ROOT / "README.md", "text") if s.text.startswith("gta/")]
    folder = ROOT
    for line in tree.splitlines():
        names = re.match(r"^ *([^ ].*?)(?:  |$)", line)
        assert names, line
        if not line.startswith(" "):
            folder = ROOT / names[1].split()[0]
            assert folder.is_dir(), line
            continue
        for name in names[1].split():
            assert (folder / name).exists(), f"{folder.name}/{name}"


def test_the_layout_leaves_nothing_out() -> None:
    (tree,) = [s.text for s in snippets(ROOT / "README.md", "text") if s.text.startswith("gta/")]
    for package in ("gta", "launch", "analysis"):
        part = tree.partition(f"{package}/ ")[2]
        for path in (ROOT / package).iterdir():
            if path.is_dir() and not path.name.startswith("__"):
                assert f"{path.name}/" in part, path


RECORDS = {
    "cell.json": cellfolder.Identity,
    "submitted.json": cellfolder.Submitted,
    "attempts/NNNN.json": cellfolder.Attempt,
    "failure.json": cellfolder.Failure,
    "cancelled.json": cellfolder.Cancelled,
    "result.json": cellfolder.Result,
}


@pytest.mark.parametrize("name", RECORDS)
def test_the_fields_of_a_record_are_those_of_the_page(name: str) -> None:
    kind = RECORDS[name]
    fields = {item.name for item in dataclasses.fields(kind)}
    if kind is cellfolder.Attempt:
        fields -= {"number", "beat"}  # the file's name and time
    rows = table(DOCS / "reference/records.md", name)
    assert {field for row in rows for field in re.findall(r"`(\w+)`", row[0])} == fields


def test_the_tags_of_the_page_exist() -> None:
    (row,) = re.findall(r"^\| tags \|(.*)\|$", (DOCS / "reference/records.md").read_text(), flags=re.MULTILINE)
    named = {word.removeprefix("gta").strip(".") for word in re.findall(r"`([^`]+)`", row)}
    known = {*keys.CELL_TAGS, *keys.ATTEMPT_TAGS}
    known |= {tag.removeprefix("gta.") for tag in (keys.COMMIT, keys.DIRTY, keys.ATTEMPT, keys.CHECKPOINT, keys.ERROR)}
    assert named <= known


def test_the_table_of_deaths_is_that_of_the_code() -> None:
    rows = table(DOCS / "explanation/nothing-lost.md", "Every way to die")
    assert {row[0] for row in rows} == {str(death) for death in POLICY}
    said = {row[0]: row[3] for row in rows}
    assert said == {str(death): "yes" if policy.again else "no" for death, policy in POLICY.items()}


def test_the_shipped_data_sets_are_those_of_the_page() -> None:
    rows = table(DOCS / "guides/own-data-set.md", "Public lists")
    assert {row[0].strip("`") for row in rows} == {path.stem for path in (CONF / "data").glob("*.yaml")}


def test_generated_pages_are_fresh() -> None:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    stale = [named(path) for path, make in generate.PAGES.items() if path.read_text() != make()]
    assert stale == [], "run `make docs`, and look at the difference"


def test_the_reference_names_every_command() -> None:
    text = (DOCS / "reference/commands.md").read_text()
    assert set(re.findall(r"^## (?:gta )?`?(?:gta )?([\w-]+)", text, re.MULTILINE)) == set(COMMANDS)
