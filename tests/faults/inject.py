"""What goes wrong inside a process: a signal at its n-th change of the file system, a torn write, a full disk, another
clock, files that are seen late. Seeded by the plan, and so repeatable.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import late

CHANGES = frozenset(("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.symlink"))


@dataclass(frozen=True)
class Plan:
    """One fault. It happens once (`token` is made when it does) in the first process of that `role` (and, of ranks,
    `cell`) that gets so far. `lasting` ones (clock, late, fsize) hold for every process of the role.
    """

    root: str  # only what is below it counts
    token: str
    role: str = ""  # multirun, retry, controller, rank0 ...; empty: any
    cell: str = ""  # the cell's signature; empty: any
    what: str = "count"  # kill, term, int, stop, launcher-kill ..., torn, none
    at: int = 0  # the change of the file system before which it happens (1 is the first)
    path: str = ""  # only changes of paths that end so count
    share: float = 0.5  # of a write that is done before it is torn
    after: float = 0.0  # seconds after which it happens, instead of `at`
    clock: float = 0.0  # seconds by which the clock is off, from change `at` on
    late: float = 0.0  # seconds for which others' new files are not seen
    fsize: int = -1  # bytes that any file may have (RLIMIT_FSIZE)


_plan: Plan | None = None
_role = ""
_launcher = 0
_count = 0
_busy = threading.local()
_real = {name: getattr(os, name) for name in ("write", "fsync", "kill")}
_hooked = False


def install(plan: Plan | None, role: str) -> None:
    """In a new command's process."""
    global _plan, _launcher
    _plan, _launcher = plan, os.getpid()
    if plan is None:
        return
    _hook()
    if plan.late:
        late.install(plan.root, f"{plan.token}.names", plan.late)
    become(role)


def become(role: str) -> None:
    """This process is another by now: a controller, a rank."""
    global _role, _count
    _role, _count = role, 0
    if _plan is None:
        return
    if _plan.fsize >= 0:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (_plan.fsize if _is_mine() else hard, hard))
    if _plan.clock and not _plan.at and _is_mine():
        _set_clock(_plan.clock)
    if _plan.after and _is_mine():
        timer = threading.Timer(_plan.after, lambda: _happen(""))
        timer.daemon = True
        timer.start()


def over() -> None:
    """The process ends well: say how often it changed something, for who wants to know how many moments there are, and
    what it imported.
    """
    if _plan is not None and _plan.what == "count":
        with open(f"{_plan.token}.counts", "a") as file:
            file.write(json.dumps({"role": _role, "count": _count}) + "\n")
        with open(f"{_plan.token}.modules", "a") as file:
            file.write("\n".join(sys.modules) + "\n")


def _hook() -> None:
    global _hooked
    if _hooked:
        return
    _hooked = True
    os.write, os.fsync = _write, _fsync  # type: ignore[assignment]
    import torch

    torch.save = _saving(torch.save)
    _count_statements()
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _plan is None or getattr(_busy, "now", False):
        return
    if event == "open":
        path, _, flags = arguments
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        changes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if isinstance(flags, int) else 0
        name = os.fspath(path)
        name = name.decode() if isinstance(name, bytes) else name
        if _plan.late:
            late.made(name) if changes & os.O_CREAT else late.refuse(name)
        if changes:
            _changed(name)
    elif event in CHANGES:
        _changed(os.fsdecode(arguments[1] if event in ("os.rename", "os.link") else arguments[0]))


def _changed(path: str) -> None:
    """Before a change of `path`: the fault's moment, maybe."""
    global _count
    assert _plan is not None
    if not os.path.abspath(path).startswith(_plan.root) or not path.endswith(_plan.path):
        return
    if not _is_mine():
        return
    _count += 1
    if _plan.at and _count == _plan.at and _plan.what not in ("torn", "count"):
        if _plan.clock:
            _set_clock(_plan.clock)
        else:
            _happen(path)


def _is_mine() -> bool:
    """Whether the plan means this process."""
    assert _plan is not None
    if _plan.role and not _role.startswith(_plan.role):
        return False
    if not _plan.cell or not _role.startswith("rank"):
        return True
    return _plan.cell in _cell()


