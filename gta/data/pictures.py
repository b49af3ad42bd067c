"""Files on disk -> arrays: images as upright 8-bit RGB, masks as the labels or colours that are written in them.

Pillow and not OpenCV: OpenCV fills what is missing of a truncated JPEG with gray and says nothing, and turns a palette
into colours. OpenCV reads 16-bit colour alone, of which Pillow keeps the upper 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from gta.config import DataConfig
from gta.errors import UserError
from gta.text import first_line

ORIENTATION = 0x0112  # the EXIF tag: 1 is upright
EIGHT_BITS = ("1", "L", "P", "RGB", "RGBX", "LA", "PA", "RGBA", "La", "RGBa", "CMYK", "YCbCr")
DEEP = {"I;16": "16-bit", "I;16L": "16-bit", "I;16B": "16-bit", "I;16N": "16-bit", "I": "32-bit", "F": "float"}


class UndeclaredRange(UserError):
    """An image of more than 8 bits a channel, whose smallest and largest value are `low` and `high`."""

    def __init__(self, path: Path, kind: str, low: float, high: float):
        self.low, self.high = low, high
        super().__init__(
            f"{path} holds {kind} values ({low:g} to {high:g}), and nothing says which of them are black and white: "
            f"give their range, as in data.image_range={usual_range(low, high)}."
        )


class ColourMask(UserError):
    """A mask of colours, where labels are asked for. `colours`: (N, 3) uint8, those that it holds."""

    def __init__(self, path: Path, mode: str, colours: np.ndarray):
        self.colours = colours
        super().__init__(
            f"{path} is no index mask: its mode is {mode}, not palette or 8-bit gray, and it holds {len(colours)} "
            "colours. Say which class each is by data.colour_map."
        )


def usual_range(low: float, high: float) -> str:
    """The range that values from `low` to `high` are probably of: 0 to 1, or whole bits ([0,4095])."""
    if low < 0:
        return f"[{low:g},{high:g}]"
    return f"[0,{next((top for top in (1, 255, 1023, 4095, 16383, 65535) if high <= top), high)}]"


def read_image(path: Path, config: DataConfig) -> np.ndarray:
    """(H, W, 3) uint8 RGB at original size, upright: as `upright`."""
    return upright(path, config)[0]


def upright(path: Path, config: DataConfig) -> tuple[np.ndarray, int]:
    """(H, W, 3) uint8 RGB at original size, turned as its EXIF orientation says; and that (1: none).

    Gray becomes RGB, a fourth (alpha) channel is left out, CMYK is converted. Images of more than 8 bits a channel are
    scaled from `data.image_range` to 0 to 255, values outside of it cut. Raises UserError for a file that is absent,
    truncated or no picture, for `UndeclaredRange`, and for a mode that means something else than colours.
    """
    with _opened(path) as picture:
        wide = picture.mode in EIGHT_BITS and any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ()))
        picture.load()
        if wide:
            values = _wide_colours(path)
        elif picture.mode in DEEP:
            values = np.asarray(picture)
        elif picture.mode in EIGHT_BITS:
            turned = _orientation(picture)
            image = ImageOps.exif_transpose(picture) if turned != 1 else picture
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), turned
        else:
            raise UserError(f"{path} cannot be read as colours: its mode is {picture.mode}. Convert it to RGB.")
        turned = _orientation(picture)
        scaled = _scaled(path, "16-bit" if wide else DEEP[picture.mode], values, config)
    image = Image.fromarray(scaled)
    if turned != 1:
        image.getexif()[ORIENTATION] = turned
        image = ImageOps.exif_transpose(image)
    return np.asarray(image.convert("RGB")), turned


def _scaled(path: Path, kind: str, values: np.ndarray, config: DataConfig) -> np.ndarray:
    """uint8 of the values' place in `data.image_range`."""
    if not config.image_range:
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        raise UndeclaredRange(path, kind, low, high)
    black, white = config.image_range
    share = (np.nan_to_num(values.astype(np.float32), nan=black) - black) / (white - black)
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def _wide_colours(path: Path) -> np.ndarray:
    """(H, W[, 3]) uint16 of a picture of 16 bits a channel, without its alpha."""
    read = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if read is None or read.dtype != np.uint16:
        raise UserError(
            f"{path} has 16 bits a channel in a form that is not read here: write it as 16-bit PNG or TIFF."
        )
    return read if read.ndim == 2 else np.ascontiguousarray(read[..., 2::-1])


