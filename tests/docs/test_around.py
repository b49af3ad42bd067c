"""What stands around the code: license, citation, changelog, and the page about data sets."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.io import savemat

from gta.compose.compose import CONF
from gta.data.splits.known import _content, known_name
from tests.helpers.program import ROOT
from tests.helpers.snippets import snippets, table

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DATA = ROOT / "docs/guides/data.md"
PARTS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")  # of Keep a Changelog


def test_one_license_and_one_version_everywhere() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["license"] == cited["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")
    (holder,) = PROJECT["authors"]
    assert holder["name"] in (ROOT / "LICENSE").read_text()
    assert [author["name"] for author in cited["authors"]] == [holder["name"]]
    assert cited["version"] == PROJECT["version"]


def test_the_citation_is_of_the_format_and_names_the_paper() -> None:
    """The keys that CFF 1.2 demands, and none that it does not know, of what is used here."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(cited)
    known = {"abstract", "authors", "cff-version", "keywords", "license", "message", "references", "title", "type"}
    assert set(cited) <= known | {"version"}
    (paper,) = cited["references"]
    assert {"authors", "title", "type"} <= set(paper)
    assert paper["type"] == "conference-paper"
    assert paper["conference"].keys() == {"name"}
    assert all(one.keys() == {"type", "value", "description"} for one in paper["identifiers"])
    assert [author["family-names"] for author in paper["authors"]] == ["Jin", "Wang", "Lin"]
    assert "2301.07340" in paper["url"]
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert paper["title"] in readme
    assert paper["url"] in readme


def test_the_changelog_has_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(.+?)\]( - .+)?$", text, re.MULTILINE)
    assert text.count("\n## ") == len(versions)
    assert versions[0][0] == "Unreleased"
    assert versions[1][0] == PROJECT["version"]
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= set(PARTS)


def test_the_lists_of_the_page_are_the_known_ones() -> None:
    rows = {row[0]: [cell.strip("` |") for cell in row[1:]] for row in table(DATA, "Lists")}
    known = {one["name"]: one for one in _content()["lists"] if one["kind"] != "corrupt"}
    assert rows.keys() == known.keys()
    for name, (ids, digest, unlabeled, repositories) in rows.items():
        one = known[name]
        assert known_name(one["digest"]) == name
        assert (int(ids), digest) == (one["n"], one["digest"][:16])
        assert unlabeled == one.get("unlabeled", "")[:16]
        assert list(filter(None, repositories.split(", "))) == list(
            dict.fromkeys(place.split(":")[0] for place in one["lists"])
        )


@pytest.mark.parametrize("name", ["voc_classic", "voc_blender", "cityscapes", "ade20k", "camvid"])
def test_the_page_shows_the_folders_that_are_read(name: str) -> None:
    data = yaml.safe_load((CONF / f"data/{name}.yaml").read_text())
    shown = DATA.read_text()
    assert f"data={name}" in shown
    for folder in (data.get("images", "JPEGImages"), data.get("masks", "SegmentationClass")):
        assert f"\n  {folder}/" in shown
    assert Path(data["val_list"]).name in shown


def test_masks_of_sbd_become_those_that_are_read(tmp_path: Path) -> None:
    (snippet,) = snippets(DATA, "python")
    sbd, voc = tmp_path / "benchmark_RELEASE/dataset", tmp_path / "VOC2012"
    for folder in (sbd / "cls", voc / "SegmentationClass", voc / "ImageSets/Segmentation"):
        folder.mkdir(parents=True)
    ours, theirs = np.full((4, 6), 7, np.uint8), np.full((4, 6), 255, np.uint8)
    for item in ("2007_000001", "2008_000002", "2008_000003"):  # a struct of one, as SBD's files have it
        savemat(sbd / f"cls/{item}.mat", {"GTcls": {"Segmentation": ours, "Boundaries": np.zeros((20, 1))}})
    for item in ("2007_000001", "2007_000009"):
        Image.fromarray(theirs).save(voc / f"SegmentationClass/{item}.png")
    (voc / "ImageSets/Segmentation/val.txt").write_text("2007_000009\n2008_000003\n")
    assert snippet.executed()["merge"](sbd, voc) == 2
    assert (voc / "ImageSets/Segmentation/trainaug.txt").read_text() == "2007_000001\n2008_000002\n"
    made = {path.stem: np.array(Image.open(path)) for path in (voc / "SegmentationClassAug").iterdir()}
    assert np.array_equal(made["2008_000002"], ours)
    assert np.array_equal(made["2007_000001"], theirs), "VOC's own counts where an image has both"
    assert set(made) == {"2007_000001", "2007_000009", "2008_000002", "2008_000003"}
