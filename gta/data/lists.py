"""Id lists: one reader for every format in which people publish them, from a file, a folder or an archive."""

from __future__ import annotations

import hashlib
import re
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gta.data.regular import regular
from gta.data.spec import SUFFIXES
from gta.errors import UserError

_ENDS = "|".join(map(re.escape, SUFFIXES))
_PICTURE = re.compile(f"({_ENDS})$", re.IGNORECASE)
_PUBLISHED = re.compile(f"(_leftImg8bit)?({_ENDS})$", re.IGNORECASE)  # what published lists have after an id
# Two entries of one list in one word: two VOC ids, or a path that goes on after the image's suffix.
_GLUED = re.compile(r"\d{4}_\d{6}\d{4}_\d{6}|.*\.(jpe?g|png)[^/\s.].*\.(jpe?g|png)", re.IGNORECASE)
_BYTES = 64 * 2**20  # more than any list; what claims to be larger is not read


def digest(ids: Iterable[str]) -> str:
    """sha256 in hex over the sorted ids, each followed by a newline: the same for a list in any order and
    format.
    """
    return hashlib.sha256(as_text(sorted(ids)).encode()).hexdigest()


def as_text(ids: Iterable[str]) -> str:
    """An id a line, in the order given: what digests are over."""
    return "".join(f"{item}\n" for item in ids)


def list_text(ids: Iterable[str], suffix: str = "", paths: bool = False) -> str:
    """A list as this program writes it: an id a line, with the image's suffix behind one that ends as a picture's name
    does (`0.jpg` of the file 0.jpg.png). Raises UserError for an id that could not be read back.
    """
    lines = []
    for item in ids:
        forms = [item, *(item + one for one in suffix.split())]
        line = next((form for form in forms if _reads_as(form, suffix, paths) == item), None)
        if line is None:
            raise UserError(f"The image {item!r} cannot be written into a list, so that it is read back: rename it.")
        lines.append(line)
    return as_text(lines)


def _reads_as(line: str, suffix: str, paths: bool) -> str | None:
    if line.splitlines() != [line] or line.strip() != line:
        return None
    columns = _columns(line, suffix, bare=False)
    return _id(columns[0], suffix, paths) if len(columns) == 1 and not _GLUED.fullmatch(line) else None


def read_ids(path: str | Path, suffix: str = "") -> list[str]:
    """The ids of a list, in its order.

    A line is a bare id, an image path (`JPEGImages/ID.jpg`, `leftImg8bit/train/aachen/ID_leftImg8bit.png`, with or
    without a leading slash), or either with a label path in a second column. `suffix` is what follows an id in the data
    set's image names (several with spaces between), where that is none of the usual ones. Raises UserError, naming the
    line, for an id that is a path (`../x`), for two ids glued together, a third column, an id given twice, and for a
    list that is empty or absent.
    """
    return [entry.item for entry in read_entries(Path(path), suffix)]


@dataclass(frozen=True)
class Entry:
    """A line of a list: the id, and the paths of image and mask as they are written (empty where they are not)."""

    item: str
    line: int
    image: str = ""
    mask: str = ""


def read_entries(path: Path, suffix: str = "", paths: bool = False) -> list[Entry]:
    """The lines of the file that are not blank; with `paths` an id is a whole path without suffix. Raises UserError as
    `read_ids` does.
    """
    try:
        with regular(path) as file:
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"The list {path} is not there.") from None
    except OSError as error:
        raise UserError(f"The list {path} cannot be read as text: {error}.") from None
    return parse(content, str(path), suffix, paths)


def parse(content: bytes, name: str, suffix: str = "", paths: bool = False) -> list[Entry]:
    """As `read_entries`, of a list's content; `name` stands for the list in what UserError says."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"The list {name} cannot be read as text: {error}.") from None
    first: dict[str, Entry] = {}
    lines = text.splitlines()
    bare = _bare_ids(lines, suffix)
    for line, written in enumerate(lines, start=1):
        columns = _columns(written, suffix, bare)
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
        item = _id(columns[0], suffix, paths)
        if item is None:
            raise UserError(
                f"{name} line {line}: {columns[0]!r} is no image id (a file name without folder and suffix)."
            )
        if item in first:
            raise UserError(f"{name} line {line}: {item} is there twice (first in line {first[item].line}).")
        first[item] = Entry(item, line, columns[0] if columns[0] != item else "", "".join(columns[1:]))
    if not first:
        raise UserError(f"The list {name} is empty.")
    return list(first.values())


def _columns(written: str, suffix: str, bare: bool) -> list[str]:
    """The columns of a line: an id or an image's path, and where there is one a mask's path.

    Names may hold spaces, so a space ends a column only where what is before it ends as a picture's name does, or,
    where ids are `bare`, between an id and the path of its mask.
    """
    if "\t" in written:
        return [column.strip() for column in written.split("\t") if column.strip()]
    id_and_mask = _id_and_mask(written, suffix)
    if id_and_mask and (bare or _belong(*id_and_mask)):
        return list(id_and_mask)
    columns: list[str] = []
    current = ""
    for word in written.split(" "):
        current = f"{current} {word}" if current else word
        if _ends(current.rstrip(), suffix):
            columns.append(current.strip())
            current = ""
    return [*columns, *([current.strip()] if current.strip() else [])]


def _id_and_mask(written: str, suffix: str) -> tuple[str, str] | None:
    """A line as an id and a mask's path, `0 masks/0.png`; it may be an image's path all the same: `my images/0.png`."""
    first, _, last = written.strip().rpartition(" ")
    first = first.strip()
    if first and "/" in last and _ends(last, suffix) and not _ends(first, suffix) and "/" not in first:
        return first, last
    return None


def _belong(item: str, mask: str) -> bool:
    """Whether a mask is named by its image, as they mostly are: `000 masks/000_L.png`."""
    return re.match(rf"{re.escape(item)}(?![^\W_])", PurePosixPath(mask).name) is not None


def _bare_ids(lines: Iterable[str], suffix: str) -> bool:
    """Whether a list's lines that could be either are ids with a mask's path: no two have the same first column, which
    a folder's name would be.
    """
    found = [pair for line in lines if "\t" not in line and (pair := _id_and_mask(line, suffix))]
    unsure = [item for item, mask in found if not _belong(item, mask)]
    return len(unsure) > 1 and len({*unsure}) == len(unsure)


def _ends(word: str, suffix: str) -> bool:
    return bool(_PICTURE.search(word)) or any(word.endswith(one) for one in suffix.split())


def _id(entry: str, suffix: str, paths: bool) -> str | None:
    """The id in a list's first column; None where it could leave the data folder or is no image's path."""
    path = PurePosixPath(entry)
    if ".." in path.parts or "\\" in entry or "\0" in entry:
        return None
    own = next((one for one in suffix.split() if path.name.lower().endswith(one.lower())), "")
    name = path.name[: len(path.name) - len(own)] if own else _PUBLISHED.sub("", path.name)
    if name in ("", ".") or (not paths and len(path.parts) > 1 and name == path.name):
        return None
    return "/".join([*(part for part in path.parts[:-1] if part != "/"), name]) if paths else name


def read_texts(source: Path) -> dict[str, bytes]:
    """Name below `source` -> content of each .txt file of a folder, a .tar(.gz) or a .zip; or of the one file.

    Nothing of an archive is written anywhere. Raises UserError for a source that is absent or cannot be read.
    """
    try:
        if source.is_dir():
            found = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*.txt"))}
            return {name: path.read_bytes() for name, path in found.items() if _is_list(name) and path.is_file()}
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
