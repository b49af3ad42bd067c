"""Id lists: one reader for every format in which people publish them, from a file, a folder or an archive."""

from __future__ import annotations

import hashlib
import re
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from gta.errors import UserError

_PUBLISHED = re.compile(r"(_leftImg8bit)?\.(jpe?g|png)$", re.IGNORECASE)  # what published lists have after an id
# Two entries of one list in one word: two VOC ids, or a path that goes on after the image's suffix.
_GLUED = re.compile(r"\d{4}_\d{6}\d{4}_\d{6}|.*\.(jpe?g|png)[^/\s.].*\.(jpe?g|png)", re.IGNORECASE)
_BYTES = 64 * 2**20  # more than any list; what claims to be larger is not read
Lines = list[tuple[str, int]]  # (id, line number)


def digest(ids: Iterable[str]) -> str:
    """sha256 in hex over the sorted ids, each followed by a newline: the same for a list in any order and
    format.
    """
    return hashlib.sha256(as_text(sorted(ids)).encode()).hexdigest()


def as_text(ids: Iterable[str]) -> str:
    """A list as this program writes it: an id a line, in the order given."""
    return "".join(f"{item}\n" for item in ids)


def read_ids(path: str | Path, suffix: str = "") -> list[str]:
    """The ids of a list, in its order.

    A line is a bare id, an image path (`JPEGImages/ID.jpg`, `leftImg8bit/train/aachen/ID_leftImg8bit.png`, with or
    without a leading slash), or either with a label path in a second column, which is not used. `suffix` is what
    follows an id in the data set's image names, where that is none of the usual ones. Raises UserError, naming the
    line, for an id that is a path (`../x`), for two ids glued together, a third column, an id given twice, and for a
    list that is empty or absent.
    """
    return [item for item, _ in read_lines(Path(path), suffix)]


def read_lines(path: Path, suffix: str = "") -> Lines:
    """(id, line number) of each line of the file that is not blank. Raises UserError as `read_ids` does."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"The list {path} is not there.") from None
    except OSError as error:
        raise UserError(f"The list {path} cannot be read as text: {error}.") from None
    return parse(content, str(path), suffix)


def parse(content: bytes, name: str, suffix: str = "") -> Lines:
    """(id, line number) of each line that is not blank; `name` stands for the list in what UserError says."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"The list {name} cannot be read as text: {error}.") from None
    first: dict[str, int] = {}
    for line, written in enumerate(text.splitlines(), start=1):
        columns = written.split()
        if not columns:
            continue
        if len(columns) > 2:
            raise UserError(
                f"{name} line {line}: {len(columns)} columns, but a line is an id or image and label paths."
            )
        if _GLUED.fullmatch(columns[0]):
            raise UserError(
                f"{name} line {line}: {columns[0]!r} is two ids glued together; put a line end between them."
            )
        item = _id(columns[0], suffix)
        if item is None:
            raise UserError(
                f"{name} line {line}: {columns[0]!r} is no image id (a file name without folder and suffix)."
            )
        if item in first:
            raise UserError(f"{name} line {line}: {item} is there twice (first in line {first[item]}).")
        first[item] = line
    if not first:
        raise UserError(f"The list {name} is empty.")
    return list(first.items())


def _id(entry: str, suffix: str) -> str | None:
    """The id in a list's first column; None where it could leave the data folder or is no image's path."""
    path = PurePosixPath(entry)
    if ".." in path.parts or "\\" in entry or "\0" in entry:
        return None
    name = path.name.removesuffix(suffix) if suffix and path.name.endswith(suffix) else _PUBLISHED.sub("", path.name)
    if name in ("", ".") or (len(path.parts) > 1 and name == path.name):
        return None
    return name


def read_texts(source: Path) -> dict[str, bytes]:
    """Name below `source` -> content of each .txt file of a folder, a .tar(.gz) or a .zip; or of the one file.

    Nothing of an archive is written anywhere. Raises UserError for a source that is absent or cannot be read.
    """
    try:
        if source.is_dir():
            found = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*.txt"))}
            return {name: path.read_bytes() for name, path in found.items() if _is_list(name)}
        if not source.is_file():
            raise UserError(f"{source} is not there: name a list, a folder of lists, or an archive of them.")
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                return {
                    item.filename: archive.read(item)
                    for item in archive.infolist()
                    if _is_list(item.filename) and item.file_size <= _BYTES
                }
        if tarfile.is_tarfile(source):
            with tarfile.open(source) as tar:
                members = [m for m in tar if m.isfile() and _is_list(m.name) and m.size <= _BYTES]
                opened = {m.name.removeprefix("./"): tar.extractfile(m) for m in members}
                return {name: file.read() for name, file in opened.items() if file is not None}
        return {"": source.read_bytes()}
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise UserError(f"{source} cannot be read: {error}.") from None


def _is_list(name: str) -> bool:
    """A .txt that is not hidden (archives made on a Mac hold a `._x.txt` beside each x.txt)."""
    return name.endswith(".txt") and not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
