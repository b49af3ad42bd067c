"""The ranks of a job on this machine: where one is gone, the others end.

On Slurm srun ends them. Here submitit waits until all have left, and a rank that waits for one that is gone (for it to
come to the meeting, say, where no connection can break) would wait for half an hour, or for `site.stuck_minutes`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from gta.processes import process_start

LOOK_SECONDS = 1.0
GONE_SECONDS = 15.0  # for a rank to end by itself: it may know why the other one left (`failure.PEER_SECONDS`)


@contextmanager
def siblings(world: int, lost: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """While entered, this process ends with exit code 1 where a rank of its job has been gone for a while: the attempt
    is lost, and the launcher sends the cell again. Gives what tells whether all ranks are here.

    `lost`: called before that with the reason, to write it down; from another thread than this one.

    Who leaves in order has to wait for rank 0, which has the last of the work (`rendezvous` does).
    """
    local = os.environ.get("SUBMITIT_EXECUTOR") == "local"
    if world == 1 or not local or process_start(os.getpid()) is None:  # the last: this system tells of no process
        yield lambda: False
        return
    over, ranks = threading.Event(), _Ranks(world)
    ranks.all_here()  # at once: who is gone a moment later is known by its process
    threading.Thread(target=_watch, args=(ranks, over, lost), name="siblings", daemon=True).start()
    try:
        yield ranks.all_here
    finally:
        over.set()


class _Ranks:
    """The processes that submitit's controller, which is the parent of this one too, has started for the job."""

    def __init__(self, world: int):
        self.world = world
        self.controller = os.getppid()
        self.known: dict[int, str] = {}

    @property
    def orphaned(self) -> bool:
        """Whether the controller is gone, so that nobody can tell."""
        return os.getppid() != self.controller

    def all_here(self) -> bool:
        if len(self.known) < self.world and not self.orphaned:
            self.known = self._found()
        return sum(process_start(pid) == started for pid, started in self.known.items()) == self.world

    @property
    def missing(self) -> str:
        """Which of them is gone, in words."""
        pids = [pid for pid, started in self.known.items() if process_start(pid) != started]
        named = f" (process {', '.join(map(str, pids))} on {socket.gethostname()})" if pids else ""
        return f"another rank{named} is gone without a word"

    def _found(self) -> dict[int, str]:
        with contextlib.suppress(psutil.Error):
            pids = [child.pid for child in psutil.Process(self.controller).children()]
            return {pid: started for pid in pids if (started := process_start(pid))}
        return {}


def _watch(ranks: _Ranks, over: threading.Event, lost: Callable[[str], None]) -> None:
    seen = time.monotonic()
    while not over.wait(LOOK_SECONDS):
        if ranks.orphaned:
            return
        if ranks.all_here():
            seen = time.monotonic()
        elif time.monotonic() - seen > GONE_SECONDS:
            why = ranks.missing
            print(f"The attempt is lost: {why}; the cell goes on from its last checkpoint.", flush=True)
            try:
                lost(why)
            finally:
                os._exit(1)  # the main thread may be in a call that nothing ends
