"""Importing public lists: whatever the folder looks like, what arrives is bare, whole and where it is expected."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gta.cli.main import main
from gta.config import DataConfig
from gta.data.lists import digest, read_ids
from gta.data.splits.importing import import_lists
from gta.errors import UserError


def _config(tmp_path: Path, family: str, public: str = "pascal") -> DataConfig:
    return DataConfig(
        name="set", root=str(tmp_path / "data"), classes=["a", "b"], split_family=family,
        split_dir=str(tmp_path / "splits" / family / public),
    )  # fmt: skip


def _folders(config: DataConfig) -> set[str]:
    return {path.name for path in Path(config.split_dir).iterdir()}


@pytest.mark.parametrize(
    ("family", "public", "folders"),
    [
        ("u2pl", "pascal", {"92", "183", "366", "662", "732", "1323", "1464", "2646", "5291", "val.txt"}),
        ("u2pl", "cityscapes", {"186", "372", "744", "1488", "val.txt"}),
        ("unimatch", "cityscapes", {"100", "186", "372", "744", "1488", "val.txt"}),
        (
            "unimatch",
            "pascal",
            {"92", "183", "366", "662", "732", "1323", "1464", "2646", "u2pl_1_4", "u2pl_1_8", "u2pl_1_16", "val.txt"},
        ),
    ],
)
@pytest.mark.slow
def test_the_shared_lists_are_imported(
    shared: Path, tmp_path: Path, family: str, public: str, folders: set[str]
) -> None:
    config = _config(tmp_path, family, public)
    for _ in range(2 if public == "cityscapes" else 1):  # the second time all is there already
        done = import_lists(config, shared / "splits" / family)
        assert done.refused == []
        assert len(done.accepted) == len(folders)
        assert _folders(config) == folders
    if public == "pascal":
        labeled = (Path(config.split_dir) / "662/labeled.txt").read_text().splitlines()
        known = "0c6466b6" if family == "u2pl" else "7dada8cc"
        assert digest(labeled).startswith(known), "the file holds bare ids, in whatever form they came"


def test_other_shapes_of_public_folders(shared: Path, tmp_path: Path) -> None:
    """CPS's and PS-MT's file names, CRLF, columns, and an archive of it all, with another data set's lists beside."""
    real, public = shared / "splits/u2pl", tmp_path / "public"
    public.mkdir()
    labeled, unlabeled = (read_ids(real / f"pascal/183/{name}.txt") for name in ("labeled", "unlabeled"))
    (public / "pseudoseg_labeled_1-8.txt").write_bytes("\r\n".join(labeled).encode())
    (public / "pseudoseg_unlabeled_1-8.txt").write_bytes("\r\n".join(unlabeled).encode())
    labeled, unlabeled = (read_ids(real / f"pascal/662/{name}.txt") for name in ("labeled", "unlabeled"))
    rows = (f"/JPEGImages/{item}.jpg /SegmentationClassAug/{item}.png" for item in labeled)
    (public / "6620_train_supervised.txt").write_text("\n".join(rows))
    (public / "6620_train_unsupervised.txt").write_text("\n".join(f"/JPEGImages/{item}.jpg" for item in unlabeled))
    (public / "val.txt").write_text((real / "pascal/val.txt").read_text())
    shutil.copytree(real / "cityscapes", public / "city")
    archive = shutil.make_archive(str(tmp_path / "lists"), "gztar", public)
    for number, source in enumerate((public, Path(archive))):
        config = _config(tmp_path / str(number), "cps")
        done = import_lists(config, source)
        assert done.refused == []
        assert _folders(config) == {"183", "662", "val.txt"}


def test_lists_that_cannot_be_defended_are_refused(shared: Path, tmp_path: Path) -> None:
    public = tmp_path / "gta" / "pascal"
    shutil.copytree(shared / "splits/u2pl/pascal", public)
    public.chmod(0o755)
    for path in public.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for name in ("92", "183", "366", "732"):
        shutil.copyfile(public / name / "labeled.txt", public / name / "original.txt")
    val = read_ids(public / "val.txt")
    labeled = {name: read_ids(public / name / "labeled.txt") for name in ("92", "183", "366", "732")}
    unlabeled = {name: read_ids(public / name / "unlabeled.txt") for name in labeled}
    (public / "92/unlabeled.txt").write_text("\n".join(unlabeled["92"][1:]))
    (public / "183/unlabeled.txt").write_text("\n".join([*unlabeled["183"], val[0]]))
    (public / "366/unlabeled.txt").write_text("\n".join([*unlabeled["366"], labeled["366"][0]]))
    (public / "732/unlabeled.txt").unlink()
    (public / "all").mkdir()
    glued = sorted([*labeled["92"], *unlabeled["92"]])
    (public / "all/labeled.txt").write_text("\n".join([*glued[:-2], glued[-2] + glued[-1]]))
    for path in public.glob("*/original.txt"):
        path.unlink()

    config = _config(tmp_path, "gta")
    done = import_lists(config, public.parent)
    assert _folders(config) == {"662", "1323", "1464", "2646", "5291", "val.txt"}
    said = "\n".join(done.refused)
    for part in (
        "92/labeled.txt: 92 labeled and 10489 unlabeled ids are 10581 images, not the 10582 of VOC's training set",
        f"183/labeled.txt: 1 images are in the validation list too, {val[0]} for one",
        f"366/labeled.txt: 1 images are labeled and unlabeled at once, {labeled['366'][0]} for one",
        "732/labeled.txt: there is no unlabeled list beside it",
        "all/labeled.txt line 10581: ",
        "is two ids glued together",
    ):
        assert part in said
    assert len(done.refused) == 5


