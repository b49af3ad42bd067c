"""How the ranks of a job find each other: on a port of the kernel's choice, so that two jobs never share one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gta.cellfolder import CellFolder
from gta.jsonrecord import JsonRecord
from launch.job.failure import abandon
from launch.job.siblings import siblings

RENDEZVOUS_SECONDS = 300.0


@dataclass(frozen=True)
class Place:
    """Where a process stands in its job."""

    job: str
    log: str | None  # None: a terminal
    rank: int = 0
    world: int = 1
    local_rank: int = 0
    host: str = "127.0.0.1"  # by which the other ranks reach this one
    restart: int = 0  # how often Slurm started the job before
    node: str | None = None  # Slurm's name of it

    @classmethod
    def of(cls, environment: Any, log: str | None) -> Place:
        """From submitit's JobEnvironment."""
        return cls(
            environment.job_id, log, environment.global_rank, environment.num_tasks, environment.local_rank,
            environment.hostname if len(environment.hostnames) > 1 else "127.0.0.1",
            int(os.environ.get("SLURM_RESTART_COUNT", 0)), os.environ.get("SLURMD_NODENAME"),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StoreAddress(JsonRecord):
    """Where rank 0 of a job listens, and since when."""

    host: str
    port: int
    time: float


@contextlib.contextmanager
def rendezvous(folder: CellFolder, place: Place) -> Iterator[None]:
    """Tell torch which rank this is, and where rank 0 listens, until the job is over.

    Rank 0 opens the rendezvous store on a port of the kernel's choice and says which in the cell's folder, until it is
    over. The others do not leave before it, where they are watched (`siblings`), unless they fail.
    """
    os.environ.update(RANK=str(place.rank), WORLD_SIZE=str(place.world), LOCAL_RANK=str(place.local_rank))
    if place.world == 1:
        yield
        return
    from torch.distributed import TCPStore

    path = folder.path / f".rendezvous-{place.job}-{place.restart}.json"
    first = place.rank == 0
    store = TCPStore(place.host, 0, place.world, is_master=True, wait_for_workers=False) if first else None
    if store:
        StoreAddress(host=place.host, port=store.port, time=time.time()).write(path)
    try:
        with siblings(place.world, partial(abandon, folder, place.job, place.restart, first)) as all_here:
            there = _wait_for(path)
            os.environ.update(MASTER_ADDR=there.host, MASTER_PORT=str(there.port))
            os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # torch's word for: the store is there already
            yield
            while not first and path.exists() and all_here():
                time.sleep(0.05)
    finally:
        if store:
            path.unlink(missing_ok=True)


def _wait_for(path: Path) -> StoreAddress:
    """What rank 0 wrote. A file from long ago is that of another job, whose id came round again."""
    deadline = time.monotonic() + RENDEZVOUS_SECONDS
    while True:
        there = StoreAddress.read(path)
        if there and abs(time.time() - there.time) < 2 * RENDEZVOUS_SECONDS:
            return there
        if time.monotonic() > deadline:
            raise TimeoutError(f"rank 0 did not say within {RENDEZVOUS_SECONDS:.0f} s where it listens ({path})")
        time.sleep(0.2)
