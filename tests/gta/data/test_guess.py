"""`gta data init` on folders as people have them: what it writes passes `data check`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gta.cli.main import main
from gta.data.guess import guess
from gta.data.pairing import FOLDERS

LABELS = np.kron(np.array([[0, 1, 2], [2, 0, 1]], np.uint8), np.ones((10, 10), np.uint8))
RNG = np.random.default_rng(0)


def folder(root: Path, image: str, mask: str, make: Callable[[np.ndarray], np.ndarray], deep: bool = False) -> Path:
    """Sixteen images of noise and their masks; `{}` in the names is a number."""
    for number in range(16):
        noise = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        picture = Image.fromarray(noise[..., 0].astype(np.uint16) * 16 if deep else noise)
        for name, one in ((image, picture), (mask, Image.fromarray(make(LABELS).astype(np.uint8)))):
            path = root / name.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            one.save(path)
    return root


@pytest.mark.parametrize(
    ("image", "mask", "make", "deep", "says"),
    [
        ("images/{}.jpg", "masks/{}.png", lambda m: m, False, ["classes: [class_0, class_1, class_2]"]),
        ("in/a{}/x{}.JPG", "out/a{}/x{}_L.png", lambda m: m + 1, False, ["nested: true", "label_map: [[1, 0], [2, 1]"]),
        ("my images/s {}.bmp", "labels/s {}.png", lambda m: (m > 0) * 255, False, ["label_map: [[0, 0], [255, 1]]"]),
        ("{}.png", "{}_mask.png", lambda m: m, False, ["mask_suffix: _mask.png", "images: ."]),
        (
            "i/{}.tif",
            "m/{}.png",
            lambda m: np.dstack([m * 90, m, m]),
            True,
            ["colour_map: [[0", "image_range: [0,4095]"],
        ),
    ],
)
def test_what_is_written_can_be_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    image: str,
    mask: str,
    make: Callable[[np.ndarray], np.ndarray],
    deep: bool,
    says: list[str],
) -> None:
    data = folder(tmp_path / "own data", image.replace("a{}", "a"), mask.replace("a{}", "a"), make, deep)
    before = sorted(data.rglob("*"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    assert main(["data", "init", str(data)]) == 0
    written = (work / "conf/data/own_data.yaml").read_text()
    assert all(part in written for part in says), written
    assert main(["data", "check", "data=own_data"]) == 0, capsys.readouterr().out
    assert sorted(data.rglob("*")) == before
    assert main(["data", "init", str(data)]) == 2
    assert "is there already" in capsys.readouterr().err


def pair(image: Path, mask: Path) -> None:
    for path, values in ((image, RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)), (mask, LABELS)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)


@pytest.mark.parametrize(
    ("image", "mask", "says"),
    [
        ("images/{0}/{1}.jpg", "masks/{0}/{1}.png", ["images: images", "ids: path"]),
        ("{0}/images/{1}.jpg", "{0}/masks/{1}.png", ["images: .", "masks: .", "ids: path"]),
        ("{0}/{1}.png", "{0}_labels/{1}.png", ["images: .", "masks: .", "ids: path"]),
        ("{0}/{0}{1}.png", "{0}annot/{0}{1}.png", ["images: .", "masks: .", "nested: true"]),
        ("in/{0}{1}.jpg.png", "out/{0}{1}.jpg_L.png", ["image_suffix: .png", "mask_suffix: _L.png"]),
    ],
)
def test_folders_that_share_names_and_names_that_end_as_a_pictures_does(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    image: str,
    mask: str,
    says: list[str],
) -> None:
    """All of the images are found, each with its own mask, and what is in a folder val is for validation."""
    for part, count in (("train", 9), ("val", 4)):
        for number in range(count):
            pair(tmp_path / "own" / image.format(part, number), tmp_path / "own" / mask.format(part, number))
    monkeypatch.chdir(tmp_path)
    assert main(["data", "init", "own"]) == 0
    written = (tmp_path / "conf/data/own.yaml").read_text()
    assert all(part in written for part in [*says, "13 images with masks"]), written
    if "in/" not in image:
        assert len((tmp_path / "splits/own/val.txt").read_text().splitlines()) == 4
    assert main(["splits", "make", "data=own", "--ratios", "1/4"]) == 0
    assert main(["data", "check", "data=own", "data.split=1/4"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("p{0:04}/p{0:04}_{1}.jpg", "p{0:04}/p{0:04}_{1}_mask.png"),  # of patients
        ("p{0}/{1}.png", "p{0}/{1}_mask.png"),
        ("images/{0}/{1}.jpg", "masks/{0}/{1}.png"),
        ("p{0}/images/{1}.jpg", "p{0}/masks/{1}.png"),
        ("p{0}/{1}.png", "p{0}_labels/{1}.png"),
    ],
)
def test_the_masks_of_many_folders_are_found(tmp_path: Path, image: str, mask: str) -> None:
    """More folders than are compared each with each."""
    count = FOLDERS + 2
    pair(tmp_path / "of.jpg", tmp_path / "of.png")
    pair(tmp_path / "noise.png", tmp_path / "of.png")
    for name, template in ((image, "of" if image.endswith("jpg") else "noise"), (mask, "of")):
        for number in range(2 * count):
            path = tmp_path / "own" / name.format(number // 2, number % 2)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(tmp_path / f"{template}{path.suffix}", path)
    found = guess(tmp_path / "own")
    wanted = {image.format(n // 2, n % 2): mask.format(n // 2, n % 2) for n in range(2 * count)}
    assert found.masks_of == wanted
    assert found.bare == 0


def test_one_broken_mask_is_named_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folder(tmp_path / "own", "i/{}.jpg", "m/{}.png", lambda m: m)
    (data / "m/1.png").write_bytes(b"broken")
    monkeypatch.chdir(tmp_path)
    assert main(["data", "init", "own"]) == 0
    assert "# 1 pictures could not be read" in capsys.readouterr().out
    assert main(["data", "check", "data=own"]) == 2
    assert "own: 1 problems" in capsys.readouterr().out


def test_masks_that_are_jpegs_are_named_as_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folder(tmp_path / "own", "i/{}.jpg", "m/{}.png", lambda m: m)
    for path in (data / "m").iterdir():
        Image.open(path).save(path, format="JPEG")
    assert main(["data", "init", str(data)]) == 2
    assert "m/0.png is a JPEG under the name of a .png" in capsys.readouterr().err


def test_lists_that_do_not_fit_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = folder(tmp_path / "own", "i/{}.jpg", "m/{}.png", lambda m: m)
    (data / "train.txt").write_text("0\n1\nnowhere\n")
    (data / "val.txt").write_text("2\n")
    monkeypatch.chdir(tmp_path)
    assert main(["data", "init", "own"]) == 0
    written = (tmp_path / "conf/data/own.yaml").read_text()
    assert "# lists that lie there are not used: train.txt and val.txt name nowhere" in written
    assert main(["data", "check", "data=own"]) == 0


def test_lists_of_its_own_and_images_without_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = folder(tmp_path / "own", "i/{}.jpg", "m/{}.png", lambda m: m)
    (data / "lists").mkdir()
    (data / "lists/train.txt").write_text("".join(f"{number}\n" for number in range(12)))
    (data / "lists/val.txt").write_text("12\n13\n")
    (data / "m/15.png").unlink()
    monkeypatch.chdir(tmp_path)
    assert main(["data", "init", "own", "--name", "mine"]) == 0
    written = (tmp_path / "conf/data/mine.yaml").read_text()
    assert "train_list: lists/train.txt" in written
    assert "# 1 images have no mask" in written
    assert main(["data", "check", "data=mine"]) == 0


def test_a_folder_without_masks_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(tmp_path / "own", "i/{}.jpg", "m/{}.png", lambda m: m)
    for path in (tmp_path / "own/m").iterdir():
        path.unlink()
    assert main(["data", "init", str(tmp_path / "own")]) == 2
    assert "no images and masks can be told" in capsys.readouterr().err
