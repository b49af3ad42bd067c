"""Image files -> upright 8-bit RGB, whatever is in them.

Pillow and not OpenCV: OpenCV fills what is missing of a truncated JPEG with gray and says nothing, and turns a palette
into colours. `gta.data.deep` has what Pillow scales or cuts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gta.config import DataConfig
from gta.data.deep import stored_bits, stored_values, zero_is_white
from gta.data.opened import opened
from gta.errors import UserError

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
    with opened(path) as source:
        picture = source.picture
        wide = stored_bits(source) > 8 and (picture.mode in EIGHT_BITS or picture.format in ("JPEG2000", "PPM"))
        picture.load()
        turned = orientation(picture)
        if not wide and picture.mode in EIGHT_BITS:
            image = ImageOps.exif_transpose(picture) if turned != 1 else picture
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), turned
        if not wide and picture.mode not in DEEP:
            raise UserError(f"{path} cannot be read as colours: its mode is {picture.mode}. Convert it to RGB.")
        values = stored_values(source) if wide else np.asarray(picture)
        scaled = _scaled(path, "16-bit" if wide else DEEP[picture.mode], values, config)
        scaled = 255 - scaled if zero_is_white(picture) else scaled
    image = Image.fromarray(scaled)
    if turned != 1:
        image.getexif()[ORIENTATION] = turned
        image = ImageOps.exif_transpose(image)
    return np.asarray(image.convert("RGB")), turned


def orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none, or no such. To look for it decodes a PNG."""
    found = picture.getexif().get(ORIENTATION, 1)
    return found if found in range(1, 9) else 1


def _scaled(path: Path, kind: str, values: np.ndarray, config: DataConfig) -> np.ndarray:
    """uint8 of the values' place in `data.image_range`."""
    if not config.image_range:
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        raise UndeclaredRange(path, kind, low, high)
    black, white = config.image_range
    share = (np.nan_to_num(values.astype(np.float32), nan=black) - black) / (white - black)
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
