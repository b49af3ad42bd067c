"""The documentation says what is there: links, the tree, causes of a death, data sets, generated pages."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from gta.cli.main import COMMANDS
from gta.compose.compose import CONF
from launch.state.policy import POLICY
from tests.helpers.program import ROOT
from tests.helpers.snippets import PAGES, anchors, links, named, snippets, table

DOCS = ROOT / "docs"


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
            if path.suffix == ".py" or path.is_dir():
                shown = f"{path.name}/" if path.is_dir() else path.name
                assert path.name.startswith("__") or f" {shown} " in part, path


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


def test_the_page_of_analysis_names_what_notebooks_import() -> None:
    """Every call of a module of `analysis` in a notebook, with its docstring."""
    text = (DOCS / "reference/analysis.md").read_text()
    sections = dict(re.findall(r"^## analysis\.(?:\w+\.)?(\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    used = set()
    for path in (ROOT / "analysis/notebooks").glob("*.ipynb"):
        source = "".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])
        used |= set(re.findall(r"\b(project|render|figures|against)\.(\w+)\(", source))
    assert len(used) > 5
    for module, name in used:
        where = sections[name] if module == "render" and name in sections else sections[module]
        assert re.search(rf"^### {name}\n\n`{name}\(.*\n\n\w", where, re.MULTILINE), f"{module}.{name}"
