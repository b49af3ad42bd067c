"""ADE20K and COCO: masks of either kind are told apart by their labels, and read by the description of their kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gta.cli.main import main
from gta.data.conventions import COCO_UNUSED, runs
from gta.data.lists import read_ids
from tests.helpers import layouts

ADE_TRAIN, ADE_VAL = ([f"ADE_{part}_{n:08}" for n in range(1, 1 + count)] for part, count in (("train", 6), ("val", 3)))
COCO_TRAIN, COCO_VAL = [f"{n:012}" for n in range(9, 15)], [f"{n:012}" for n in range(139, 142)]
IDS = sorted({*range(91)} - {*COCO_UNUSED})


def _lists(folder: Path, train: list[str], val: list[str], split: str) -> None:
    (folder / split).mkdir(parents=True)
    (folder / "val.txt").write_text("\n".join(val))
    (folder / split / "labeled.txt").write_text("\n".join(train[:3]))
    (folder / split / "unlabeled.txt").write_text("\n".join(train[3:]))


@pytest.fixture
def ade20k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    _lists(tmp_path / "splits/unimatch/ade20k", ADE_TRAIN, ADE_VAL, "631")
    return tmp_path / "data/ade20k"


@pytest.fixture
def coco(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    _lists(tmp_path / "splits/unimatch/coco", COCO_TRAIN, COCO_VAL, "463")
    return tmp_path / "data/coco"


def _check(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["data", "check", *words])
    return code, capsys.readouterr().out


def test_raw_ade20k(ade20k: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.ade20k(ade20k, ADE_TRAIN, ADE_VAL)
    code, said = _check(capsys, "data=ade20k")
    assert code == 0, said
    assert "masks hold 0 to 150: raw ADE20K (ADEChallengeData2016), 0 is not labeled: as data=ade20k reads them" in said
    assert "nothing is missing or broken" in said

    code, said = _check(capsys, "data=ade20k_trainids")
    assert code == 2
    assert "masks hold 0 to 150: raw ADE20K (ADEChallengeData2016), 0 is not labeled: say data=ade20k\n" in said
    assert "label 150" in said, "that of a class in the raw masks"
    assert "label_map" not in said, "no other advice than to take the other description"


def test_preprocessed_ade20k(ade20k: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.ade20k(ade20k, ADE_TRAIN, ADE_VAL, raw=False)
    code, said = _check(capsys, "data=ade20k_trainids")
    assert code == 0, said
    assert "masks hold 0 to 149 and 255: preprocessed ADE20K, 255 is not labeled: as data=ade20k_trainids" in said

    code, said = _check(capsys, "data=ade20k")
    assert code == 2
    assert "masks hold 0 to 149 and 255: preprocessed ADE20K, 255 is not labeled: say data=ade20k_trainids" in said
    assert "label 255" in said, "it is never one of the raw masks, and not passed over as ignored"


def test_labels_of_either_kind_are_said_to_be_so(ade20k: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.ade20k(ade20k, ADE_TRAIN, ADE_VAL)
    for path in (ade20k / "annotations").rglob("*.png"):
        path.unlink()  # they are links to a few files
        Image.fromarray(np.full((30, 40), 7, np.uint8)).save(path)
    code, said = _check(capsys, "data=ade20k")
    assert code == 0
    assert "masks hold 7: raw ADE20K (ADEChallengeData2016), 0 is not labeled (data=ade20k) or preprocessed" in said
    assert "no label here tells which" in said


def test_coco(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.coco(coco, COCO_TRAIN, COCO_VAL)
    code, said = _check(capsys, "data=coco")
    assert code == 0, said
    assert "masks hold 0 to 80 and 255: preprocessed COCO, classes in a row: as data=coco reads them" in said
    code, said = _check(capsys, "data=coco_category_ids")
    assert (code, "say data=coco\n" in said) == (2, True)


def test_coco_with_its_own_category_ids(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.coco(coco, COCO_TRAIN, COCO_VAL, IDS)
    code, said = _check(capsys, "data=coco_category_ids")
    assert code == 0, said
    assert "masks hold 82 labels from 0 to 255: COCO's own category ids: as data=coco_category_ids reads them" in said
    code, said = _check(capsys, "data=coco")
    assert (code, "say data=coco_category_ids\n" in said) == (2, True)


def test_other_labels_are_of_no_known_kind(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.coco(coco, COCO_TRAIN, COCO_VAL, range(182))  # COCO-Stuff's
    code, said = _check(capsys, "data=coco")
    assert code == 2
    assert (
        "masks hold 0 to 181 and 255: none of the kinds that are known (data=coco: 0 to 80 and 255; data=coco_" in said
    )


def test_other_data_of_the_name_is_spoken_of_as_any(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.coco(coco, COCO_TRAIN, COCO_VAL, range(3))
    Path("conf/data").mkdir(parents=True)
    Path("conf/data/three.yaml").write_text("defaults: [coco]\nclasses: [ground, water, sky]\n")
    code, said = _check(capsys, "data=three")
    assert code == 0
    assert "masks hold" not in said


@pytest.mark.slow
def test_a_cell_is_not_trained_on_masks_of_the_other_kind(ade20k: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Though all but one of their labels are valid in both, and no class is asked for."""
    layouts.ade20k(ade20k, ADE_TRAIN, ADE_VAL)
    words = ["method=supervised", "model=tiny", "schedule=dry", "site.device=cpu", "site.workers=0"]
    assert main(["train", "data=ade20k_trainids", *words]) == 2
    said = capsys.readouterr().err
    assert "label 150" in said
    assert "`gta data check` says which kind of masks these are" in said


def test_lists_in_the_form_of_unimatch_are_imported(ade20k: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of its ADE20K and COCO: two paths a line; a list whose digest is not on record is told by its number alone."""
    public = Path("public/splits/ade20k")
    train = [f"ADE_train_{n:08}" for n in range(1, 20211)]
    val = [f"ADE_val_{n:08}" for n in range(1, 2001)]

    def write(path: Path, ids: list[str], part: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"images/{part}/{item}.jpg annotations/{part}/{item}.png\n" for item in ids))

    write(public / "1_64/labeled.txt", train[::64], "training")
    write(public / "1_64/unlabeled.txt", [item for item in train if item not in {*train[::64]}], "training")
    write(public / "val.txt", val, "validation")
    words = ["data=ade20k", "paths.splits=elsewhere"]
    assert main(["splits", "import", "public", "--family", "unimatch", *words]) == 0
    said = capsys.readouterr().out
    assert "316: unknown list, 316 ids" in said
    assert "as many as UniMatch-V2's 1/64 of ADE20K has, whose digest is not on record: this may be it or not" in said
    assert "val.txt: ADE20K val, 2000 ids" in said
    assert read_ids("elsewhere/unimatch/ade20k/316/labeled.txt") == train[::64]


def test_labels_in_words() -> None:
    assert runs([3]) == "3"
    assert runs([0, 1, 2, 255]) == "0 to 2 and 255"
    assert runs([0, 2, 4, 255]) == "0, 2, 4 and 255"
