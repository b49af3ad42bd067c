"""data.unlabeled_root: images without masks from any folder, unlabeled without a list that names them.

Their ids are `+` and the path below the folder (of a glob: below its part without wildcards), suffix and all. No list
vouches for them, so what is in the signature is over their sizes too, and over the contents of some.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from gta.config import DataConfig
from gta.data.regular import THREADS, regular, state_of
from gta.data.spec import SUFFIXES
from gta.data.walk import below
from gta.errors import UserError

MARK = "+"
LOOKED_INTO = 64  # files whose contents are digested
BYTES = 2**20  # of each of these
PROBE = 2**12  # bytes that tell most pictures of one size apart
_WILD = re.compile(r"[*?\[]")
_TOKENS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def is_extra(path: str) -> bool:
    """Whether the path of an image is one that `data.unlabeled_root` found: others are below the images' folder."""
    return os.path.isabs(path)


def extra_files(config: DataConfig) -> dict[str, str]:
    """Id -> absolute path of each picture of `data.unlabeled_root`.

    Raises UserError where the folder is absent, the glob is none, or there is no picture.
    """
    if not config.unlabeled_root:
        return {}
    folder, pattern = _cut(Path(config.unlabeled_root))
    matches, top = _matcher(pattern), os.path.abspath(folder)
    found = {
        MARK + name: os.path.join(top, name)
        for name in below(folder)
        if name.lower().endswith(SUFFIXES) and matches(name)
    }
    if not found:
        raise UserError(
            f"data.unlabeled_root={config.unlabeled_root}: there is no picture ({', '.join(SUFFIXES)}) there."
        )
    return found


def files_digest(files: Mapping[str, str]) -> str:
    """sha256 in hex over ids and sizes of these files, and over the first bytes of some, evenly chosen: folders whose
    files share names, and even sizes (a raw format), are told apart. Raises UserError for a file that cannot be read.
    """
    ids = sorted(files)
    some = ids[:: max(1, -(-len(ids) // LOOKED_INTO))]
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            states = _states(pool, {item: files[item] for item in ids})
            contents = list(pool.map(lambda item: _begin(files[item], *_version(states[item])), some))
    except OSError as error:
        raise UserError(f"data.unlabeled_root: {error.filename} cannot be read ({error.strerror}).") from None
    lines = [f"{item} {state.st_size}\n" for item, state in states.items()]
    return hashlib.sha256("".join([*lines, *contents]).encode()).hexdigest()


def twins(found: Mapping[str, str], listed: Mapping[str, str], val: Collection[str]) -> set[str]:
    """Ids of the files of `found` that are one of `listed` under another name (a link, a hard one too), or that are
    copies of one whose id is in `val`: of its size, with its bytes up to the first MiB. Raises UserError for a file
    that cannot be read.
    """
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            mine, theirs = _states(pool, found), _states(pool, listed)
            files = {(state.st_dev, state.st_ino, state.st_size) for state in theirs.values()}
            paths = {os.path.realpath(path) for path in listed.values()}
            same = {item for item, state in mine.items() if (state.st_dev, state.st_ino, state.st_size) in files}
            same |= {item for item in found if os.path.realpath(found[item]) in paths}
            alike, wanted = [item for item in mine if item not in same], [item for item in val if item in theirs]
            for look in (_size, _middle, _begin):  # a few bytes first: all pictures of a raw format have one size
                one, other = _looks(pool, look, alike, found, mine), _looks(pool, look, wanted, listed, theirs)
                both = set(one) & set(other)
                alike = [item for item, seen in zip(alike, one, strict=True) if seen in both]
                wanted = [item for item, seen in zip(wanted, other, strict=True) if seen in both]
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}).") from None
    return same | set(alike)


def _size(path: str, inode: int, size: int, changed: int) -> str:
    return str(size)


def _states(pool: ThreadPoolExecutor, files: Mapping[str, str]) -> dict[str, os.stat_result]:
    return dict(zip(files, pool.map(state_of, files.values()), strict=True))


def _looks(
    pool: ThreadPoolExecutor,
    look: Callable[[str, int, int, int], str],
    ids: Sequence[str],
    files: Mapping[str, str],
    states: Mapping[str, os.stat_result],
) -> list[tuple[int, str]]:
    """The size of each file, and what a look into it shows."""
    seen = pool.map(lambda item: look(files[item], *_version(states[item])), ids)
    return [(states[item].st_size, text) for item, text in zip(ids, seen, strict=True)]


@lru_cache(maxsize=2**18)
def _middle(path: str, inode: int, size: int, changed: int) -> str:
    """A digest of a few bytes at a file's middle."""
    with regular(Path(path)) as file:
        file.seek(size // 2)
        return hashlib.sha256(file.read(PROBE)).hexdigest()


def _version(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_ino, state.st_size, state.st_mtime_ns


@lru_cache(maxsize=4096)
def _begin(path: str, inode: int, size: int, changed: int) -> str:
    """A digest of a file's first bytes; read again only when the file has changed (a grid asks once a split)."""
    with regular(Path(path)) as file:
        return hashlib.sha256(file.read(BYTES)).hexdigest()


def _cut(path: Path) -> tuple[Path, str]:
    """The folder without wildcards, and the pattern below it; a folder alone means all that is below it."""
    parts = path.parts
    first = next((place for place, part in enumerate(parts) if _WILD.search(part)), len(parts))
    return Path(*parts[:first]), "/".join(parts[first:]) or "**"


def _matcher(pattern: str) -> Callable[[str], bool]:
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern)
    expression = "".join(_TOKENS.get(piece) or _class(piece) or re.escape(piece) for piece in pieces)
    try:
        compiled = re.compile(expression, re.IGNORECASE)
    except re.error as error:
        raise UserError(f"data.unlabeled_root: {pattern} is no glob ({error.msg}).") from None
    return lambda name: compiled.fullmatch(name) is not None


def _class(piece: str) -> str:
    """A glob's [abc] or [!abc] as a pattern; empty for anything else."""
    return piece.replace("[!", "[^", 1) if re.fullmatch(r"\[[^\]]+\]", piece) else ""