def _gray_step(picture: Image.Image) -> int:
    """By what Pillow multiplies gray of 2 or 4 bits, which it spreads over 0 to 255; of a picture not decoded yet."""
    modes = [args if isinstance(args, str) else str((args or ("",))[0]) for *_, args in getattr(picture, "tile", ())]
    bits = next((int(mode[2]) for mode in modes if mode.startswith(("L;2", "L;4"))), 8)
    return 255 // (2**bits - 1)


def read_labels(path: Path) -> np.ndarray:
    """(H, W) uint8: the labels as they are written in an index mask (palette, 8-bit gray, 1-bit, or deeper gray).

    Raises UserError for a file that is absent, truncated, no picture, a JPEG, or turned by an EXIF orientation; for
    a label above 255; `ColourMask` for a picture of colours.
    """
    with _mask(path) as (picture, step):
        if picture.mode in ("P", "L", "1"):
            labels = np.asarray(picture).astype(np.uint8, copy=False)
            return labels if step == 1 else labels // np.uint8(step)
        if picture.mode in DEEP and picture.mode != "F":
            deep = np.asarray(picture)
            if deep.size and (deep.min() < 0 or deep.max() > 255):
                raise UserError(
                    f"{path} holds the labels {deep.min()} to {deep.max()}; a mask's labels are 0 to 255: is it an "
                    "instance or depth picture?"
                )
            return deep.astype(np.uint8)
        if picture.mode in ("RGB", "RGBA", "RGBX"):
            raise ColourMask(path, picture.mode, unpacked(np.unique(packed(np.asarray(picture)))))
        raise UserError(f"{path} is no index mask: its mode is {picture.mode}, not palette or 8-bit gray.")


def read_colours(path: Path) -> np.ndarray:
    """(H, W) uint32: a mask's colours, packed. Raises UserError as `read_labels`."""
    with _mask(path) as (picture, _):
        if picture.mode not in EIGHT_BITS:
            raise UserError(f"{path} is no colour mask, which data.colour_map asks for: its mode is {picture.mode}.")
        return packed(np.asarray(picture.convert("RGB")))


def packed(colours: np.ndarray) -> np.ndarray:
    """(..., 3 or 4) uint8 -> (...) uint32, a number a colour; alpha is left out."""
    wide = colours.astype(np.uint32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def unpacked(numbers: np.ndarray) -> np.ndarray:
    """(...) uint32 -> (..., 3) uint8: the inverse of `packed`."""
    return np.stack([numbers >> 16 & 255, numbers >> 8 & 255, numbers & 255], axis=-1).astype(np.uint8)


def _orientation(picture: Image.Image) -> int:
    found = picture.getexif().get(ORIENTATION, 1)
    return found if found in range(1, 9) else 1


@contextmanager
def _mask(path: Path) -> Iterator[tuple[Image.Image, int]]:
    """The mask, decoded, and its `_gray_step`."""
    with _opened(path) as picture:
        step = _gray_step(picture)  # first: to look for an orientation decodes a PNG
        if picture.format in ("JPEG", "MPO"):
            name = "" if path.suffix.lower() in (".jpg", ".jpeg") else f" under the name of a {path.suffix}"
            raise UserError(
                f"{path} is a JPEG{name}: JPEG blurs labels into others. Take the masks from where they were whole, "
                "and write them as PNG."
            )
        if (turned := _orientation(picture)) != 1:
            raise UserError(
                f"{path} has the EXIF orientation {turned}, and labels are read as they are stored: turn the mask, and "
                "remove the tag."
            )
        picture.load()
        yield picture, step


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The picture, opened and not decoded; whatever goes wrong while it is used is a UserError."""
    try:
        # by a file: given a name, Pillow maps some TIFFs into memory, and garbles those that are turned
        with open(path, "rb") as file, Image.open(file) as picture:
            yield picture
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path} is not there.") from None
    except Image.DecompressionBombError:
        raise UserError(
            f"{path} has more pixels than a picture may have ({2 * (Image.MAX_IMAGE_PIXELS or 0)}): cut it."
        ) from None
    except (OSError, SyntaxError, ValueError) as error:  # SyntaxError is what Pillow raises for a broken PNG
        reason = first_line(error)
        raise UserError(f"{path} is corrupt or not a picture ({reason}): copy it again.") from None