def _cell() -> str:
    """The signature of the cell that this rank runs, as submitit's pickle says."""
    job = os.environ["SUBMITIT_LOCAL_JOB_ID"]
    folder = Path(sys.argv[1].replace("%j", job))
    _busy.now = True
    try:
        return (folder / f"{job}_submitted.pkl").read_bytes().decode("latin-1")
    except OSError:
        return ""
    finally:
        _busy.now = False


def _happen(path: str) -> None:
    """Once."""
    assert _plan is not None
    if not _first(path):
        return
    target = _launcher if _plan.what.startswith("launcher-") else os.getpid()
    match _plan.what.removeprefix("launcher-"):
        case "kill":
            _real["kill"](target, signal.SIGKILL)
        case "term":
            _real["kill"](target, signal.SIGTERM)
        case "int":
            _real["kill"](target, signal.SIGINT)
        case "stop":
            _real["kill"](target, signal.SIGSTOP)
        case "unlock":
            _busy.now = True
            for lock in Path(_plan.root).rglob("*.lock"):
                lock.unlink(missing_ok=True)
            _busy.now = False


def _first(path: str) -> bool:
    """Whether it did not happen before; it has, from now on."""
    assert _plan is not None
    _busy.now = True
    try:
        descriptor = os.open(_plan.token, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    finally:
        _busy.now = False
    said = {"pid": os.getpid(), "role": _role, "path": path, "count": _count}
    _real["write"](descriptor, json.dumps(said).encode())
    os.close(descriptor)
    return True


def _tears(path: str) -> bool:
    """Whether the write of `path` that comes now is the one to be torn."""
    global _count
    if _plan is None or _plan.what != "torn" or not path.endswith(_plan.path) or not _is_mine():
        return False
    _count += 1
    return _count == _plan.at and _first(path)


def _write(descriptor: int, data: Any) -> int:
    if _plan is None or getattr(_busy, "now", False):
        return int(_real["write"](descriptor, data))
    path = _path_of(descriptor)
    if path.startswith(_plan.root):
        if _plan.what != "torn":
            _changed(path)
        elif _tears(path):
            _real["write"](descriptor, bytes(data)[: int(_plan.share * len(data))])
            _real["kill"](os.getpid(), signal.SIGKILL)
    return int(_real["write"](descriptor, data))


def _fsync(descriptor: int) -> None:
    if _plan is not None and not getattr(_busy, "now", False):
        path = _path_of(descriptor if isinstance(descriptor, int) else descriptor.fileno())
        if path.startswith(_plan.root) and _plan.what != "torn":
            _changed(path)
    _real["fsync"](descriptor)


def _path_of(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def _saving(save: Callable[..., None]) -> Callable[..., None]:
    """torch.save, into a file, or what hands on to one."""

    def torn(state: Any, place: Any, *rest: Any, **given: Any) -> None:
        file = getattr(place, "file", place)
        path = str(getattr(file, "name", file))
        tears = _tears(final(path))
        save(state, place, *rest, **given)
        if tears:
            assert _plan is not None
            file.flush()
            os.truncate(path, int(_plan.share * os.path.getsize(path)))
            _real["kill"](os.getpid(), signal.SIGKILL)

    return torn


def final(path: Any) -> str:
    """The place of a temporary file: .checkpoint.pt.PID-ID.tmp is checkpoint.pt."""
    folder, name = os.path.split(str(path))
    return os.path.join(folder, name[1:].rsplit(".", 2)[0]) if name.endswith(".tmp") else str(path)


def _count_statements() -> None:
    """A database's statements that change something are moments, too."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def before(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if _plan is not None and not statement.lstrip()[:6].upper().startswith(("SELECT", "PRAGMA")):
            _changed(f"{_plan.root}/a statement to the store")

    event.listen(Engine, "before_cursor_execute", before)


def _set_clock(offset: float) -> None:
    """The process's clock is off by so many seconds."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + offset
    time.time_ns = lambda: real_ns() + int(offset * 1e9)
