"""A real Slurm for the tests of this folder, on this machine alone, started once and stopped at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("cluster")
NODES = 2


class Slurm:
    """The cluster's place and ports, for every process that shall speak to it."""

    def __init__(self, folder: str):
        port = next(base for base in range(17400, 30000, 10) if all(_free(base + i) for i in range(NODES + 1)))
        own = {"GTA_SLURM_DIR": folder, "GTA_SLURM_PORT": str(port), "GTA_SLURM_NODES": str(NODES)}
        self.environment = {**own, "SLURM_CONF": f"{folder}/slurm.conf"}

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


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """Skips where Slurm is not installed; fails where it is and does not start."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [tool for tool in ("sbatch", "slurmctld", "slurmd", "munged") if not shutil.which(tool, path=path)]
    if missing:
        pytest.skip(f"no Slurm here: {', '.join(missing)} missing (Debian, Ubuntu: apt-get install slurm-wlm munge)")
    with tempfile.TemporaryDirectory(prefix="gta-slurm-") as folder:
        cluster = Slurm(folder)
        try:
            cluster.ask(str(SCRIPT), "start")
            yield cluster
        finally:
            cluster.ask(str(SCRIPT), "stop")
