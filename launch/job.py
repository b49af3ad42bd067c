"""The picklable callable that every rank of a cell runs, and the frame around one attempt at a cell."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gta import distributed
from gta.compose import read
from gta.errors import UserError
from gta.files import write_json
from gta.trainer import Control
from launch.attempts import Attempt, Superseded, claim

RENDEZVOUS_SECONDS = 300.0


@dataclass(frozen=True)
class Job:
    """Runs the cell in `folder`. An exception leaves the process with a non-zero exit code, for the scheduler to see."""

    folder: str

    def __call__(self) -> str:
        import submitit

        environment = submitit.JobEnvironment()
        _place_ranks(Path(self.folder), environment)
        log = str(environment.paths.stdout).replace(f"_{environment.global_rank}_log", "_0_log")
        # ours come after submitit's handlers, which would count a preemption as a time-out and requeue by themselves
        return run_cell(Path(self.folder), job=environment.job_id, log=log)


def run_cell(folder: Path, **fields: Any) -> str:
    """One attempt at the cell in `folder`, on every rank: `done`, `interrupted` (saved; it can go on), or `taken`.

    `fields` go into the attempt's record. Raises what the training raises, after `failure.json` was written.
    """
    config = read(folder / "config.yaml")
    distributed.init_from_env(config.site.device)
    first = distributed.rank() == 0
    attempt = claim(folder, **fields) if first else None
    number = distributed.broadcast_object(attempt.number if attempt else None)
    if number is None:
        print("Another process has this cell; leaving it alone.", flush=True)
        return "taken"
    control = _Control(attempt)
    try:
        with control.signals():
            from gta.train import train

            finished = train(config, folder, signature=folder.name, control=control)
        how = "done" if finished else "interrupted"
        if attempt:
            attempt.end(how)
        return how
    except Superseded as error:
        print(f"Stopping: {error}.", flush=True)
        os._exit(0)  # the ranks must not wait for each other, and nothing more may be written
    except BaseException as error:
        _record_failure(folder, number, error, attempt)
        raise
    finally:
        distributed.shutdown()


class _Control(Control):
    """Signals and the claim, as the trainer sees them."""

    def __init__(self, attempt: Attempt | None):
        self.attempt = attempt
        self.asked = False
        if attempt:
            attempt.start()

    def stopping(self) -> bool:
        return self.asked

    def check(self) -> None:
        if self.attempt:
            self.attempt.check()

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """A warning (time limit, preemption, Ctrl-C) sets a flag; the trainer saves at the next step boundary."""

        def ask(number: int, frame: object) -> None:
            self.asked = True

        kinds = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
        before = {kind: signal.signal(kind, ask) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)


def _record_failure(folder: Path, number: int, error: BaseException, attempt: Attempt | None) -> None:
    """Say why the attempt failed. The rank that failed first writes it: the others only see a lost connection."""
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    line = next((part for part in text.splitlines() if part.strip()), type(error).__name__)
    path = folder / "failure.json"
    from launch.ledger import read_json

    if (read_json(path) or {}).get("attempt") != number:
        write_json(path, {"attempt": number, "error": line, "time": time.time(), "rank": distributed.rank()})
    if attempt:
        attempt.end("failed", error=line)
    if isinstance(error, UserError):
        print(f"error: {error}", file=sys.stderr, flush=True)
    else:
        traceback.print_exc()


def _place_ranks(folder: Path, environment: Any) -> None:
    """Tell torch which rank this is and where rank 0 listens.

    Rank 0 asks the kernel for a free port and says it in the cell's folder, so two jobs on a node never share one.
    """
    world, rank = environment.num_tasks, environment.global_rank
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(environment.local_rank))
    if world == 1:
        return
    restart = os.environ.get("SLURM_RESTART_COUNT", "0")
    path = folder / f".rendezvous-{environment.job_id}-{restart}.json"
    if rank == 0:
        host = environment.hostname if len(environment.hostnames) > 1 else "127.0.0.1"
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1]
        write_json(path, {"host": host, "port": port})
    deadline = time.monotonic() + RENDEZVOUS_SECONDS
    from launch.ledger import read_json

    while (meeting := read_json(path)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"rank 0 did not say within {RENDEZVOUS_SECONDS:.0f} s where it listens ({path})")
        time.sleep(0.2)
    os.environ.update(MASTER_ADDR=meeting["host"], MASTER_PORT=str(meeting["port"]))
