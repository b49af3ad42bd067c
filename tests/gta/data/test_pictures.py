"""Images and masks as people have them: what is read, how, and what is refused in which words."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, features

from gta.config import DataConfig
from gta.data.masks import read_labels
from gta.data.pictures import UndeclaredRange, read_image
from gta.errors import UserError
from tests.helpers.pictures import jpeg_2000_of_12_bits, netpbm, tiff

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


def written(path: Path, values: np.ndarray) -> None:
    """A picture of values 0 to 4080 in colour (OpenCV's order is blue first)."""
    if path.suffix == ".ppm":
        netpbm(path, values, 65535)
    elif path.name.startswith("12"):
        jpeg_2000_of_12_bits(path, values)
    else:
        whole = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] if path.suffix == ".jp2" else []
        assert cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values, whole)


@pytest.mark.parametrize("name", ["12.jp2", "16.jp2", "12.pgm", "plain.pgm"])
def test_deep_gray_that_the_library_would_scale_by_itself(tmp_path: Path, name: str) -> None:
    """Pillow makes 16 bits of them all, before anybody asks for the range."""
    values = np.kron(RAMP, np.ones((4, 4), np.uint8)).astype(np.uint16) * 16
    if name.endswith("pgm"):
        netpbm(tmp_path / name, values, 4095, plain=name.startswith("plain"))
    else:
        written(tmp_path / name, values)
    expected = np.stack([values // 16] * 3, axis=-1)
    np.testing.assert_array_equal(read_image(tmp_path / name, ranged(0, 4080)), expected)
    with pytest.raises(UndeclaredRange, match=r"values \(0 to 4080\).*data\.image_range=\[0,4095\]"):
        read_image(tmp_path / name, PLAIN)


@pytest.mark.parametrize("deep", [False, True])
def test_gray_of_a_tiff_whose_zero_is_white_is_as_it_is_shown(tmp_path: Path, deep: bool) -> None:
    tiff(tmp_path / "a.tif", RAMP.astype(np.uint16) * 257 if deep else RAMP, zero_is_white=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", ranged(0, 65535))[..., 0], 255 - RAMP)


def test_gray_of_a_pgm_whose_white_is_below_255_is_as_it_says(tmp_path: Path) -> None:
    netpbm(tmp_path / "a.pgm", RAMP // 16, 15)
    np.testing.assert_array_equal(read_image(tmp_path / "a.pgm", PLAIN)[..., 0], RAMP // 16 * 17)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jp2", "12.jp2", "a.ppm"])
def test_colours_of_16_bits_too(tmp_path: Path, name: str) -> None:
    side = 4 if name.endswith("jp2") else 1  # smaller ones are not written
    colours = np.kron(COLOURS, np.ones((side, side, 1), np.uint8))
    written(tmp_path / name, colours.astype(np.uint16) * 16)
    np.testing.assert_array_equal(read_image(tmp_path / name, ranged(0, 4080)), colours)
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


@pytest.mark.parametrize("tag", [1, *TURNS])
def test_deep_colours_are_turned_once(tmp_path: Path, tag: int) -> None:
    """Of a TIFF OpenCV may turn them, too."""
    stored = COLOURS[:10]
    tiff(tmp_path / "a.tif", stored.astype(np.uint16) * 257, tag)
    upright = TURNS[tag](stored) if tag != 1 else stored
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", ranged(0, 65535)), upright)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.png")
    for read in (lambda path: read_image(path, PLAIN), read_labels):
        with pytest.raises(UserError, match=r"a\.png is a (FIFO|folder|device), not a file"):
            read(tmp_path / "a.png")


def test_trouble_of_the_machine_is_not_a_corrupt_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "loop.png").symlink_to("loop.png")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind("a.png")  # its path may be no longer than 107 bytes
        for read in (lambda path: read_image(path, PLAIN), read_labels):
            for name, says in (
                ("a.png", "a.png is a socket, not a file"),
                ("file/a.png", r"file/a\.png cannot be read \(Not a directory\)"),
                ("loop.png", r"loop\.png cannot be read \(Too many levels of symbolic links\)"),
            ):
                with pytest.raises(UserError, match=says):
                    read(Path(name))


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut, or with some other bytes, mostly near its begin."""
    if rng.random() < 0.25:
        return content[: rng.integers(len(content))]
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        changed[rng.integers(min(len(content), 120) if rng.random() < 0.5 else len(content))] = rng.integers(256)
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.avif", "a.pgm", "a.jp2"])
def test_a_file_that_is_damaged_anywhere_is_a_sentence_or_a_picture(tmp_path: Path, name: str) -> None:
    path, rng = tmp_path / name, np.random.default_rng(0)
    if name == "a.avif" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    if name == "a.pgm":
        netpbm(path, RAMP // 16, 15)
    else:
        Image.fromarray(np.kron(RAMP // 16, np.ones((4, 4), np.uint8))).save(path)
    whole = path.read_bytes()
    for _ in range(60):
        path.write_bytes(damaged(whole, rng))
        for read in (lambda: read_image(path, PLAIN), lambda: read_labels(path)):
            with suppress(UserError):
                assert read().dtype == np.uint8
