"""A picture's file, opened: a regular file alone, so that nothing waits for a writer, and every trouble a sentence."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from gta.data.regular import regular
from gta.errors import UserError
from gta.text import first_line

# what Pillow raises for a broken file, each for some format
BROKEN = (
    OSError, ValueError, EOFError, ArithmeticError, RuntimeError, TypeError, LookupError, SyntaxError, struct.error,
)  # fmt: skip
_BEYOND = (errno.EINVAL, errno.EOVERFLOW)  # a broken file sends Pillow to a place that no file has


@dataclass(frozen=True)
class Opened:
    """A picture that is opened and not decoded yet, and its file."""

    path: Path
    picture: Image.Image
    file: BinaryIO

    def content(self, size: int = -1) -> bytes:
        """All of the file, or its first bytes; Pillow goes on where it was."""
        place = self.file.tell()
        self.file.seek(0)
        read = self.file.read(size)
        self.file.seek(place)
        return read


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """The picture at `path`; whatever goes wrong while it is used is a UserError."""
    try:
        # by a file: given a name, Pillow maps some TIFFs into memory, and garbles those that are turned
        with regular(path) as file, Image.open(file) as picture:
            yield Opened(path, picture, file)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path} is not there.") from None
    except Image.DecompressionBombError:
        raise UserError(
            f"{path} has more pixels than a picture may have ({2 * (Image.MAX_IMAGE_PIXELS or 0)}): cut it."
        ) from None
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno and error.errno not in _BEYOND:  # trouble of the machine
            raise UserError(f"{path} cannot be read ({error.strerror}).") from None
        reason = "of no known format" if isinstance(error, UnidentifiedImageError) else first_line(error)
        raise UserError(f"{path} is corrupt or not a picture ({reason}): copy it again.") from None
