"""Mask files -> the labels or colours that are written in them; what may hold others than were drawn is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gta.data.deep import netpbm_top, netpbm_values, stored_bits, zero_is_white
from gta.data.opened import Opened, opened
from gta.data.pictures import DEEP, EIGHT_BITS, orientation
from gta.errors import UserError

LOSSLESS = ("PNG", "TIFF", "BMP", "DIB", "GIF", "PPM", "WEBP", "TGA", "PCX", "SGI", "SUN", "XBM", "XPM", "IM", "MSP")
LOSSLESS_TIFF = (
    "raw", "packbits", "tiff_raw_16", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "lzma", "zstd",
    "tiff_ccitt", "group3", "group4", "tiff_thunderscan",
)  # fmt: skip
WRITE = "write its labels as an 8-bit gray PNG (Pillow: Image.fromarray(labels.astype('uint8')).save('mask.png'))"


class ColourMask(UserError):
    """A mask of colours, where labels are asked for. `colours`: (N, 3) uint8, those that it holds."""

    def __init__(self, path: Path, mode: str, colours: np.ndarray):
        self.colours = colours
        super().__init__(
            f"{path} is no index mask: its mode is {mode}, not palette or 8-bit gray, and it holds {len(colours)} "
            "colours. Say which class each is by data.colour_map."
        )


def read_labels(path: Path) -> np.ndarray:
    """(H, W) uint8: the labels as they are written in an index mask: palette, gray of 1 to 32 bits, gray with an alpha
    channel that is opaque.

    Raises UserError for a file that is absent, truncated, no picture, of a format that blurs labels, of several pages,
    or turned by an EXIF orientation; for a label above 255; `ColourMask` for a picture of colours.
    """
    with _mask(path) as mask:
        picture = mask.source.picture
        if mask.top not in (0, 255) and picture.mode != "RGB":  # Pillow makes its largest value 255
            return _small(path, netpbm_values(mask.source))
        picture.load()
        if (mask.bits > 8 or mask.top not in (0, 255)) and picture.mode not in DEEP:
            raise UserError(
                f"{path} has several channels (its mode is {picture.mode}{mask.depth}), and is no index mask: {WRITE}."
            )
        if picture.mode in ("P", "L", "1"):
            labels = np.asarray(picture).astype(np.uint8, copy=False)
            return labels if mask.step == 1 else labels // np.uint8(mask.step)
        if picture.mode in ("LA", "PA"):
            return _opaque(path, picture)
        if picture.mode in DEEP and picture.mode != "F":
            return _small(path, np.asarray(picture))
        if picture.mode in ("RGB", "RGBA", "RGBX"):
            raise ColourMask(path, picture.mode, unpacked(np.unique(packed(np.asarray(picture)))))
        raise UserError(f"{path} is no index mask: its mode is {picture.mode}, not palette or 8-bit gray: {WRITE}.")


def read_colours(path: Path) -> np.ndarray:
    """(H, W) uint32: a mask's colours, packed. Raises UserError as `read_labels`, and for more than 8 bits a
    channel.
    """
    with _mask(path) as mask:
        picture = mask.source.picture
        picture.load()
        if picture.mode not in EIGHT_BITS or mask.bits > 8 or mask.top not in (0, 255):
            raise UserError(
                f"{path} is no colour mask of 8 bits a channel, which data.colour_map asks for: its mode is "
                f"{picture.mode}{mask.depth}: write it as an 8-bit RGB PNG."
            )
        return packed(np.asarray(picture.convert("RGB")))


def packed(colours: np.ndarray) -> np.ndarray:
    """(..., 3 or 4) uint8 -> (...) uint32, a number a colour; alpha is left out."""
    wide = colours.astype(np.uint32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def unpacked(numbers: np.ndarray) -> np.ndarray:
    """(...) uint32 -> (..., 3) uint8: the inverse of `packed`."""
    return np.stack([numbers >> 16 & 255, numbers >> 8 & 255, numbers & 255], axis=-1).astype(np.uint8)


def _small(path: Path, deep: np.ndarray) -> np.ndarray:
    """uint8 of labels that are written with more bits."""
    if deep.size and (deep.min() < 0 or deep.max() > 255):
        raise UserError(
            f"{path} holds the labels {deep.min()} to {deep.max()}; a mask's labels are 0 to 255: is it an instance or "
            f"depth picture? Else {WRITE}."
        )
    return deep.astype(np.uint8)


def _opaque(path: Path, picture: Image.Image) -> np.ndarray:
    """The first of the two channels of gray or palette with alpha. What is transparent may be meant as anything."""
    both = np.asarray(picture)
    if (both[..., 1] < 255).any():
        raise UserError(
            f"{path} has an alpha channel ({picture.mode}) with transparent pixels, and nothing says what these mean: "
            f"give them a label of their own, and {WRITE}."
        )
    return np.ascontiguousarray(both[..., 0])


@dataclass(frozen=True)
class _Mask:
    """A mask, opened, its values not decoded yet. `bits`: of a channel; `top`: see `netpbm_top`; `step`: by what Pillow
    multiplies gray of 2 or 4 bits, which it spreads over 0 to 255.
    """

    source: Opened
    bits: int
    top: int
    step: int

    @property
    def depth(self) -> str:
        """What is unusual of its channels' values, for a sentence."""
        if self.bits > 8:
            return ", of 16 bits a channel"
        return f", its values 0 to {self.top}" if self.top not in (0, 255) else ""


