"""Who runs a cell: numbered attempts that are claimed, kept alive by a heartbeat, and closed.

`attempts/0003.json` is a lock and a history in one. Attempt n + 1 can be claimed only when attempt n is over or
dead, and making its file is atomic and exclusive, so of any number of processes that see a dead attempt exactly one
gets the next one. There is nothing to steal and nothing to clean up.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gta.files import write_json

BEAT_SECONDS = 5.0
DEAD_SECONDS = (
    120.0  # another host's attempt without a heartbeat for so long is dead; generous to clocks and NFS caches
)


@dataclass(frozen=True)
class Record:
    """What is written of one attempt, and when its heartbeat was last seen."""

    number: int
    path: Path
    fields: dict[str, Any]
    beat: float

    @property
    def ended(self) -> str | None:
        """How the attempt ended (done, failed, interrupted), or None while nobody closed it."""
        return self.fields.get("ended")

    @property
    def here(self) -> bool:
        """Whether it is an attempt on this host, whose processes we can see."""
        return self.fields.get("place") == _place()

    def of_requeued(self, job: str | None, restart: int | None) -> bool:
        """Whether the attempt belongs to an earlier start of this Slurm job."""
        if job is None or self.fields.get("job") != job or restart is None:
            return False
        return int(self.fields.get("restart", restart)) < restart

    def alive(self) -> bool:
        """Whether a process still works on it: known at once on this host, by the heartbeat on another."""
        if self.ended is not None:
            return False
        if self.here:
            return _started(int(self.fields["pid"])) == self.fields["started"]
        return time.time() - self.beat < DEAD_SECONDS


def history(folder: Path) -> list[Record]:
    """All attempts of a cell, oldest first."""
    found = []
    for path in sorted((folder / "attempts").glob("[0-9]*.json")):
        try:
            beat, text = path.stat().st_mtime, path.read_text()
        except OSError:  # on its way in or out on a network file system: the next look will see it
            continue
        try:
            fields = json.loads(text)
        except ValueError:  # lost in a crash of the machine: its number still counts, and its heartbeat will age
            fields = {"host": "an unknown host", "pid": 0}
        found.append(Record(int(path.stem), path, fields, beat))
    return found


def latest(folder: Path) -> Record | None:
    records = history(folder)
    return records[-1] if records else None


def claim(folder: Path, after: int = 0, **fields: Any) -> Attempt | None:
    """The next attempt at the cell in `folder`, or None when another process is at it or was faster.

    An attempt up to number `after` is over, a scheduler said so; and so is one of the very job that claims now, which
    was requeued: neither has to be waited for until its heartbeat is old.
    """
    before = latest(folder)
    over = before is None or before.number <= after or before.of_requeued(fields.get("job"), fields.get("restart"))
    if before is not None and not over and before.alive():
        return None
    number = before.number + 1 if before else 1
    path = folder / "attempts" / f"{number:04d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = {
        "place": _place(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "time": time.time(),
        **fields,
    }
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".claim", delete=False) as file:
        json.dump(owner, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(file.name, path)  # atomic, and fails where the number is taken, on network file systems as well
    except FileExistsError:
        return None
    finally:
        os.unlink(file.name)
    return Attempt(number, path, owner)


class Attempt:
    """A claimed attempt: `start` its heartbeat, `check` before writing, `end` it."""

    def __init__(self, number: int, path: Path, fields: dict[str, Any]):
        self.number = number
        self.path = path
        self.fields = fields
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def start(self) -> None:
        """Keep the heartbeat going, until `end` or until a later attempt has the cell."""
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            try:
                os.utime(self.path)
                self.check()
            except Superseded:
                return
            except OSError:  # a hiccup of the file system; the next beat may pass
                continue

    def check(self) -> None:
        """Raises Superseded when a later attempt exists: we were taken for dead, and another process has the cell."""
        if (self.path.parent / f"{self.number + 1:04d}.json").exists():
            raise Superseded(f"attempt {self.number} was taken for dead; attempt {self.number + 1} has the cell now")

    def note(self, **fields: Any) -> None:
        """Add to the record while the attempt goes on (which iteration it began at, which it saved)."""
        self.fields.update(fields)
        write_json(self.path, self.fields)

    def end(self, how: str, **fields: Any) -> None:
        """Close the record; what is written says how the attempt ended."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=BEAT_SECONDS)
        write_json(self.path, {**self.fields, **fields, "ended": how, "end_time": time.time()})


class Superseded(RuntimeError):
    """A later attempt has the cell: stop without writing."""


def _place() -> str:
    """This host and process namespace: where a pid means the same process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        boot, namespace = "", ""
    return f"{socket.gethostname()}:{boot}:{namespace}"


def _started(pid: int) -> str | None:
    """When a process started (clock ticks since boot), or None where there is none: tells a reused pid apart."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]  # a zombie does nothing any more
