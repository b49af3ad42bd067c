"""A file system that shows new names late, as one over a network does whose clients remember what was not there.

Who makes a name in the world registers it beside the world; any other process does not find it for so many seconds: not
by stat, open or listing. What replaces a file that was there is seen at once.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_real = {name: getattr(os, name) for name in ("stat", "listdir", "scandir", "replace", "rename", "link", "mkdir")}
_busy = threading.local()
_root, _names, _seconds = "", "", 0.0
_met: set[str] = set()  # names of which the file system has told this process that they are there
_uptime = Path("/proc/uptime")


def install(root: str, names: str, seconds: float) -> None:
    """From now on, in this process and its forks: what others make below `root` is seen `seconds` later. `names`: a
    folder of its own that all of these processes share.
    """
    global _root, _names, _seconds
    _root, _names, _seconds = root, names, seconds
    Path(names).mkdir(parents=True, exist_ok=True)
    for name in ("replace", "rename", "link"):
        setattr(os, name, _placing(_real[name]))
    os.mkdir = _mkdir  # type: ignore[assignment]
    os.stat, os.listdir, os.scandir = _stat, _listdir, _Scan  # type: ignore[assignment,misc]


def refuse(path: Any) -> None:
    """Raises FileNotFoundError for what is not to be seen yet."""
    if hidden(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(path))


def made(path: Any) -> None:
    """This process is about to make a file that was not there."""
    name = _name(path)
    if name and not os.path.lexists(path):
        with _quietly():
            Path(name).write_text(f"{os.getpid()} {_now()}")


def hidden(path: Any) -> bool:
    """Whether another process made this name a moment ago."""
    if not _root or getattr(_busy, "now", False) or not (name := _name(path)):
        return False
    with _quietly():
        try:
            pid, when = Path(name).read_text().split()
        except (OSError, ValueError):
            return False
    return int(pid) != os.getpid() and name not in _met and _now() - float(when) < _seconds


def _now() -> float:
    """Seconds since the machine began, for all processes alike; nobody sets that clock."""
    with _quietly():
        return float(_uptime.read_text().split()[0])


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    before = getattr(_busy, "now", False)
    _busy.now = True
    try:
        yield
    finally:
        _busy.now = before


def _name(path: Any) -> str:
    """The register's file of a name below the root; empty for any other."""
    if isinstance(path, int):
        return ""
    full = os.path.abspath(os.fsdecode(path))
    if not full.startswith(_root):
        return ""
    return f"{_names}/{hashlib.sha256(full.encode()).hexdigest()[:24]}"


def _placing(place: Callable[..., Any]) -> Callable[..., Any]:
    def placed(source: Any, target: Any, **given: Any) -> Any:
        made(target)
        with _met_where_there(target):
            return place(source, target, **given)

    return placed


def _mkdir(path: Any, *rest: Any, **given: Any) -> None:
    made(path)
    with _met_where_there(path):
        _real["mkdir"](path, *rest, **given)


@contextlib.contextmanager
def _met_where_there(path: Any) -> Iterator[None]:
    """Who is told that a name is taken sees it from then on."""
    try:
        yield
    except FileExistsError:
        _met.add(_name(path))
        raise


def _stat(path: Any, **given: Any) -> Any:
    refuse(path)
    return _real["stat"](path, **given)


def _listdir(path: Any = ".") -> Any:
    found = _real["listdir"](path)
    return found if isinstance(path, int) else [name for name in found if not hidden(os.path.join(path, name))]


class _Scan:
    """os.scandir without what is hidden."""

    def __init__(self, path: Any = "."):
        self._entries = _real["scandir"](path)

    def __iter__(self) -> Iterator[Any]:
        return (entry for entry in self._entries if not hidden(entry.path))

    def __next__(self) -> Any:
        return next(iter(self))

    def __enter__(self) -> _Scan:
        return self

    def __exit__(self, *_: Any) -> None:
        self._entries.close()

    def close(self) -> None:
        self._entries.close()
