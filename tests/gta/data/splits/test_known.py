"""Published lists are recognised by digest, whatever their format, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gta.cli.main import main
from gta.config import DataConfig
from gta.data.lists import digest, read_ids
from gta.data.splits.known import describe, incomplete, known_list, known_name, known_sets, set_by_number, set_of


@pytest.mark.slow
def test_every_shared_list_is_recognised(shared: Path) -> None:
    files = sorted((shared / "splits").rglob("*.txt"))
    assert len(files) > 50
    for path in files:
        name = known_name(digest(read_ids(path)))
        assert name is not None, path
        count = len(read_ids(path.parent / "labeled.txt")) if path.name.endswith("labeled.txt") else 0
        assert not count or f" {count} (" in name, (path, name)
        assert name.endswith("its unlabeled list") == (path.name == "unlabeled.txt"), (path, name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("u2pl/pascal/662/labeled.txt", "u2pl 662 (VOC blender, 1/16)"),
        ("unimatch/pascal/u2pl_1_16/labeled.txt", "u2pl 662 (VOC blender, 1/16)"),
        ("unimatch/pascal/1_16/labeled.txt", "cps/unimatch 662 (VOC blender, 1/16)"),
        ("u2pl/pascal/1464/labeled.txt", "u2pl 1464 (VOC classic, full)"),
        ("unimatch/cityscapes/1_30/labeled.txt", "unimatch 100 (Cityscapes, 1/30)"),
        ("u2pl/cityscapes/val.txt", "Cityscapes val"),
        ("unimatch/pascal/train_aug.txt", "VOC train with SBD (trainaug)"),
    ],
)
def test_names(shared: Path, path: str, name: str) -> None:
    assert known_name(digest(read_ids(shared / "splits" / path))) == name


@pytest.mark.slow
def test_whole_training_sets(shared: Path) -> None:
    assert {known.title: known.train_n for known in known_sets().values()} == {
        "VOC": 10582, "Cityscapes": 2975, "ADE20K": 20210, "COCO": 118287,
    }  # fmt: skip
    for labeled in (shared / "splits").rglob("labeled.txt"):
        one, other = read_ids(labeled), read_ids(labeled.with_name("unlabeled.txt"))
        assert incomplete(one, other) is None
    assert "not the " in str(incomplete(one, other[:-1]))
    swapped = ["aachen_999999_999999", *other[1:]]
    assert "not the same images" in str(incomplete(one, swapped))
    assert incomplete(["a"], ["b"]) is None, "of an unknown data set nothing is known"
    assert incomplete(["2007_000032"], ["2007_000033"]) is None, "other data sets have ids of this form too"
    assert "not the 10582" in str(incomplete(["2007_000032"], ["2007_000033"], known_sets()["voc"]))


def test_unknown_and_lonely_lists() -> None:
    assert known_name("0" * 64) is None
    assert describe(["b", "a"]) == f"unknown list, 2 ids, sha256 {digest(['a', 'b'])}"
    lonely = known_list("da9db561f5c1f9e3dd2c9fde5fb55f40314592d9adaf5ea4089d74595a705c4e")
    assert lonely is not None
    assert (lonely.name, lonely.repositories) == ("gta-seg 372 (Cityscapes, 1/8)", ["GTA-Seg"])
    assert set_of(["2007_000032"]) == known_sets()["voc"]
    assert set_of(["2007_000032", "0001TP_008520"]) is None


def test_show_says_what_a_list_is_and_fails_on_a_broken_one(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = shared / "splits/u2pl/pascal/662"
    assert main(["splits", "show", str(real / "labeled.txt")]) == 0
    assert f"{real}/labeled.txt: u2pl 662 (VOC blender, 1/16), 662 ids, sha256 0c6466b6" in capsys.readouterr().out

    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "labeled.txt").write_bytes((real / "labeled.txt").read_bytes().replace(b"\n", b"\r\n"))
    (mine / "unlabeled.txt").write_text("\n".join(read_ids(real / "unlabeled.txt")[1:]))
    (mine / "all.txt").write_text("2007_000032\n2008_0048222009_000898\n")
    assert main(["splits", "show", str(mine / "labeled.txt"), str(mine)]) == 2
    said = capsys.readouterr().out
    assert "u2pl 662 (VOC blender, 1/16)" in said
    assert "unlabeled.txt: unknown list, 9919 ids, sha256 " in said
    assert "NOT the whole training set: 662 labeled and 9919 unlabeled ids are 10581 images" in said
    assert f"BROKEN: {mine}/all.txt line 2: '2008_0048222009_000898' is two ids glued together" in said


def test_an_unlabeled_list_is_named_by_the_labeled_one_beside_it(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where its own digest is not on record."""
    from gta.data.splits import known

    real = shared / "splits/u2pl/pascal/92"
    own = known_list(digest(read_ids(real / "labeled.txt")))
    assert own is not None
    monkeypatch.setattr(known, "_by_digest", lambda: {own.digest: own})
    assert main(["splits", "show", str(real)]) == 0
    assert f"{own.name}, its unlabeled list, 10490 ids" in capsys.readouterr().out


def test_the_unlabeled_list_of_cps_732_is_on_record() -> None:
    unlabeled = "35137b872592782214fbffc87e56ee7482f74a75fc595316b193803ab1f9abf4"  # VOC's training set less CPS's 732
    assert known_name(unlabeled) == "cps 732 (VOC classic, 1/2), its unlabeled list"


def test_ade20k_is_known_by_its_numbers_and_no_labeled_list_of_it_is_made_up() -> None:
    train = [f"ADE_train_{number:08}" for number in range(1, 20211)]
    assert known_name(digest(train)) == "ADE20K train"
    assert known_name(digest(f"ADE_val_{number:08}" for number in range(1, 2001))) == "ADE20K val"
    labeled, unlabeled = train[:316], train[316:]
    assert known_name(digest(labeled)) is None
    assert "as many as UniMatch-V2's 1/64 of ADE20K has, whose digest is not on record" in describe(labeled)
    assert describe(train[:317]).endswith(digest(train[:317])), "as many as no published list"
    config = DataConfig(split_dir="splits/unimatch/ade20k", split_family="unimatch")
    known = set_by_number(config, labeled)
    assert known == known_sets()["ade20k"]
    assert incomplete(labeled, unlabeled, known) is None
    assert "not the 20210" in str(incomplete(labeled, unlabeled[1:], known))
    assert "not the same images" in str(incomplete(labeled, ["ADE_train_00020211", *unlabeled[1:]], known))
    assert set_by_number(config, train[:317]) is None
    assert set_by_number(replace(config, split_family="mine"), labeled) is None, "lists of one's own may be any"
    assert incomplete(labeled, unlabeled[1:]) is None


def test_of_coco_the_number_of_images_is_known_alone() -> None:
    train = [f"{number:012}" for number in range(118287)]
    labeled, unlabeled = train[:232], train[232:]
    assert "1/512 of COCO" in describe(labeled)
    known = known_sets()["coco"]
    assert incomplete(labeled, unlabeled, known) is None
    assert "not the 118287" in str(incomplete(labeled, unlabeled[1:], known))
