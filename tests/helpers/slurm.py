"""A real Slurm on this machine, and launchers and grids on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gta.cellfolder import Attempt, NetworkScores, cell_folders

SCRIPT = Path(__file__).parents[1] / "slurm" / "cluster"


NODES = 3


ARRAY = 8  # MaxArraySize: a grid of 12 cells is more than an array


ACCOUNTING = ("slurmdbd", "sacct", "mariadbd", "mariadb-install-db")


_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


class Slurm:
    """The cluster's place and ports, for every process that shall speak to it."""

    def __init__(self, folder: str, accounting: bool):
        port = next(base for base in range(17400, 30000, 10) if all(_free(base + i) for i in range(NODES + 3)))
        self.accounting = accounting
        own = {"DIR": folder, "PORT": port, "NODES": NODES, "ARRAY": ARRAY, "ACCOUNTING": "on" if accounting else "off"}
        self.environment = {
            "SLURM_CONF": f"{folder}/slurm.conf",
            **{f"GTA_SLURM_{name}": str(value) for name, value in own.items()},
        }

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands, or the cluster's script, says; an AssertionError where it fails."""
        answer = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=100
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    @contextmanager
    def limit(self, **limits: int) -> Iterator[None]:
        """Limits of the QOS of all jobs, as sacctmgr names them, meanwhile; there must be accounting."""
        change = ("sacctmgr", "--immediate", "modify", "qos", "normal", "set")
        self.ask(*change, *(f"{name}={most}" for name, most in limits.items()))
        try:
            yield
        finally:
            self.ask(*change, *(f"{name}=-1" for name in limits))

    @contextmanager
    def silent(self) -> Iterator[None]:
        """The controller is away meanwhile; jobs run on."""
        self.ask(str(SCRIPT), "silence")
        try:
            yield
        finally:
            self.ask(str(SCRIPT), "answer")

    def jobs(self) -> dict[str, str]:
        """State of every job and array task, those that are over as well (for MinJobAge, five minutes)."""
        lines = self.ask("squeue", "--noheader", "--states=all", "--array", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def clear(self) -> None:
        """Ends all jobs, and gives back the nodes that Slurm has taken out; an AssertionError where some stay."""
        deadline = time.monotonic() + PATIENCE
        while self.ask("squeue", "--noheader") or set(self._nodes()) != {"idle"}:
            assert time.monotonic() < deadline, self.told()
            self.ask("scancel", "--me")
            for number, state in enumerate(self._nodes(), 1):
                if state.rstrip("*") in ("down", "drained", "draining"):
                    self.ask("scontrol", "update", f"NodeName=n{number}", "State=resume")
            time.sleep(0.5)

    def _nodes(self) -> list[str]:
        return self.ask("sinfo", "--noheader", "--Node", "--partition=main", "--format=%T").split()

    def told(self) -> str:
        """The nodes, with the reason where one is out, and the jobs, for whoever reads why a test failed."""
        return self.ask("sinfo", "--Node", "--long") + self.ask("squeue", "--array", "--format=%i %T %M %R %j")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def missing(tools: tuple[str, ...]) -> list[str]:
    """Those programs that are not installed."""
    return [tool for tool in tools if not shutil.which(tool, path=_PATH)]


@contextmanager
def started(accounting: bool) -> Iterator[Slurm]:
    """A cluster of its own; skips where Slurm is not installed, fails where it is and does not start."""
    if absent := missing(("sbatch", "slurmctld", "slurmd", "munged")):
        pytest.skip(f"no Slurm here: {', '.join(absent)} missing (Debian, Ubuntu: apt-get install slurm-wlm munge)")
    with tempfile.TemporaryDirectory(prefix="gta-slurm-") as folder:
        cluster = Slurm(folder, accounting)
        try:
            cluster.ask(str(SCRIPT), "start")
            yield cluster
        finally:
            cluster.ask(str(SCRIPT), "stop")


GRID = ("multirun", "sweep=shapes", "seed=0")


RANKS = ("site.ranks=2", "schedule.group_size=4")  # of a batch of 8


# the shipped profile of a cluster, on nodes without a GPU
SITE = ("hydra/launcher=slurm", "site=slurm", "site.gpus_per_node=null", "site.cpus_per_rank=1", "site.workers=0")


def numbers(runs: Path) -> dict[str, dict[str, NetworkScores]]:
    """Signature -> the scores in its result, all digits."""
    found = ((folder.signature, folder.result()) for folder in cell_folders(runs))
    return {signature: result.networks for signature, result in found if result}


def attempts(runs: Path) -> list[Attempt]:
    """All attempts at all cells."""
    return [attempt for folder in cell_folders(runs) for attempt in folder.attempts()]


def submitted(runs: Path) -> set[str]:
    """The jobs that the cells were last submitted as."""
    return {record.job for folder in cell_folders(runs) if (record := folder.submitted())}


PATIENCE = 240.0


def paths(folder: Path, generated: Path) -> list[str]:
    return [f"paths.data={generated}", *(f"paths.{name}={folder / name}" for name in ("splits", "runs", "results"))]


@contextlib.contextmanager
def launcher(words: list[str], folder: Path, slurm: Slurm, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A launcher that watches in the background."""
    log = open(folder / f"launcher-{time.monotonic_ns()}.log", "w")  # noqa: SIM115
    environment = {**os.environ, **slurm.environment, "COLUMNS": "200", **more}
    process = subprocess.Popen(
        [sys.executable, "-m", "gta", *words], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def until(what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `what` says as soon as it says anything; an AssertionError when it does not in time."""
    deadline = time.monotonic() + seconds
    while not (said := what()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.2)
    return said
