"""What watches a rank from beside it: `python -m launch.job.watching WATCHED` (`launch.job.watchdog` starts it).

It hears of progress through its standard input. A rank that is silent is written down (`Silence`), and `status` says
so; where every rank of the attempt has been silent for `seconds`, each writes its stack into its log and is killed,
and the attempt is closed as lost: the machine's fault, so that the cell goes on by itself. Light: it imports no torch.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from gta.cellfolder import CellFolder, Death, Silence, process_start
from gta.cellrecords import process_letter
from gta.jsonrecord import JsonRecord

TICK = b"."
ATTEMPT = b"a%d;"
OVER = b"q"
DUMP = signal.SIGUSR1  # writes the stacks of a rank, or of a worker that loads its data, into the rank's log

NOTICE_SECONDS = 120.0  # of silence, before it is said
LOOK_SECONDS = 1.0
STOPPED_SECONDS = 15.0  # between two looks: this process was stopped itself, and the rank with it
PATIENCE = 3  # times `seconds`, where nobody knows how the other ranks do
DUMP_SECONDS = 2.0  # for a stack to be written
GATHER_SECONDS = 5.0  # for the other ranks to hear of it, and to write their stacks
FAR_SECONDS = 40.0  # the same where they are on other hosts: a network file system shows new files late
LEFT_SECONDS = 60.0  # for a rank to leave after its attempt is over
KILL_SECONDS = 20.0  # for a rank to be gone

_STATES = {
    "T": "is stopped (SIGSTOP)",
    "D": "waits for a disk or a network file system",
    "R": "computes",
    "S": "waits",
}


@dataclass(frozen=True, kw_only=True)
class Watched(JsonRecord):
    """The rank, as the process that watches it is told. `hosts`: whether the ranks are on several."""

    folder: str
    pid: int
    started: str | None
    rank: int
    world: int
    seconds: float
    hosts: bool


class Watching:
    """The silence of one rank, and what is done about it."""

    def __init__(self, watched: Watched, pipe: int):
        self.watched = watched
        self.folder = CellFolder(Path(watched.folder))
        self.number: int | None = None  # of the attempt, once the rank knows it
        self._pipe, self._rest = pipe, b""
        self._last = self._looked = time.monotonic()
        self._noted: Silence | None = None
        self._notice = min(NOTICE_SECONDS, watched.seconds / 2)

    def run(self) -> None:
        """Until the rank is over, or ended."""
        pause = min(LOOK_SECONDS, self.watched.seconds / 10)
        while self._hear():
            if self.look():
                return self._end()
            time.sleep(pause)
        self._forget()

    def look(self) -> bool:
        """Whether the rank is to be ended now; what it has to say is heard, and its silence written down."""
        self._hear()
        now = time.monotonic()
        if (
            now - self._looked > STOPPED_SECONDS or process_letter(self.watched.pid) == "t"
        ):  # the latter: a debugger has it
            self._last = now
        self._looked = now
        if now - self._last < self._notice:
            self._forget()
            return False
        self._note()
        return self._stuck(now - self._last)

    def _hear(self) -> bool:
        """What the rank said since; False where it is over."""
        try:
            while data := os.read(self._pipe, 65536):
                if TICK in data:
                    self._last = time.monotonic()
                text = self._rest + data
                if OVER in text:
                    return False
                if found := re.findall(rb"a(\d+);", text):
                    self.number = int(found[-1])
                self._rest = text[-16:]
        except BlockingIOError:
            return process_start(self.watched.pid) == self.watched.started
        return False  # nobody can say anything any more

    def _note(self, over: bool = False) -> None:
        """Write down that the rank is silent, for `status` and for the other ranks."""
        now = Silence(
            since=round(time.time() - (time.monotonic() - self._last)),
            rank=self.watched.rank,
            host=socket.gethostname(),
            pid=self.watched.pid,
            process=_STATES.get(process_letter(self.watched.pid), ""),
            over=over,
        )
        before = self._noted
        if before is not None and (before.process, before.over) == (now.process, now.over):
            return
        if self.number is not None and self.folder.attempt_file(self.number).exists():
            with contextlib.suppress(OSError):  # a full disk: the others wait longer, no more
                now.write(self.folder.silence_file(self.number, self.watched.rank))
        self._noted = now

    def _forget(self) -> None:
        if self._noted is not None and self.number is not None:
            with contextlib.suppress(OSError):
                self.folder.silence_file(self.number, self.watched.rank).unlink(missing_ok=True)
        self._noted = None

    def _stuck(self, silent: float) -> bool:
        """Whether the rank is to be ended. One that waits for another, which goes on, is not stuck."""
        if self.number is None:
            return silent >= self.watched.seconds
        notes = self.folder.silences(self.number)
        if any(note.over for note in notes) or self._left_over():
            return True
        every = len({note.rank for note in notes}) >= self.watched.world
        return silent >= self.watched.seconds * (1 if every else PATIENCE)

    def _left_over(self) -> bool:
        """Whether the attempt was closed a while ago by another rank, which failed."""
        assert self.number is not None
        found = self.folder.attempt(self.number)
        return bool(found and found.end_time and time.time() - found.end_time > min(LEFT_SECONDS, self.watched.seconds))

    def _end(self) -> None:
        self._note(over=True)
        self._say_where()
        if self.watched.world > 1:
            time.sleep(min(FAR_SECONDS if self.watched.hosts else GATHER_SECONDS, self.watched.seconds))
        self._signal(signal.SIGSTOP)  # from here on it writes no more
        if self.watched.rank == 0 and self.number is not None:
            self._close(self.number)  # before anybody can see that it is dead
        self._kill()

    def _say_where(self) -> None:
        """The stacks of the rank and of its workers, in its log; of a process that can show none, why."""
        about, since = self.watched, time.monotonic() - self._last
        _say(
            f"Rank {about.rank} (process {about.pid} on {socket.gethostname()}) has made no progress for "
            f"{since / 60:.3g} min (site.stuck_minutes={about.seconds / 60:g}) and is ended. Its stack:"
        )
        _show_stack(about.pid)
        for pid in self._workers():
            _say(f"The stack of its process {pid}:")
            _show_stack(pid)

    def _workers(self) -> list[int]:
        """The processes that the rank started and that know how to show a stack: those that load data."""
        import psutil

        try:
            children = [child.pid for child in psutil.Process(self.watched.pid).children(recursive=True)]
        except psutil.Error:
            return []
        return [pid for pid in children if pid != os.getpid() and _shows_stack(pid)]

    def _signal(self, kind: signal.Signals, *others: int) -> None:
        for pid in (self.watched.pid, *others):
            with contextlib.suppress(OSError):
                os.kill(pid, kind)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL, *self._workers())
        deadline = time.monotonic() + KILL_SECONDS
        while process_start(self.watched.pid) == self.watched.started and time.monotonic() < deadline:
            time.sleep(0.1)

    def _close(self, number: int) -> None:
        """Say how the attempt ended, in place of rank 0."""
        found = self.folder.attempt(number)
        if found is None or found.broken or found.ended not in (None, "lost"):
            return
        if self.folder.attempt_file(number + 1).exists():
            return
        with contextlib.suppress(OSError):
            error = f"no progress for {self.watched.seconds / 60:g} min; {self._culprit(number)}"
            replace(
                found, ended="lost", end_time=time.time(), why=str(Death.STUCK), error=error
            ).write(self.folder.attempt_file(number))  # fmt: skip

    def _culprit(self, number: int) -> str:
        """The ranks that do not even run, by name; else where to look."""
        notes = self.folder.silences(number)
        named = [f"rank {n.rank} on {n.host} (process {n.pid}) {n.process}" for n in notes if n.hangs]
        logs = "its log" if self.watched.world == 1 else "each rank's log"
        return "; ".join(named) if named else f"{logs} has the stack"


def _show_stack(pid: int) -> None:
    letter = process_letter(pid)
    if letter == "T":
        _say("(it is stopped by SIGSTOP, and a process that is stopped can show none)")
        return
    if letter == "D":
        _say("(it waits for a disk or a network file system, and shows none before that answers)")
    if _shows_stack(pid):
        with contextlib.suppress(OSError):
            os.kill(pid, DUMP)
            time.sleep(DUMP_SECONDS)


def _shows_stack(pid: int) -> bool:
    """Whether a process catches the signal: it would kill any other."""
    with contextlib.suppress(OSError):
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> (DUMP - 1) & 1)
    return False


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    os.set_blocking(sys.stdin.fileno(), False)
    Watching(Watched.parse(Path("what is watched"), arguments[0]), sys.stdin.fileno()).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
