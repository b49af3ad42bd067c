"""Values as they are written, of pictures whose values Pillow scales or cuts to 8 bits.

Those are 16 bits a channel in colour (PNG, TIFF, PPM), JPEG 2000 of more than 8 bits, and PGM and PPM whose largest
value is not 255 or 65535. OpenCV reads the first two as they are.
"""

from __future__ import annotations

import re

import cv2
import numpy as np
from PIL import Image

from gta.data.opened import Opened
from gta.errors import UserError

PHOTOMETRIC = 262  # the TIFF tag; 0: zero is white
_FIELD = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*(\d+)")  # of a PGM's head: a number, after blanks and comments
_MOST = 2**16  # bytes of a head: it may hold comments
_SIZ = b"\xff\x4f\xff\x51"  # begins a JPEG 2000 codestream; 40 bytes on: how many components, then 3 bytes of each


def stored_bits(source: Opened) -> int:
    """Bits of a channel's values in the file, of a picture that was not decoded yet; 8 where Pillow has them whole."""
    picture = source.picture
    if picture.format == "JPEG2000":
        return _precision(source.content())
    if picture.format == "PPM" and (top := _top(source)):
        return 16 if top > 255 else 8
    return 16 if any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ())) else 8


def stored_values(source: Opened) -> np.ndarray:
    """(H, W[, 3]) uint16, RGB, without alpha: the values of a picture of more than 8 bits. Raises UserError."""
    if source.picture.format == "PPM":
        return netpbm_values(source)
    read = cv2.imdecode(np.frombuffer(source.content(), np.uint8), cv2.IMREAD_UNCHANGED)  # not turned
    if read is None or read.dtype != np.uint16:
        raise UserError(
            f"{source.path} has 16 bits a channel in a form that is not read here: write it as 16-bit PNG or TIFF."
        )
    return read if read.ndim == 2 else np.ascontiguousarray(read[..., 2::-1])


def netpbm_values(source: Opened) -> np.ndarray:
    """(H, W[, 3]) uint8 or uint16: the numbers in a PGM or PPM, whatever its largest value is. Raises UserError for one
    that is cut, or holds a larger number than it says.
    """
    content = source.content()
    (width, height, top), end = _head(content)
    kind = content[:2]
    shape = (height, width, 3) if kind in (b"P3", b"P6") else (height, width)
    count = int(np.prod(shape))
    if kind in (b"P2", b"P3"):
        words = re.sub(rb"#[^\n\r]*", b"", content[end:]).split()[:count]
        values = np.array([int(word) for word in words], dtype=np.uint32)
    else:
        size = 1 if top < 256 else 2
        body = content[end + 1 : end + 1 + size * count]  # one blank ends the head
        values = np.frombuffer(body[: len(body) // size * size], f">u{size}").astype(np.uint32)
    if values.size < count:
        raise UserError(f"{source.path} is corrupt or not a picture (it holds {values.size} of {count} values).")
    if values.size and values.max() > top:
        raise UserError(f"{source.path} holds {values.max()}, and says that {top} is its largest value.")
    return values.astype(np.uint8 if top < 256 else np.uint16).reshape(shape)


def netpbm_top(source: Opened) -> int:
    """The largest value that a PGM or PPM says it has; 0 for any other picture, which needs no look at its head."""
    return _top(source) if source.picture.format == "PPM" else 0


def zero_is_white(picture: Image.Image) -> bool:
    """Whether its gray is the other way round: of a TIFF that says so, of any PBM or XBM. Pillow turns that of a PBM
    and of a TIFF of 8 bits, and leaves that of others.
    """
    if picture.format == "TIFF":
        return bool(getattr(picture, "tag_v2", {}).get(PHOTOMETRIC) == 0)
    return picture.format == "XBM" or (picture.format == "PPM" and picture.mode == "1")


def _top(source: Opened) -> int:
    content = source.content(_MOST)
    return _head(content)[0][2] if content[:2] in (b"P2", b"P3", b"P5", b"P6") else 0


def _head(content: bytes) -> tuple[tuple[int, int, int], int]:
    """((width, height, largest value), where the head ends)."""
    numbers, place = [], 2
    for _ in range(3):
        found = _FIELD.match(content, place)
        if not found:
            raise ValueError("a broken head")
        numbers.append(int(found[1]))
        place = found.end()
    return (numbers[0], numbers[1], numbers[2]), place


def _precision(content: bytes) -> int:
    """Bits of the deepest component of a JPEG 2000."""
    start = content.find(_SIZ)
    if start < 0 or len(content) < start + 42:
        return 8  # broken: Pillow says what is wrong
    components = int.from_bytes(content[start + 40 : start + 42], "big")
    return max(((size & 0x7F) + 1 for size in content[start + 42 : start + 42 + 3 * components : 3]), default=8)