@contextmanager
def _mask(path: Path) -> Iterator[_Mask]:
    """The mask of a file that holds the labels which were drawn, as they were drawn."""
    with opened(path) as source:
        _check_format(source)
        _check_pages(source)
        if zero_is_white(source.picture):
            raise UserError(
                f"{path} is a {_written(source.picture)} whose 0 is white, so that some programs read its labels the "
                f"other way round: {WRITE}."
            )
        mask = _Mask(source, stored_bits(source), netpbm_top(source), _gray_step(source.picture))
        if (turned := orientation(source.picture)) != 1:  # decodes a PNG
            raise UserError(
                f"{path} has the EXIF orientation {turned}, and labels are read as they are stored: turn the mask, and "
                "remove the tag."
            )
        yield mask


def _written(picture: Image.Image) -> str:
    return "PBM" if picture.format == "PPM" else picture.format or ""


def _check_format(source: Opened) -> None:
    """Raise UserError for a file that may hold other labels than were drawn, by its contents, whatever its name."""
    path, kind = source.path, source.picture.format or ""
    how = str(source.picture.info.get("compression", "raw"))
    usual: tuple[str, ...] = (f".{kind.lower()}",)
    if kind in ("JPEG", "MPO"):
        kind, usual = "JPEG", (".jpg", ".jpeg")
    elif kind == "JPEG2000":
        kind, usual = "JPEG 2000", (".jp2", ".j2k", ".jpx", ".jpf")
    elif kind == "TIFF" and how not in LOSSLESS_TIFF:
        kind, usual = f"TIFF compressed by {how}", (".tif", ".tiff")
    elif kind == "WEBP" and not _lossless_webp(source.content()):
        kind = "lossy WebP"
    elif kind in LOSSLESS:
        return
    elif kind != "AVIF":
        raise UserError(f"{path} is of the format {kind}, from which no labels are read here: {WRITE}.")
    name = "" if path.suffix.lower() in usual else f" under the name of a {path.suffix or 'file without suffix'}"
    raise UserError(
        f"{path} is a {kind}{name}: {kind} blurs labels into others. Take the masks from where they were whole, and "
        "write them as PNG."
    )


def _lossless_webp(content: bytes) -> bool:
    """Whether no chunk of its container is a lossy picture."""
    place, kinds = 12, set()
    while place + 8 <= len(content):
        kinds.add(content[place : place + 4])
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        place += 8 + size + size % 2
    return b"VP8L" in kinds and b"VP8 " not in kinds


def _check_pages(source: Opened) -> None:
    """Raise UserError for several pictures of one size in one file; a smaller copy or a preview beside it is none."""
    picture = source.picture
    pages = getattr(picture, "n_frames", 1)
    if pages > 1:
        size = picture.size
        picture.seek(1)
        same = picture.size == size
        picture.seek(0)
        if same:
            raise UserError(f"{source.path} holds {pages} pages; a mask is one: write the page that is meant as PNG.")


def _gray_step(picture: Image.Image) -> int:
    modes = [args if isinstance(args, str) else str((args or ("",))[0]) for *_, args in getattr(picture, "tile", ())]
    bits = next((int(mode[2]) for mode in modes if mode.startswith(("L;2", "L;4"))), 8)
    return 255 // (2**bits - 1)
