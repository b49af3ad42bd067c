"""Picture files that no library here writes: PGM of any largest value, 12-bit JPEG 2000, PNG of few or of 16 bits,
turned TIFF of 16 bits in colour, TIFF whose 0 is white.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np


def netpbm(path: Path, values: np.ndarray, top: int, plain: bool = False) -> None:
    """(H, W[, 3]) as a PGM or PPM that says that `top` is its largest value."""
    height, width = values.shape[:2]
    kind = {(2, True): "P2", (3, True): "P3", (2, False): "P5", (3, False): "P6"}[values.ndim, plain]
    head = f"{kind}\n# of a scanner\n{width} {height}\n{top}\n".encode()
    words = "\n".join(map(str, values.ravel().tolist())).encode() + b"\n"
    path.write_bytes(head + (words if plain else values.astype(">u2" if top > 255 else np.uint8).tobytes()))


def jpeg_2000_of_12_bits(path: Path, values: np.ndarray) -> None:
    """(H, W[, 3]) RGB, 0 to 4095: a lossless one of 16 bits, that then says 12, which moves its middle from 32768 to
    2048.
    """
    moved = (values.astype(np.int32) + 32768 - 2048).astype(np.uint16)
    lossless = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
    assert cv2.imwrite(str(path), moved[..., ::-1] if moved.ndim == 3 else moved, lossless)
    content = bytearray(path.read_bytes())
    size = content.find(b"\xff\x4f\xff\x51") + 40
    for component in range(int.from_bytes(content[size : size + 2], "big")):
        content[size + 2 + 3 * component] = 11
    content[content.find(b"ihdr") + 14] = 11
    path.write_bytes(content)


def png(path: Path, rows: list[bytes], width: int, bits: int, kind: int) -> None:
    """A PNG of unfiltered rows; `kind`: 0 gray, 2 colours, 4 gray and alpha."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, len(rows), bits, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    content = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def tiff(path: Path, values: np.ndarray, orientation: int = 1, zero_is_white: bool = False) -> None:
    """(H, W) or (H, W, 3) RGB, uint8 or uint16, as one strip."""
    height, width = values.shape[:2]
    channels, bits = values.size // (height * width), 8 * values.itemsize
    body = values.astype(values.dtype.newbyteorder("<")).tobytes()
    body += b"\0" * (len(body) % 2)
    bits_at = 8 + len(body)
    kind = 2 if channels == 3 else 0 if zero_is_white else 1
    tags = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, bits_at if channels > 1 else bits), (259, 3, 1, 1),
        (262, 3, 1, kind), (273, 4, 1, 8), (274, 3, 1, orientation), (277, 3, 1, channels), (278, 3, 1, height),
        (279, 4, 1, len(body)), (284, 3, 1, 1),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    table = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    head = b"II*\0" + struct.pack("<I", bits_at + 6)
    path.write_bytes(head + body + struct.pack("<HHH", bits, bits, bits) + table)
