"""Ranks on this machine, forked from one process: what they need is imported once, where torchrun's import it each."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable

import torch._dynamo  # noqa: F401  (DistributedDataParallel asks for it: once here, and not in every rank)


def forked(world: int, work: Callable[[], None]) -> None:
    """Call `work` in `world` processes, which find each other by the same variables as torchrun's.

    To be called where no thread and no process group was started. Raises ChildProcessError where a rank fails; what it
    said is in the standard error.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=_rank, args=(work, rank, world, port)) for rank in range(world)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    if any(rank.exitcode for rank in ranks):
        raise ChildProcessError(f"ranks ended with {[rank.exitcode for rank in ranks]}")


def _rank(work: Callable[[], None], rank: int, world: int, port: int) -> None:
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": world, "RANK": rank, "LOCAL_RANK": rank}
    os.environ.update({name: str(value) for name, value in where.items()})
    work()
