"""A rank of an attempt that hangs, as a process of its own: FOLDER HOW [RANK WORLD]; HOW is wait or stop."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from gta.cellfolder import CellFolder
from launch.job.watchdog import watchdog
from launch.state.attempts import claim

MINUTES = 0.05


def hang_here(how: str) -> None:
    if how == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)


def main(path: str, how: str, rank: str = "0", world: str = "1") -> None:
    folder = CellFolder(Path(path))
    mine = claim(folder) if rank == "0" else None
    if mine:
        mine.start()
    with watchdog(folder, MINUTES, int(rank), int(world), hosts=False) as dog:
        print(f"rank {rank} of process {os.getpid()}", flush=True)
        dog.attempt(1)
        hang_here(how)


if __name__ == "__main__":
    main(*sys.argv[1:])
