"""Who runs a cell: numbered attempts that are claimed, kept alive by a heartbeat, and closed.

`attempts/0003.json` (`gta.cellfolder.Attempt`) is a lock and a history in one. Attempt n + 1 can be claimed only when
attempt n is over or dead, and making its file is atomic and exclusive, so of any number of processes that see a dead
attempt exactly one gets the next one. There is nothing to steal and nothing to clean up.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gta.cellfolder import Attempt, CellFolder, process_start, readable, this_place
from gta.files import remove_leftovers, to_disk

BEAT_SECONDS = 5.0
OLD_SECONDS = 3600.0
LOOKS = 3  # for one's own record before it counts as gone: a network file system may miss a file for a moment
LOOK_SECONDS = 1.0
GONE = "is gone: the cell's folder was deleted or moved, and is left as it is"


def claim(
    folder: CellFolder,
    after: int = 0,
    *,
    since: float = 0.0,
    job: str | None = None,
    restart: int | None = None,
    log: str | None = None,
    node: str | None = None,
    gpus: float | None = None,
    cores: float | None = None,
    environment: dict[str, Any] | None = None,
) -> Claim | None:
    """The next attempt at the cell in `folder`, or None when another process is at it, was faster, or has finished it.

    An attempt up to number `after` is over, a scheduler said so; and so is one of the very `job` that claims now, which
    was requeued (`restart`: how often): neither has to be waited for until its heartbeat is old. A cancellation counts
    only if it is later than `since`. The rest is written into the attempt's record.
    """
    before = folder.latest_attempt()
    over = before is None or before.number <= after or before.of_requeued(job, restart)
    if before is not None and not over and before.alive():
        return None
    if folder.done:  # asked after its attempts: who was at it may have ended since our process began
        return None
    attempt = Attempt(
        number=before.number + 1 if before else 1,
        place=this_place(),
        host=socket.gethostname(),
        pid=os.getpid(),
        started=process_start(os.getpid()),
        time=time.time(),
        job=job,
        restart=restart,
        log=log,
        node=node,
        gpus=gpus,
        cores=cores,
        environment=environment or {},
    )
    path = folder.attempt_file(attempt.number)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".claim-{os.getpid()}-{uuid.uuid4().hex[:8]}")  # two that claim must not share one
    try:
        temporary.write_text(attempt.text(), encoding="utf-8")
        to_disk(temporary)
        os.link(temporary, path)  # atomic, and fails where the number is taken, on network file systems as well
    except FileExistsError:
        return None
    finally:
        temporary.unlink(missing_ok=True)
    _tidy(folder, before)
    return Claim(folder, attempt, since)


def _tidy(folder: CellFolder, before: Attempt | None) -> None:
    """Remove what an attempt that was killed had not written to its end, and old claims that came to nothing."""
    if before is None:
        return
    remove_leftovers(folder.attempt_file(before.number))
    for item in folder.attempts_folder.glob(".claim*"):
        with suppress(OSError):
            if time.time() - item.stat().st_mtime > OLD_SECONDS:  # else somebody may be claiming
                item.unlink()


class Claim:
    """An attempt that is this process's: `start` its heartbeat, `check` before writing, `end` it."""

    def __init__(self, folder: CellFolder, attempt: Attempt, since: float = 0.0):
        self.attempt = attempt
        self.path = folder.attempt_file(attempt.number)
        self._next = folder.attempt_file(attempt.number + 1)
        self.lost: Superseded | None = None  # what `check` found out
        self.cancelled = False  # likewise: somebody wants the cell to end
        self._folder, self._since = folder, since
        # a job begins only where nobody cancelled the cell; who trains it by hand means it all the same
        self._known = None if attempt.job else readable(folder.cancelled, say=lambda _: None)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    @property
    def number(self) -> int:
        return self.attempt.number

    def start(self) -> None:
        """Keep the heartbeat going, until `end` or until a later attempt has the cell."""
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            try:
                self.check()
                os.utime(self.path)
                word = readable(self._folder.cancelled, say=lambda _: None)
                self.cancelled = word is not None and word != self._known and word.time > self._since
            except Superseded:
                return
            except OSError:  # a hiccup of the file system; the next beat may pass
                continue

    def check(self) -> None:
        """Raises Superseded when a later attempt exists (we were taken for dead, and another process has the cell), and
        when our record is gone: whoever deleted the cell's folder does not want it written anew. What one thread was
        told holds for all of them, and for good.
        """
        if self.lost is None and self._next.exists():
            self.lost = Superseded(
                f"attempt {self.number} was taken for dead; attempt {self.number + 1} has the cell now"
            )
        if self.lost is None and self.gone():
            self.lost = Superseded(f"{self.path} {GONE}")
        if self.lost is not None:
            raise self.lost

    def gone(self) -> bool:
        """Whether our record is not there, also when we look again."""
        for look in range(LOOKS):
            time.sleep(LOOK_SECONDS if look else 0)
            if self.path.exists():
                return False
        return True

    def began(self, iteration: int) -> None:
        """Write down where training goes on from."""
        self._write(began=iteration)

    def saved(self, iteration: int) -> None:
        """Write down up to where everything is on disk."""
        self._write(saved=iteration)

    def end(self, how: str, *, why: str | None = None, error: str | None = None, log: str | None = None) -> None:
        """Close the record: how the attempt ended, and why. `log`: the one that tells more than the attempt's own."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=BEAT_SECONDS)
        self._write(ended=how, end_time=time.time(), why=why, error=error, log=log or self.attempt.log)

    def _write(self, **fields: Any) -> None:
        self.check()
        self.attempt = replace(self.attempt, **fields)
        self.attempt.write(self.path)


def who(attempt: Attempt) -> str:
    """Who is at an attempt, where, and since when: "process 123 on node3, job 57, since 28 November, 14:02:10"."""
    if attempt.broken:
        return attempt.broken
    job = f", job {attempt.job}" if attempt.job else ""
    since = time.strftime("%d %B, %H:%M:%S", time.localtime(attempt.time)) if attempt.time else "an unknown time"
    return f"process {attempt.pid} on {attempt.node or attempt.host}{job}, since {since}"


class Superseded(RuntimeError):
    """This attempt has the cell no more: stop without writing."""
