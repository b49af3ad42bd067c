"""Locks between processes, by files: who holds one is written beside it, and nobody waits for ever without a word.

The kernel lets go of a lock when its holder ends, however that ends; one that was stopped (Ctrl-Z, SIGSTOP) keeps it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from gta import progress
from gta.errors import UserError
from gta.files import replacing
from gta.jsonrecord import BrokenRecord, JsonRecord
from gta.masking import masked
from gta.processes import process_letter, process_start, this_place

PATIENCE_SECONDS = 5.0  # with another holder, before it is named
STOPPED_SECONDS = 10.0  # with one that is stopped: it may have been for a moment
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Holder(JsonRecord):
    """Who holds a lock, and since when; of one that is free, who held it last."""

    host: str
    pid: int
    command: str
    time: float
    place: str = ""
    started: str | None = None

    @classmethod
    def here(cls) -> Holder:
        """This process."""
        package = getattr(sys.modules["__main__"].__spec__, "parent", "") if "__main__" in sys.modules else ""
        command = shlex.join([package or os.path.basename(sys.argv[0]) or "python", *sys.argv[1:]])
        return cls(
            host=socket.gethostname(), pid=os.getpid(), command=masked(command), time=time.time(),
            place=this_place(), started=process_start(os.getpid()),
        )  # fmt: skip

    def __str__(self) -> str:
        since = time.strftime("%d %B, %H:%M:%S", time.localtime(self.time))
        return f"{self.command} (process {self.pid} on {self.host}, since {since})"

    @property
    def lives(self) -> bool:
        """Whether its process is of this host, and there."""
        return self.place == this_place() and process_start(self.pid) == self.started

    @property
    def stopped(self) -> bool:
        """Whether its process is of this host, and stopped: it will not let go before somebody lets it go on."""
        return self.lives and process_letter(self.pid) == "T"


class Busy(UserError):
    """Somebody else keeps a lock for too long. `why` says who, as a clause."""

    def __init__(self, path: Path, holder: Holder | None, waited: float):
        if holder is None:
            self.why, advice = f"another process holds {path}", f"`fuser -v {path}` tells which on this machine"
        elif holder.stopped:
            self.why = f"{holder} holds {path} and is stopped (Ctrl-Z or SIGSTOP)"
            advice = f"`kill -CONT {holder.pid}` lets it go on, `kill -9 {holder.pid}` ends it"
        else:
            self.why = f"{holder} holds {path}"
            advice = f"wait for it, or end it (on {holder.host}: kill {holder.pid})"
        super().__init__(f"Waited {waited:.0f} s, and {self.why}: {advice}; then try again.")
        self.holder = holder
        self.advice = advice


def holder_file(path: Path) -> Path:
    """Where the holder of the lock file `path` is written: x.holder.json beside x.lock."""
    return path.with_name(path.name.removesuffix(".lock") + ".holder.json")


def holder_of(path: Path) -> Holder | None:
    """Who held the lock `path` last; None where that is not known."""
    try:
        return Holder.read(holder_file(path))
    except BrokenRecord:
        return None


@contextmanager
def lock(
    path: str | Path,
    seconds: float | None = None,
    say: Callable[[Holder | None], None] | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Iterator[None]:
    """One process at a time: holds the lock file `path`, which is made with its folder and stays.

    `say` is called once where another holds it for longer than `patience` seconds. Raises Busy where that goes on for
    `seconds` (None: as long as it takes), and sooner where its holder is a process of this host that was stopped.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(path)
    _acquire(held, path, seconds, say, patience)
    try:
        with contextlib.suppress(OSError), replacing(holder_file(path), flush=False, parents=False) as temporary:
            temporary.write_text(Holder.here().text(), encoding="utf-8")  # for people: a full disk keeps nobody out
        yield
    finally:
        held.release()


def _acquire(
    held: FileLock, path: Path, seconds: float | None, say: Callable[[Holder | None], None] | None, patience: float
) -> None:
    began, said = time.monotonic(), False
    while True:
        rest = _LOOK_SECONDS if seconds is None else seconds - (time.monotonic() - began)
        with contextlib.suppress(Timeout):
            held.acquire(timeout=max(0.0, min(_LOOK_SECONDS, rest, patience)))
            return
        waited, holder = time.monotonic() - began, holder_of(path)
        if threading.current_thread() is threading.main_thread() and not (holder and holder.stopped):
            progress.tick()  # the holder has to answer for it; a thread beside the work says nothing of the work
        if say and not said and waited >= patience:
            said = True
            say(holder)
        late = seconds is not None and waited >= seconds
        if late or (waited >= STOPPED_SECONDS and holder is not None and holder.stopped):
            raise Busy(path, holder, waited)


@contextmanager
def lock_within(path: str | Path, seconds: float, poll: float = 0.05) -> Iterator[bool]:
    """As `lock`, for who can do without: whether the lock was had, and not where it cannot be made (a full disk) or its
    holder keeps it for longer than that (a process that was stopped). `poll`: seconds between two tries.
    """
    held = FileLock(path)
    try:
        held.acquire(timeout=seconds, poll_interval=poll)
    except OSError:  # Timeout is one
        mine = False
    else:
        mine = True
    try:
        yield mine
    finally:
        if mine:
            held.release()
