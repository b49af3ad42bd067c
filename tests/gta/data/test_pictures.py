"""Images and masks as people have them: what is read, how, and what is refused in which words."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from gta.config import DataConfig
from gta.data.pictures import ColourMask, UndeclaredRange, read_image, read_labels
from gta.errors import UserError

PLAIN = DataConfig(name="own")
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP.T], axis=-1)


def ranged(low: float, high: float) -> DataConfig:
    return DataConfig(name="own", image_range=[low, high])


@pytest.mark.parametrize(
    ("name", "values", "limits"),
    [
        ("a.png", RAMP.astype(np.uint16) * 257, (0, 65535)),
        ("a.tif", RAMP.astype(np.uint16) * 16, (0, 4080)),
        ("a.tif", RAMP.astype(np.int32) * 1000, (0, 255000)),
        ("a.tif", RAMP.astype(np.float32) / 255, (0, 1)),
        ("a.tif", RAMP.astype(np.float32) * 2 - 100, (-100, 410)),
    ],
)
def test_deep_gray_is_scaled_by_its_declared_range(
    tmp_path: Path, name: str, values: np.ndarray, limits: tuple[float, float]
) -> None:
    Image.fromarray(values).save(tmp_path / name)
    image = read_image(tmp_path / name, ranged(*limits))
    np.testing.assert_array_equal(image, np.stack([RAMP] * 3, axis=-1))
    with pytest.raises(UndeclaredRange, match=r"a\.\w+ holds .* values .* data\.image_range="):
        read_image(tmp_path / name, PLAIN)


def test_what_is_outside_of_the_range_is_cut_and_what_is_no_number_black(tmp_path: Path) -> None:
    values = np.array([[-5, 0, 0.5, 1, 7, np.nan, np.inf]], np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif", ranged(0, 1))[0, :, 0].tolist() == [0, 0, 128, 255, 255, 0, 255]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_colours_of_16_bits_too(tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / name), COLOURS[..., ::-1].astype(np.uint16) * 16)
    np.testing.assert_array_equal(read_image(tmp_path / name, ranged(0, 4080)), COLOURS)
    with pytest.raises(UndeclaredRange, match=r"16-bit values \(0 to 4080\).*data\.image_range=\[0,4095\]"):
        read_image(tmp_path / name, PLAIN)


@pytest.mark.parametrize(
    ("mode", "name"),
    [("RGB", "a.bmp"), ("RGB", "a.tif"), ("RGB", "a.webp"), ("RGBA", "a.png"), ("RGBA", "a.tif"), ("P", "a.png")],
)
def test_colours_of_8_bits_are_as_they_are(tmp_path: Path, mode: str, name: str) -> None:
    picture = Image.fromarray(COLOURS)
    if mode == "P":
        few = np.repeat(COLOURS[:, :1], 16, axis=1)
        picture = Image.fromarray(few).quantize(16)
        expected = np.asarray(picture.convert("RGB"))
    else:
        expected = COLOURS
    if mode == "RGBA":
        picture = Image.fromarray(np.dstack([COLOURS, RAMP]))
    picture.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    for config in (PLAIN, ranged(0, 65535)):  # a range is that of deeper pictures
        np.testing.assert_array_equal(read_image(tmp_path / name, config), expected)


def test_gray_black_and_white_and_cmyk(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([RAMP, RAMP[::-1]])).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "la.png", PLAIN), np.stack([RAMP] * 3, axis=-1))
    Image.fromarray(RAMP > 99).save(tmp_path / "one.png")
    assert set(read_image(tmp_path / "one.png", PLAIN).ravel().tolist()) == {0, 255}
    Image.new("RGB", (8, 8), (200, 100, 0)).convert("CMYK").save(tmp_path / "ink.jpg", quality=100)
    np.testing.assert_allclose(read_image(tmp_path / "ink.jpg", PLAIN)[4, 4], (200, 100, 0), atol=3)


def test_a_mode_that_is_no_colours_is_refused(tmp_path: Path) -> None:
    Image.new("LAB", (4, 4)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"a\.tif cannot be read as colours: its mode is LAB"):
        read_image(tmp_path / "a.tif", PLAIN)


# what a viewer does to the stored picture, by the EXIF standard's table of orientations
TURNS = {
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("tag", TURNS)
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "gray.tif", "deep.png", "deep.tif"])
def test_a_picture_is_upright_as_its_exif_orientation_says(tmp_path: Path, tag: int, name: str) -> None:
    stored = COLOURS[:10]
    deep, gray = name.startswith("deep"), name.startswith(("deep", "gray"))
    picture = Image.fromarray(stored[..., 0] if gray else stored)
    if deep:
        picture = Image.fromarray(stored[..., 0].astype(np.uint16) * 257)
    exif = picture.getexif()
    exif[0x0112] = tag
    options = {"lossless": True} if name.endswith("webp") else {}
    if name.endswith("tif"):
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[0x0112] = tag
        picture.save(tmp_path / name, tiffinfo=info)
    else:
        picture.save(tmp_path / name, exif=exif, **options)
    upright = TURNS[tag](np.stack([stored[..., 0]] * 3, axis=-1) if gray else stored)
    np.testing.assert_array_equal(read_image(tmp_path / name, ranged(0, 65535)), upright)


def test_masks_that_are_no_palette(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 1, 0]], np.uint8)
    Image.fromarray(labels > 0).save(tmp_path / "one.png")
    Image.fromarray(labels.astype(np.uint16)).save(tmp_path / "deep.png")
    for name in ("one.png", "deep.png"):
        np.testing.assert_array_equal(read_labels(tmp_path / name), labels)
    Image.fromarray(labels.astype(np.uint16) * 1000).save(tmp_path / "instances.png")
    with pytest.raises(UserError, match=r"instances\.png holds the labels 0 to 1000"):
        read_labels(tmp_path / "instances.png")
    Image.fromarray(labels.astype(np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(UserError, match="its mode is F"):
        read_labels(tmp_path / "float.tif")


def test_a_jpeg_as_a_mask_is_refused_whatever_its_name(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(UserError, match=r"a\.png is a JPEG under the name of a \.png: JPEG blurs labels"):
        read_labels(tmp_path / "a.png")


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

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", len(labels), 1, bits, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes([0, row]))) + chunk(b"IEND", b"")
    (tmp_path / "mask.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert read_labels(tmp_path / "mask.png").tolist() == [labels]
