"""Methods of a user's own, beside those of the package: files in `./methods`, each called as its method, and entry
points of the group `gta.methods` in installed packages.

Known by name without being loaded, since that loads torch. A loaded one comes with the digest of its source, which is
in the signature of its cells: another source is another cell.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from gta.config import MethodConfig
from gta.errors import UserError
from gta.methods import loading
from gta.methods.loading import executed, one_method
from gta.provenance.code import tree_digest
from gta.text import first_line

if TYPE_CHECKING:
    from gta.methods.base import Method

FOLDER = loading.FOLDER
GROUP = "gta.methods"
SUFFIX = ".py"


@dataclass(frozen=True)
class Own:
    """A loaded method. `digest`: sha256 of its source; `text`: the source, where that is one file, to be frozen with
    its cells.
    """

    name: str
    method: type[Method]
    digest: str
    text: str | None


@dataclass(frozen=True)
class Place:
    """Where a method of some name is, in words, and what loads it. `load` raises UserError."""

    shown: str
    load: Callable[[], Own]


_FILES: dict[tuple[str, str], Own] = {}  # (name, digest) -> what is loaded already
_INSTALLED: dict[str, Own] = {}  # by the entry point; a package is imported once in a process
_BY_CONFIG: dict[type[MethodConfig], Own] = {}


def files(folder: Path = FOLDER) -> dict[str, Path]:
    """Name -> file of the methods in a folder; what begins with `_` or `.` is none."""
    try:
        found = sorted(folder.glob(f"*{SUFFIX}"))
    except OSError:
        return {}
    return {path.stem: path for path in found if re.fullmatch(r"[^\W_][\w-]*", path.stem) and path.is_file()}


def names() -> list[str]:
    """The names of all, none of them loaded."""
    return sorted({*files(), *(point.name for point in _installed())})


def places(name: str) -> list[Place]:
    """Where methods of a name are: more than one is one too many."""
    found = [Place(str(path), partial(load_file, path, name)) for stem, path in files().items() if stem == name]
    points = [point for point in _installed() if point.name == name]
    return found + [Place(_words(point), partial(_load_installed, point)) for point in points]


def find(name: str) -> Own:
    """The method of a name, loaded. Raises KeyError where there is none, UserError where there are two, or where it
    cannot be loaded.
    """
    found = places(name)
    if not found:
        raise KeyError(name)
    if len(found) > 1:
        raise UserError(two(name, [place.shown for place in found]))
    return found[0].load()


def two(name: str, found: list[str]) -> str:
    """The sentence for a name that several have."""
    return f"method={name} could be {' or '.join(found)}: let one of them have another name."


def made_by(config: type[MethodConfig]) -> Own | None:
    """The method of these settings, where it is a user's own."""
    return _BY_CONFIG.get(config)


def loaded() -> Iterator[type[MethodConfig]]:
    """The settings of those that are loaded."""
    yield from _BY_CONFIG


def load_file(path: Path, name: str) -> Own:
    """The method in a file. Raises UserError."""
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): make it a file that you may read.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8: write it anew as one.") from None
    digest = hashlib.sha256(content).hexdigest()
    if (name, digest) not in _FILES:
        module = executed(text, path, f"gta_own_methods.{name}_{digest[:12]}")
        inside = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
        _FILES[name, digest] = _known(Own(name, one_method(inside, name, str(path)), digest, text))
    return _FILES[name, digest]


@cache
def _points(path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def _installed() -> tuple[EntryPoint, ...]:
    """The entry points of installed packages; looked up once for each search path."""
    return _points(tuple(sys.path))


def _words(point: EntryPoint) -> str:
    package = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
    return f"{point.value}{package}"


def _load_installed(point: EntryPoint) -> Own:
    key = f"{point.name} = {point.value}"
    if key not in _INSTALLED:
        try:
            method = point.load()
        except (Exception, SystemExit) as error:
            raise UserError(
                f"The method {point.name} ({_words(point)}) cannot be loaded: {type(error).__name__}: "
                f"{first_line(error)}; mend that package, or uninstall it."
            ) from None
        made = one_method([method], point.name, _words(point))
        _INSTALLED[key] = _known(Own(point.name, made, _package_digest(point), None))
    return _INSTALLED[key]


def _package_digest(point: EntryPoint) -> str:
    """Of the module, or, where it lies in a package, of all Python files in the folder of the module and below."""
    module = sys.modules[point.module]
    file = Path(str(module.__file__))
    found = file.parent.rglob(f"*{SUFFIX}") if module.__package__ else [file]
    return tree_digest({path.relative_to(file.parent).as_posix(): path.read_bytes() for path in found})


def _known(made: Own) -> Own:
    """The method, to be found by its settings."""
    _BY_CONFIG[made.method.Config] = made
    return made
