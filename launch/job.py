"""The picklable callable that every rank of a cell runs, and the frame around one attempt at a cell."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.distributed import TCPStore

from gta import distributed
from gta.compose import read
from gta.config import Config
from gta.data.splits import load_split
from gta.errors import UserError
from gta.files import write_json
from gta.trainer import Control
from launch.attempts import Attempt, Superseded, claim, latest
from launch.cell import Cell
from launch.ledger import read_json

RENDEZVOUS_SECONDS = 300.0


@dataclass(frozen=True)
class Job:
    """Runs the cell in `folder`. A failure leaves the process with a non-zero exit code, for the scheduler to see."""

    folder: str

    def __call__(self) -> str:
        import submitit

        environment = submitit.JobEnvironment()
        folder = Path(self.folder)
        with _meeting(folder, environment):
            try:
                return run_cell(folder, job=environment.job_id, log=str(environment.paths.stdout))
            except Exception as error:
                if isinstance(error, UserError):
                    print(f"error: {error}", file=sys.stderr, flush=True)
                else:
                    traceback.print_exception(error)
                sys.exit(1)  # the log has the cause: let that be its end, not the way up through submitit


def run_cell(folder: Path, **fields: Any) -> str:
    """One attempt at the cell in `folder`, on every rank: `done`, `interrupted` (saved; it can go on), or `taken`.

    `fields` go into the attempt's record; `log` is this rank's. Raises what the attempt raises, after `failure.json`
    and the log were written.
    """
    number, attempt = None, None
    try:
        config = read(folder / "config.yaml")
        if int(os.environ.get("RANK", 0)) == 0 and (attempt := claim(folder, **fields)):
            number = attempt.number
            attempt.start()
        distributed.init_from_env(config.site.device)
        number = distributed.broadcast_object(number)
        if distributed.broadcast_object((folder / "result.json").exists()):  # another launcher was faster
            if attempt:
                attempt.end("done")
            return "done"
        if number is None:
            print("Another process has this cell; leaving it alone.", flush=True)
            return "taken"
        check_identity(config, folder)
        control = _Control(attempt)
        # our handlers come after submitit's, which would count a preemption as a time-out and requeue by themselves
        with control.signals():
            from gta.train import train

            finished = train(config, folder, signature=folder.name, control=control)
        how = "done" if finished else "interrupted"
        if attempt:
            attempt.end(how)
        return how
    except Superseded as error:
        print(f"Stopping: {error}.", flush=True)
        os._exit(3)  # the ranks must not wait for each other, and nothing more may be written
    except KeyboardInterrupt:
        if attempt:
            attempt.end("interrupted")
        raise
    except BaseException as error:
        _record_failure(folder, number, error, attempt, fields.get("log"))
        raise
    finally:
        distributed.shutdown()


def check_identity(config: Config, folder: Path) -> None:
    """Raises UserError where the lists or weights are no longer those that the cell in `folder` was made of."""
    if distributed.rank() == 0 and (now := Cell.of(config, load_split(config.data)).signature) != folder.name:
        raise UserError(
            f"The split lists or initial weights changed after the cell {folder.name[:8]} was frozen (they are those "
            f"of {now[:8]} now): put them back, or run multirun again, which makes a new cell of them."
        )


class _Control(Control):
    """Signals and the claim, as the trainer sees them."""

    def __init__(self, attempt: Attempt | None):
        self.attempt = attempt
        self.asked = False

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


def _record_failure(
    folder: Path, number: int | None, error: BaseException, attempt: Attempt | None, log: str | None
) -> None:
    """Say why the attempt failed, unless a later one has the cell by now.

    The rank that failed first writes it: the others only see a lost connection.
    """
    last = latest(folder)
    if number is not None and last is not None and last.number > number:
        return
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    line = next((part for part in text.splitlines() if part.strip()), type(error).__name__)
    if number is None:  # failed before rank 0 could say which attempt this is
        number = last.number if last else 0
    path = folder / "failure.json"
    first = read_json(path)
    if first is None or first["attempt"] != number:
        first = {"attempt": number, "error": line, "time": time.time(), "rank": distributed.rank(), "log": log}
        write_json(path, first)
    if attempt:
        attempt.end("failed", error=first["error"], log=first["log"])  # the log that tells the cause


@contextlib.contextmanager
def _meeting(folder: Path, environment: Any) -> Iterator[None]:
    """Tell torch which rank this is, and where rank 0 listens, until the job is over.

    Rank 0 opens the rendezvous store on a port of the kernel's choice and says which in the cell's folder, so two jobs
    on a node never share one.
    """
    world, rank = environment.num_tasks, environment.global_rank
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(environment.local_rank))
    if world == 1:
        yield
        return
    restart = os.environ.get("SLURM_RESTART_COUNT", "0")
    path = folder / f".rendezvous-{environment.job_id}-{restart}.json"
    host = environment.hostname if len(environment.hostnames) > 1 else "127.0.0.1"
    store = TCPStore(host, 0, world, is_master=True, wait_for_workers=False) if rank == 0 else None
    if store:
        write_json(path, {"host": host, "port": store.port, "time": time.time()})
    try:
        place = _wait_for(path)
        os.environ.update(MASTER_ADDR=place["host"], MASTER_PORT=str(place["port"]))
        os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # torch's word for: the store is there already
        yield
    finally:
        if store:
            path.unlink(missing_ok=True)


def _wait_for(path: Path) -> dict[str, Any]:
    """What rank 0 wrote. A file from long ago is that of another job, whose id came round again."""
    deadline = time.monotonic() + RENDEZVOUS_SECONDS
    while True:
        place = read_json(path)
        if place and abs(time.time() - place["time"]) < 2 * RENDEZVOUS_SECONDS:
            return place
        if time.monotonic() > deadline:
            raise TimeoutError(f"rank 0 did not say within {RENDEZVOUS_SECONDS:.0f} s where it listens ({path})")
        time.sleep(0.2)
