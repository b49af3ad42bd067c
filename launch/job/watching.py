"""What watches a rank from beside it: `python -m launch.job.watching WATCHED` (`launch.job.watchdog` starts it).

It hears of progress through its standard input. A rank that is silent is written down (`Silence`), and `status` says
so; where every rank of the attempt has been silent for `seconds`, each writes its stack into its log and is killed,
and the attempt is closed as lost: the machine's fault, so that the cell goes on by itself. Light: it imports no torch.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from gta.cellfolder import CellFolder, Death, Silence, process_start
from gta.jsonrecord import JsonRecord
from gta.processes import process_letter
from launch.job import stacks
from launch.job.telling import STUCK_SECONDS, asked, finish, start

TICK = b"."
ATTEMPT = b"a%d;"
OVER = b"q"

NOTICE_SECONDS = 120.0  # of silence, before it is said
LOOK_SECONDS = 1.0
STOPPED_SECONDS = 15.0  # between two looks: this process was stopped itself, and the rank with it
PATIENCE = 3  # times `seconds`, where nobody knows how the other ranks do
GATHER_SECONDS = 5.0  # for the other ranks to hear of it, and to write their stacks
FAR_SECONDS = 40.0  # the same where they are on other hosts: a network file system shows new files late
LEFT_SECONDS = 60.0  # for a rank to leave after its attempt is over
KILL_SECONDS = 20.0  # for a rank to be gone

# of a process that does not even run. One that computes and one that waits are told apart by their stacks, not here:
# each is now the one and now the other, and every change would be another note
_STATES = {"T": "is stopped (SIGSTOP)", "D": "waits for a disk or a network file system"}


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
        self.over = False  # the rank is
        self._noted: Silence | None = None  # as it was written
        self._left = False  # a note of this rank may lie in the folder
        self._notice = min(NOTICE_SECONDS, watched.seconds / 2)

    def run(self) -> None:
        """Until the rank is over, or ended."""
        pause = min(LOOK_SECONDS, self.watched.seconds / 10)
        hung_up = select.poll()
        hung_up.register(self._pipe, 0)  # of no other event: a rank that speaks need not be heard at once
        while not self.look():
            if self.over:
                return self._forget()
            hung_up.poll(1000 * pause)
        self._end()

    def look(self) -> bool:
        """Whether the rank is to be ended now; what it has to say is heard, and its silence written down."""
        if not self._hear():
            self.over = True
            return False
        try:
            return self._judged(time.monotonic())
        finally:
            self._looked = time.monotonic()  # a file system that keeps a look waiting does not keep the rank alive

    def _judged(self, now: float) -> bool:
        if (
            now - self._looked > STOPPED_SECONDS or process_letter(self.watched.pid) == "t"
        ):  # the latter: a debugger has it
            self._last = now
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
            return self._lives
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
        same = before is not None and (before.process, before.over) == (now.process, now.over)
        if same or self.number is None:
            return
        with contextlib.suppress(OSError):  # a full disk, one that is away: the others wait longer, no more
            if self.folder.attempt_file(self.number).exists():
                self._left = True
                now.write(self.folder.silence_file(self.number, self.watched.rank))
                self._noted = now

    def _forget(self) -> None:
        self._noted = None
        if self._left and self.number is not None:
            with contextlib.suppress(OSError):  # tried again at the next look
                self.folder.silence_file(self.number, self.watched.rank).unlink(missing_ok=True)
                self._left = False

    def _stuck(self, silent: float) -> bool:
        """Whether the rank is to be ended. One that waits for another, which goes on, is not stuck."""
        if self.number is None:
            return silent >= self.watched.seconds
        notes = self._notes(self.number)
        if any(note.over for note in notes) or self._left_over():
            return True
        every = len({self.watched.rank, *(note.rank for note in notes)}) >= self.watched.world
        return silent >= self.watched.seconds * (1 if every else PATIENCE)

    def _notes(self, number: int) -> list[Silence]:
        """What the ranks say of their silence; nobody does where the file system does not answer."""
        try:
            return self.folder.silences(number)
        except OSError:
            return []

    def _left_over(self) -> bool:
        """Whether the attempt was closed a while ago by another rank, which failed."""
        assert self.number is not None
        found = self.folder.attempt(self.number)
        return bool(found and found.end_time and time.time() - found.end_time > min(LEFT_SECONDS, self.watched.seconds))

    def _end(self) -> None:
        self._note(over=True)
        telling = self._tell()
        self._say_where()
        if self.watched.world > 1:
            time.sleep(min(FAR_SECONDS if self.watched.hosts else GATHER_SECONDS, self.watched.seconds))
        self._signal(signal.SIGSTOP)  # from here on it writes no more
        try:
            if self.watched.rank == 0 and self.number is not None:
                self._close(self.number)  # before anybody can see that it is dead
                finish(telling, STUCK_SECONDS)  # Slurm ends all that the job runs when a rank is gone
        finally:
            self._kill()  # whatever comes: nobody else would let it go on

    def _tell(self) -> subprocess.Popen[bytes] | None:
        """Begin to tell somebody, where no launcher does; the process that tells. Nothing of it keeps the end away."""
        if self.watched.rank or self.number is None:
            return None
        try:
            if asked(self.folder):
                return start(self.folder, "stuck", str(self.number), self._why())
        except Exception as error:
            stacks.say(f"Nobody is told that the attempt is stuck: {type(error).__name__}: {error}")
        return None

    def _why(self) -> str:
        return f"no progress for {self.watched.seconds / 60:g} min"

    def _say_where(self) -> None:
        """The stacks of the rank and of its workers, in its log; of a process that can show none, why."""
        about, since = self.watched, time.monotonic() - self._last
        stacks.say(
            f"Rank {about.rank} (process {about.pid} on {socket.gethostname()}) has made no progress for "
            f"{since / 60:.3g} min (site.stuck_minutes={about.seconds / 60:g}) and is ended. Its stack:"
        )
        stacks.show(about.pid)
        for pid in self._workers():
            stacks.say(f"The stack of its process {pid}:")
            stacks.show(pid)

    def _workers(self) -> list[int]:
        """The processes that the rank started and that know how to show a stack: those that load data."""
        if not self._lives:
            return []
        try:
            import psutil

            children = [child.pid for child in psutil.Process(self.watched.pid).children(recursive=True)]
        except Exception:  # psutil's, or of the file system that it is on: the rank is ended without
            return []
        return [pid for pid in children if pid != os.getpid() and stacks.shown_by(pid)]

    @property
    def _lives(self) -> bool:
        return process_start(self.watched.pid) == self.watched.started

    def _signal(self, kind: signal.Signals) -> None:
        """To the rank, not to another process that has its number by now."""
        if self._lives:
            with contextlib.suppress(OSError):
                os.kill(self.watched.pid, kind)

    def _kill(self) -> None:
        workers = self._workers()
        self._signal(signal.SIGKILL)
        for pid in workers:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + KILL_SECONDS
        while self._lives and time.monotonic() < deadline:
            time.sleep(0.1)

    def _close(self, number: int) -> None:
        """Say how the attempt ended, in place of rank 0."""
        with contextlib.suppress(OSError):  # it counts as lost all the same, without a reason
            found = self.folder.attempt(number)
            if found is None or found.broken or found.ended not in (None, "lost"):
                return
            if self.folder.attempt_file(number + 1).exists():
                return
            error = f"{self._why()}; {self._culprit(number)}"
            replace(
                found, ended="lost", end_time=time.time(), why=str(Death.STUCK), error=error
            ).write(self.folder.attempt_file(number))  # fmt: skip

    def _culprit(self, number: int) -> str:
        """The ranks that do not even run, by name; else where to look."""
        notes = self._notes(number)
        named = [f"rank {n.rank} on {n.host} (process {n.pid}) {n.process}" for n in notes if n.hangs]
        logs = "its log" if self.watched.world == 1 else "each rank's log"
        return "; ".join(named) if named else f"{logs} has the stack"


def main(arguments: list[str]) -> int:
    os.set_blocking(sys.stdin.fileno(), False)
    Watching(Watched.parse(Path("what is watched"), arguments[0]), sys.stdin.fileno()).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