def test_another_list_in_the_place_is_left_alone(shared: Path, tmp_path: Path) -> None:
    config = _config(tmp_path, "u2pl", "cityscapes")
    place = Path(config.split_dir) / "372"
    place.mkdir(parents=True)
    for name in ("labeled", "unlabeled"):
        (place / f"{name}.txt").write_text(f"{name}\n")
    with pytest.raises(UserError, match=r"cityscapes/372 holds other lists"):
        import_lists(config, shared / "splits/u2pl")
    assert (place / "labeled.txt").read_text() == "labeled\n"


def test_a_data_set_of_ones_own_is_checked_against_its_train_list(tmp_path: Path) -> None:
    config = _config(tmp_path, "mine", "own")
    lists = tmp_path / "data/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\nc\n")
    (lists / "val.txt").write_text("d\n")
    source = tmp_path / "public"
    (source / "few").mkdir(parents=True)
    (source / "few/labeled.txt").write_text("a\n")
    (source / "few/unlabeled.txt").write_text("b\n")
    with pytest.raises(UserError, match=r"few/labeled\.txt: .* together are 2 images, not the 3 of the train list"):
        import_lists(config, source)
    (source / "few/unlabeled.txt").write_text("b\nc\n")
    assert import_lists(config, source).refused == []
    assert (Path(config.split_dir) / "1/unlabeled.txt").read_text() == "b\nc\n"


@pytest.mark.slow
def test_the_command(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source = str(shared / "splits/u2pl")
    assert main(["splits", "import", source, "--family", "u2pl", "data=cityscapes"]) == 0
    assert "ok       372: u2pl 372 (Cityscapes, 1/8), 372 ids, sha256 af350f9e" in capsys.readouterr().out
    assert (tmp_path / "splits/u2pl/cityscapes/372/unlabeled.txt").is_file()
    for words, says in (
        ([source, "data=cityscapes"], "--family u2pl"),
        ([source, "--family=seed1", "data=cityscapes"], "draws itself"),
        ([str(tmp_path / "nowhere"), "--family=x", "data=cityscapes"], "nowhere is not there"),
    ):
        assert main(["splits", "import", *words]) == 2
        assert says in capsys.readouterr().err


def test_several_lists_of_one_length_keep_apart(tmp_path: Path) -> None:
    config, source = _config(tmp_path, "mine", "own"), tmp_path / "public"
    for name, labeled, unlabeled in (
        ("1_3/split_0", "a", "b c"),
        ("1_3/split_1", "b", "a c"),
        ("copy/of_1", "b", "a c"),
    ):
        (source / name).mkdir(parents=True)
        (source / name / "labeled.txt").write_text(labeled)
        (source / name / "unlabeled.txt").write_text("\n".join(unlabeled.split()))
    (source / "val.txt").write_text("d")
    assert import_lists(config, source).refused == []
    found = {path.name: read_ids(path / "labeled.txt") for path in Path(config.split_dir).iterdir() if path.is_dir()}
    assert found == {"1": ["b"], "1_3_split_0": ["a"]}, "the shortest name has the count; split_1 is the same list"


def test_of_a_whole_repository_the_validation_list_is_that_of_the_data_set(shared: Path, tmp_path: Path) -> None:
    """Whatever lies nearer, and whatever its ids look like."""
    real, public = shared / "splits/u2pl", tmp_path / "public"
    for name in ("labeled", "unlabeled"):
        (public / "lists/voc/183").mkdir(parents=True, exist_ok=True)
        (public / f"lists/voc/183/{name}.txt").write_text((real / f"pascal/183/{name}.txt").read_text())
    (public / "lists/voc/splits").mkdir()
    (public / "lists/voc/splits/val.txt").write_text((real / "pascal/val.txt").read_text())
    (public / "val.txt").write_text("2008_000001\n2008_000002\n")
    config = _config(tmp_path, "mine")
    done = import_lists(config, public)
    assert done.refused == []
    assert digest(read_ids(Path(config.split_dir) / "val.txt")).startswith("cdc1326d")
    own = DataConfig(name="own", root=str(tmp_path), classes=["a", "b"], split_dir=str(tmp_path / "splits/own/mine"))
    with pytest.raises(UserError, match="2 different validation lists"):
        import_lists(own, public)


@pytest.mark.parametrize("family", ["semiovs", "pascal"])
def test_lists_of_another_data_set_whose_ids_look_like_vocs(tmp_path: Path, family: str) -> None:
    ids = [f"{2008 + number % 4}_{number:06}" for number in range(40)]
    source = tmp_path / "public"
    (source / "1_32").mkdir(parents=True)
    for name, part in (("1_32/labeled", ids[:3]), ("1_32/unlabeled", ids[3:30]), ("val", ids[30:])):
        (source / f"{name}.txt").write_text("\n".join(part))
    config = DataConfig(
        name="context", root=str(tmp_path), classes=["a", "b"], split_family=family,
        split_dir=str(tmp_path / "splits/context" / family),
    )  # fmt: skip
    done = import_lists(config, source)
    assert done.refused == []
    assert _folders(config) == {"3", "val.txt"}
