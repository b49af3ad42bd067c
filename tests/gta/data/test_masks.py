"""Mask files as people have them: the labels that were drawn, or a sentence that says how to convert them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, features

from gta.data.masks import ColourMask, read_colours, read_labels
from gta.errors import UserError
from tests.helpers.pictures import netpbm, png, tiff

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
LABELS = np.kron(np.arange(64, dtype=np.uint8).reshape(8, 8) % 20, np.ones((8, 8), np.uint8))
CONVERT = r"write its labels as an 8-bit gray PNG \(Pillow: "


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}), ("a.bmp", {}), ("a.tif", {}), ("a.tif", {"compression": "tiff_lzw"}), ("a.pgm", {}),
        ("a.tif", {"compression": "tiff_adobe_deflate"}), ("a.tif", {"compression": "packbits"}),
        ("a.gif", {"optimize": False}), ("a.tga", {}), ("a.pcx", {}),
    ],
)  # fmt: skip
def test_labels_of_every_lossless_format(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    Image.fromarray(LABELS).save(tmp_path / name, **options)
    np.testing.assert_array_equal(read_labels(tmp_path / name), LABELS)


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("JPEG", {"quality": 100}, "JPEG"),
        ("MPO", {}, "JPEG"),
        ("TIFF", {"compression": "jpeg"}, "TIFF compressed by jpeg"),
        ("JPEG2000", {}, "JPEG 2000"),
        ("WEBP", {"quality": 100}, "lossy WebP"),
        ("AVIF", {"quality": 100}, "AVIF"),
    ],
)
def test_what_blurs_labels_is_refused_by_its_contents(
    tmp_path: Path, kind: str, options: dict[str, object], says: str
) -> None:
    """Most of these are read as gray of 8 bits, and most of the labels in them would pass."""
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    Image.fromarray(LABELS).save(tmp_path / "a.png", format=kind, **options)
    says = rf"a\.png is a {says} under the name of a \.png: .* blurs labels into others.*write them as PNG"
    for read in (read_labels, read_colours):
        with pytest.raises(UserError, match=says):
            read(tmp_path / "a.png")


def test_lossless_webp_holds_its_colours(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([LABELS] * 3)).save(tmp_path / "a.webp", lossless=True)
    np.testing.assert_array_equal(read_colours(tmp_path / "a.webp"), LABELS.astype(np.uint32) * 0x010101)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("top", [1, 7, 20, 255, 1000, 65535])
def test_a_pgm_holds_its_labels_whatever_its_largest_value_is(tmp_path: Path, top: int, plain: bool) -> None:
    """Pillow makes 255 of the largest value: label 7 of 0 to 7 would be ignored."""
    labels = LABELS.clip(max=min(top, 255))
    netpbm(tmp_path / "a.pgm", labels, top, plain)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.pgm"), labels)


def test_a_pgm_that_is_cut_or_says_what_is_not_so(tmp_path: Path) -> None:
    netpbm(tmp_path / "a.pgm", LABELS, 20)
    (tmp_path / "a.pgm").write_bytes((tmp_path / "a.pgm").read_bytes()[:-5])
    with pytest.raises(UserError, match=r"a\.pgm is corrupt.*4091 of 4096"):
        read_labels(tmp_path / "a.pgm")
    netpbm(tmp_path / "a.pgm", LABELS, 7)
    with pytest.raises(UserError, match=r"a\.pgm holds 19, and says that 7 is its largest value"):
        read_labels(tmp_path / "a.pgm")


def test_masks_that_are_no_palette(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 1, 0]], np.uint8)
    Image.fromarray(labels > 0).save(tmp_path / "one.png")
    Image.fromarray(labels > 0).save(tmp_path / "one.tif", compression="group4")
    Image.fromarray(labels.astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.dstack([labels, labels * 0 + 255])).save(tmp_path / "opaque.png")
    for name in ("one.png", "one.tif", "deep.png", "opaque.png"):
        np.testing.assert_array_equal(read_labels(tmp_path / name), labels)


def test_black_and_white_whose_zero_is_white_is_refused(tmp_path: Path) -> None:
    """A label 1 of a PBM is black, and read as 0."""
    (tmp_path / "plain.pbm").write_bytes(b"P1\n4 1\n0 1 1 0\n")
    (tmp_path / "raw.pbm").write_bytes(b"P4\n8 1\n\x66")
    Image.fromarray(LABELS > 0).save(tmp_path / "a.xbm")
    for name, kind in (("plain.pbm", "PBM"), ("raw.pbm", "PBM"), ("a.xbm", "XBM")):
        for read in (read_labels, read_colours):
            with pytest.raises(
                UserError, match=rf"{name} is a {kind} whose 0 is white.*the other way round: {CONVERT}"
            ):
                read(tmp_path / name)


def test_what_is_said_of_a_mask_that_is_refused_is_true_of_it(tmp_path: Path) -> None:
    netpbm(tmp_path / "a.ppm", np.dstack([LABELS] * 3), 100)
    with pytest.raises(UserError, match=r"several channels \(its mode is RGB, its values 0 to 100\)"):
        read_labels(tmp_path / "a.ppm")
    netpbm(tmp_path / "b.ppm", np.dstack([LABELS] * 3).astype(np.uint16), 1000)
    with pytest.raises(UserError, match=r"several channels \(its mode is RGB, of 16 bits a channel\)"):
        read_labels(tmp_path / "b.ppm")
    Image.fromarray(LABELS).save(tmp_path / "a.png", format="ICO")  # which blurs nothing
    with pytest.raises(UserError, match=rf"a\.png is of the format ICO, from which no labels are read here: {CONVERT}"):
        read_labels(tmp_path / "a.png")


def test_masks_of_other_kinds_are_told_how_to_be_converted(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 1, 0]], np.uint8)
    Image.fromarray(labels.astype(np.uint16) * 1000).save(tmp_path / "instances.png")
    Image.fromarray(labels.astype(np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.dstack([labels, labels * 255])).save(tmp_path / "clear.png")
    png(tmp_path / "la16.png", [bytes([0, 1, 255, 255] * 4)], 4, 16, 4)
    cv2.imwrite(str(tmp_path / "rgb16.png"), np.dstack([labels] * 3).astype(np.uint16))
    netpbm(tmp_path / "rgb.ppm", np.dstack([labels] * 3), 1)
    tiff(tmp_path / "white.tif", labels, zero_is_white=True)
    tiff(tmp_path / "white16.tif", labels.astype(np.uint16), zero_is_white=True)
    for name, says in (
        ("instances.png", "holds the labels 0 to 1000"),
        ("float.tif", "its mode is F"),
        ("white.tif", "is a TIFF whose 0 is white"),
        ("white16.tif", "is a TIFF whose 0 is white"),
        ("clear.png", "transparent pixels, and nothing says what these mean"),
        ("la16.png", "several channels"),  # Pillow keeps the upper 8 bits: all 0
        ("rgb16.png", "several channels"),
        ("rgb.ppm", "several channels"),
    ):
        with pytest.raises(UserError, match=rf"{name.replace('.', '[.]')} .*{says}.*{CONVERT}"):
            read_labels(tmp_path / name)
    for name in ("rgb16.png", "rgb.ppm"):
        with pytest.raises(UserError, match=r"no colour mask of 8 bits a channel.*write it as an 8-bit RGB PNG"):
            read_colours(tmp_path / name)


def test_a_mask_of_several_pages_is_refused_and_one_with_a_preview_is_not(tmp_path: Path) -> None:
    first, others = Image.fromarray(LABELS), [Image.fromarray(LABELS[::-1])]
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    with pytest.raises(UserError, match=r"a\.tif holds 2 pages; a mask is one: write the page"):
        read_labels(tmp_path / "a.tif")
    first.save(tmp_path / "b.tif", save_all=True, append_images=[Image.fromarray(LABELS[::4, ::4])])
    np.testing.assert_array_equal(read_labels(tmp_path / "b.tif"), LABELS)


def test_a_turned_mask_and_a_mask_of_colours_are_refused(tmp_path: Path) -> None:
    picture = Image.fromarray(RAMP)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.png", exif=exif)
    with pytest.raises(UserError, match=r"a\.png has the EXIF orientation 6"):
        read_labels(tmp_path / "a.png")
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "b.png")
    with pytest.raises(ColourMask, match="holds 1 colours") as error:
        read_labels(tmp_path / "b.png")
    assert error.value.colours.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(("bits", "row", "labels"), [(2, 0b00_01_10_11, [0, 1, 2, 3]), (4, 0b0000_1111, [0, 15])])
def test_gray_masks_of_few_bits_hold_the_labels_that_are_written(
    tmp_path: Path, bits: int, row: int, labels: list[int]
) -> None:
    """Pillow spreads them over 0 to 255."""
    png(tmp_path / "mask.png", [bytes([row])], len(labels), bits, 0)
    assert read_labels(tmp_path / "mask.png").tolist() == [labels]
