"""One reader for every format in which people publish id lists, and for the ways in which such lists are broken."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from gta.data.lists import digest, list_text, read_entries, read_ids, read_texts
from gta.errors import UserError


@pytest.mark.parametrize(
    "text",
    [
        "2007_000032\n2007_000039\n",
        "2007_000032\r\n2007_000039",  # Windows line ends, no final newline
        "JPEGImages/2007_000032.jpg SegmentationClass/2007_000032.png\n"
        "JPEGImages/2007_000039.jpg SegmentationClass/2007_000039.png\n",
        "\ufeff./JPEGImages/2007_000032.jpg\nVOCdevkit/VOC2012/JPEGImages/2007_000039.jpg\n",  # as archives name them
        "/JPEGImages/2007_000032.jpg\t/SegmentationClassAug/2007_000032.png\n\n2007_000039.jpg\n",
    ],
)
def test_published_formats_give_bare_ids(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.txt").write_bytes(text.encode())
    assert read_ids(tmp_path / "list.txt") == ["2007_000032", "2007_000039"]


@pytest.mark.parametrize(
    "line",
    [
        "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png",
        "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png gtFine/train/aachen/aachen_000000_000019_x.png",
        "/images/train/aachen_000000_000019.png\t/segmentation/train/aachen_000000_000019_gtFine.png",
        "aachen_000000_000019\r",
    ],
)
def test_cityscapes_formats(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.txt").write_bytes(f"{line}\n".encode())
    assert read_ids(tmp_path / "list.txt", suffix="_leftImg8bit.png") == ["aachen_000000_000019"]
    assert read_ids(tmp_path / "list.txt") == ["aachen_000000_000019"]


def test_a_data_sets_own_suffix_is_taken_off(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("rgb/tile_7_rgb.tif\n")
    assert read_ids(tmp_path / "list.txt", suffix="_rgb.tif") == ["tile_7"]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a\n../x\n", 2, "'../x' is no image id"),
        ("a\nimages/../../x.jpg\n", 2, "is no image id"),
        ("a\nsub/x\n", 2, "is no image id"),
        ("a\n\n..\\x\n", 3, "is no image id"),
        ("2007_000032\n2008_0048222009_000898\n", 2, "'2008_0048222009_000898' is two ids glued together"),
        ("leftImg8bit/train/a/a_1_leftImg8bit.pngleftImg8bit/train/b/b_1_leftImg8bit.png\n", 1, "glued together"),
        ("a.jpg a.png c\n", 1, "3 columns"),
        ("a\tb\tc\n", 1, "3 columns"),
        ("a\nb\na\n", 3, "a is there twice (first in line 1)"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_ids(path)
    assert f"{path} line {line}: " in str(error.value)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_list_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(UserError, match=r"list\.txt is empty"):
        read_ids(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [
        ("u2pl/pascal/662/labeled.txt", 662, "0c6466b63b2f5206"),
        ("unimatch/pascal/u2pl_1_16/labeled.txt", 662, "0c6466b63b2f5206"),
        ("unimatch/pascal/train_aug.txt", 10582, "d1326bd532648d73"),
        ("u2pl/cityscapes/186/labeled.txt", 186, "c9b2d8a6a7290bca"),
        ("u2pl/cityscapes/val.txt", 500, "73099b252b778d6f"),
    ],
)
def test_published_lists_have_their_known_digests(shared: Path, name: str, count: int, expected: str) -> None:
    ids = read_ids(shared / "splits" / name)
    assert (len(ids), digest(ids)[:16]) == (count, expected)


def test_a_folder_and_its_archives_hold_the_same_lists(tmp_path: Path) -> None:
    content = {"pascal/662/labeled.txt": b"a\nb\n", "pascal/val.txt": b"c\n"}
    extra = {"README.md": b"no list", "pascal/._val.txt": b"\x00\x05", "__MACOSX/val.txt": b"\x00"}
    folder = tmp_path / "lists"
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive, tarfile.open(tmp_path / "l.tar.gz", "w:gz") as tar:
        for name, text in {**content, **extra}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text)
            archive.writestr(name, text)
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    for source in (folder, tmp_path / "l.zip", tmp_path / "l.tar.gz"):
        assert read_texts(source) == content
    assert read_texts(folder / "pascal/val.txt") == {"": b"c\n"}


def test_a_broken_archive_and_nothing_at_all(tmp_path: Path) -> None:
    (tmp_path / "l.tar.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(UserError, match=r"l\.tar\.gz"):
        read_ids(tmp_path / "l.tar.gz")
    with pytest.raises(UserError, match="nowhere is not there"):
        read_texts(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("my image 000", ("my image 000", "", "")),
        ("my image 000.jpg", ("my image 000", "my image 000.jpg", "")),
        ("in/my image.jpg out/my image.png", ("my image", "in/my image.jpg", "out/my image.png")),
        ("in/my image.TIF  out/my image.png", ("my image", "in/my image.TIF", "out/my image.png")),
        ("a.b.c", ("a.b.c", "", "")),
        ("in/a.b.c.jpeg", ("a.b.c", "in/a.b.c.jpeg", "")),
        ("a.b.c out/a.b.c.png", ("a.b.c", "", "out/a.b.c.png")),
        ("my images/a.jpg", ("a", "my images/a.jpg", "")),
        ("/data/my images/a.b.jpg", ("a.b", "/data/my images/a.b.jpg", "")),
        ("my images/a.jpg my masks/a.png", ("a", "my images/a.jpg", "my masks/a.png")),
        ("a my-masks/a_L.png", ("a", "", "my-masks/a_L.png")),
        ("my image\tout/my image.png", ("my image", "", "out/my image.png")),
    ],
)
def test_names_with_spaces_and_dots(tmp_path: Path, line: str, expected: tuple[str, str, str]) -> None:
    (tmp_path / "list.txt").write_text(f"{line}\n")
    (entry,) = read_entries(tmp_path / "list.txt", ".jpg")
    assert (entry.item, entry.image, entry.mask) == expected


def test_an_id_that_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("/data/train/000.jpg\n/data/val/000.jpg\ntest/000\n")
    assert [e.item for e in read_entries(tmp_path / "list.txt", paths=True)] == [
        "data/train/000", "data/val/000", "test/000",
    ]  # fmt: skip
    (tmp_path / "list.txt").write_text("/data/train/000.jpg\n/data/val/000.jpg\n")
    with pytest.raises(UserError, match="000 is there twice"):
        read_ids(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["my images/a.jpg", "my images/b.jpg"], [("a", "my images/a.jpg", ""), ("b", "my images/b.jpg", "")]),
        (["x1 masks/l1.png", "x2 masks/l2.png"], [("x1", "", "masks/l1.png"), ("x2", "", "masks/l2.png")]),
    ],
)
def test_a_space_before_a_path_is_judged_by_the_whole_list(
    tmp_path: Path, lines: list[str], expected: list[tuple[str, str, str]]
) -> None:
    """The first words are ids where they all differ, and a folder's name where they recur."""
    (tmp_path / "list.txt").write_text("\n".join(lines))
    found = read_entries(tmp_path / "list.txt", ".jpg")
    assert [(entry.item, entry.image, entry.mask) for entry in found] == expected


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Also ids that end as a picture's name does: of files such as 0.jpg.png."""
    ids = ["0.jpg", "1", "a b.tif", "c.d", "x_leftImg8bit.png"]
    (tmp_path / "list.txt").write_text(list_text(ids, ".png"))
    assert read_ids(tmp_path / "list.txt", ".png") == ids
    (tmp_path / "list.txt").write_text(list_text(["x/0.jpg", "my x/1"], ".png .bmp", paths=True))
    assert [e.item for e in read_entries(tmp_path / "list.txt", ".png .bmp", paths=True)] == ["x/0.jpg", "my x/1"]
    for item in ("a.jpg b", " a", "a\tb", "a\x0bb"):
        with pytest.raises(UserError, match="cannot be written into a list"):
            list_text([item], ".png")


def test_a_list_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(UserError, match=r"list\.txt is a FIFO, not a file"):
        read_ids(tmp_path / "list.txt")
    assert read_texts(tmp_path) == {}
