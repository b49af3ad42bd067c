"""A real Slurm for the tests of this folder, on this machine alone, started once and stopped at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("cluster")
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

    def jobs(self) -> dict[str, str]:
        """State of every job and array task, those that are over as well (for MinJobAge, five minutes)."""
        lines = self.ask("squeue", "--noheader", "--states=all", "--array", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)


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


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """One cluster for all tests, with accounting where slurmdbd and MariaDB are installed."""
    with started(accounting=not missing(ACCOUNTING)) as cluster:
        yield cluster
