"""data.unlabeled_root: images without masks from any folder, unlabeled without a list that names them.

Their ids are `+` and the path below the folder (of a glob: below its part without wildcards), suffix and all. No list
vouches for them, so what is in the signature is over their sizes too, and over the contents of some.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gta.config import DataConfig
from gta.data.regular import check_regular, regular
from gta.data.spec import SUFFIXES
from gta.errors import UserError

MARK = "+"
THREADS = 16  # a stat over a network waits more than it works
LOOKED_INTO = 64  # files whose contents are digested
BYTES = 2**20  # of each of these
_WILD = re.compile(r"[*?\[]")
_TOKENS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def is_extra(path: str) -> bool:
    """Whether the path of an image is one that `data.unlabeled_root` found: others are below the images' folder."""
    return os.path.isabs(path)


def extra_files(config: DataConfig, names_below: Callable[[Path], Iterable[str]]) -> dict[str, str]:
    """Id -> absolute path of each picture of `data.unlabeled_root`; `names_below` lists a folder with its sub-folders.

    Raises UserError where the folder is absent or there is none.
    """
    if not config.unlabeled_root:
        return {}
    folder, pattern = _cut(Path(config.unlabeled_root))
    matches, top = _matcher(pattern), os.path.abspath(folder)
    found = {
        MARK + name: os.path.join(top, name)
        for name in names_below(folder)
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
            sizes = list(pool.map(lambda item: _size(files[item]), ids))
            contents = list(pool.map(lambda item: _begin(files[item]), some))
    except OSError as error:
        raise UserError(f"data.unlabeled_root: {error.filename} cannot be read ({error.strerror}).") from None
    lines = [f"{item} {size}\n" for item, size in zip(ids, sizes, strict=True)]
    return hashlib.sha256("".join([*lines, *contents]).encode()).hexdigest()


def _size(path: str) -> int:
    state = os.stat(path)
    check_regular(path, state.st_mode)
    return state.st_size


def _begin(path: str) -> str:
    with regular(Path(path)) as file:
        return hashlib.sha256(file.read(BYTES)).hexdigest()


def _cut(path: Path) -> tuple[Path, str]:
    """The folder without wildcards, and the pattern below it; a folder alone means all that is below it."""
    parts = path.parts
    first = next((place for place, part in enumerate(parts) if _WILD.search(part)), len(parts))
    return Path(*parts[:first]), "/".join(parts[first:]) or "**"


def _matcher(pattern: str) -> Callable[[str], bool]:
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern)
    compiled = re.compile(
        "".join(_TOKENS.get(piece) or _class(piece) or re.escape(piece) for piece in pieces), re.IGNORECASE
    )
    return lambda name: compiled.fullmatch(name) is not None


def _class(piece: str) -> str:
    """A glob's [abc] or [!abc] as a pattern; empty for anything else."""
    return piece.replace("[!", "[^", 1) if re.fullmatch(r"\[[^\]]+\]", piece) else ""
