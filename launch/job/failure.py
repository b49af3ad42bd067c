"""Why an attempt failed, written down by the rank that failed first; and whose fault it was, the cell's or not."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import replace

from gta import files
from gta.cellfolder import BrokenRecord, CellFolder, Failure, readable
from gta.errors import UserError, chain
from gta.ops import distributed
from gta.text import first_line
from launch.state import policy
from launch.state.attempts import GONE, Claim, Superseded

PEER_SECONDS = 10.0  # for the rank that failed first to say why
# what torch says on a rank whose peer is gone (gloo, NCCL, the rendezvous store)
_PEER = ("gloo", "nccl", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "recvValue failed")
# what torch says where a worker that loads data was killed with -9: by the system, which ran out of memory, or by hand
_WORKER = "is killed by signal: Killed"
# what CUDA says of a GPU that is broken, or that another holds for itself
_GPU = ("uncorrectable ECC error", "uncorrectable NVLink error", "busy or unavailable")


def record(folder: CellFolder, number: int | None, error: BaseException, mine: Claim | None, log: str | None) -> None:
    """Say why the attempt failed, unless a later one has the cell by now, or its folder is gone.

    The rank that failed first writes it: the others only see a lost connection. Where none does, a rank was killed,
    and the attempt is lost: it is not the cell's fault, and it goes on by itself; so it is where a worker was killed or
    a GPU is broken. What cannot be written (a full disk) is a line in the log: the cell counts as lost then.
    """
    if not folder.path.is_dir():  # deleted; what is written would make it anew
        print(f"{folder.path} {GONE}.", flush=True)
        return
    try:
        _record(folder, number, error, mine, log)
    except OSError as trouble:
        why = trouble.strerror or first_line(trouble)
        print(f"Why the attempt failed could not be written into {folder.path} ({why}).", file=sys.stderr, flush=True)


def _record(folder: CellFolder, number: int | None, error: BaseException, mine: Claim | None, log: str | None) -> None:
    last = folder.latest_attempt()
    if number is not None and last is not None and last.number > number:
        return
    if number is None:  # failed before rank 0 could say which attempt this is
        number = last.number if last else 0
    if elsewhere := _fault_of_the_machine(error):
        _lost(mine, elsewhere, log)
        return
    first = _of(folder, number)
    if _lost_a_peer(error):
        deadline = time.monotonic() + PEER_SECONDS
        while first is None and time.monotonic() < deadline:
            time.sleep(0.2)
            first = _of(folder, number)
        if first is None:
            _lost(mine, "another rank died without a word", log)
            return
    if first is None:
        line = in_words(error)
        cause = policy.of_exception(error)
        first = Failure(attempt=number, error=line, time=time.time(), cause=cause, rank=distributed.rank(), log=log)
        first.write(folder.failure_file)
    if mine:
        mine.end("failed", why=str(first.cause), error=first.error, log=first.log)  # the log that tells the cause


def abandon(folder: CellFolder, job: str, restart: int, first: bool, error: str) -> None:
    """Close the attempt that the ranks of this job are at, in place of rank 0, which waits for one that is gone or is
    gone itself: as failed where a rank said why it did, else as lost.

    `first`: whether this is rank 0; another one leaves it to that while it lives.
    """
    with contextlib.suppress(OSError, BrokenRecord):  # it counts as lost all the same, without a reason
        last = folder.latest_attempt()
        if last is None or last.broken or last.ended or (last.job, last.restart) != (job, restart):
            return
        if not first and last.alive():
            return
        if said := _of(folder, last.number):
            last = replace(last, ended="failed", why=str(said.cause), error=said.error, log=said.log or last.log)
        else:
            last = replace(last, ended="lost", error=error)
        replace(last, end_time=time.time()).write(folder.attempt_file(last.number))


def in_words(error: BaseException) -> str:
    """What ended an attempt, in a line."""
    if full := files.full_disk(error):  # torch's own words of it are about positions in a file
        place = f" ({full.filename})" if full.filename else ""
        return f"{full.strerror}{place}: make room for the checkpoints, then `gta retry` goes on from the last one"
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    return next((part for part in text.splitlines() if part.strip()), type(error).__name__)


def _lost(mine: Claim | None, error: str, log: str | None) -> None:
    """The machine's fault: no failure is written, and the cell goes on by itself."""
    print(f"The attempt is lost: {error}; the cell goes on from its last checkpoint.", flush=True)
    if mine:
        try:
            mine.end("lost", error=error, log=log)
        except Superseded as gone:
            print(f"Stopping: {gone}.", flush=True)


def _of(folder: CellFolder, number: int) -> Failure | None:
    """What the rank that failed first wrote; a broken record is replaced."""
    return readable(lambda: folder.failure_of(number), say=lambda _: None)


def _lost_a_peer(error: BaseException) -> bool:
    return distributed.world_size() > 1 and isinstance(error, RuntimeError) and any(w in str(error) for w in _PEER)


def _fault_of_the_machine(error: BaseException) -> str | None:
    """What to say of a worker that was killed, or of a broken GPU; None where neither ended the attempt."""
    for one in chain(error):
        if _WORKER in str(one):
            return "a process that loads data was killed (signal 9), as the system does where memory runs out"
        if "CUDA" in str(one) and any(word in str(one) for word in _GPU):
            return f"the GPU is broken or taken ({first_line(one)})"
    return None
