"""Real MLflow stores for tests: a tracking server, and a throw-away PostgreSQL where one is installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest


class Server:
    """`mlflow server` on the loopback, over a copy of the SQLite file `store`; to be killed and started again."""

    def __init__(self, folder: Path, store: Path):
        self.folder = folder
        shutil.copy(store, folder / "server.db")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, without waiting."""
        settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, **settings}, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        """Until it answers."""
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                return
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            time.sleep(0.2)
        raise TimeoutError((self.folder / "server.log").read_text())

    def kill(self) -> None:
        """kill -9, with its worker."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Postgres:
    """A PostgreSQL cluster of its own in a temporary folder, on a unix socket. Skips the test where there is none."""

    def __init__(self) -> None:
        found = [Path(path).resolve().parent for path in [shutil.which("initdb")] if path]
        found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        if not found:
            pytest.skip("PostgreSQL is not installed (no initdb)")
        pytest.importorskip("psycopg2", reason="PostgreSQL's driver psycopg2 is not installed")
        self.bin = found[0]
        self.folder = Path(tempfile.mkdtemp(prefix="gta-pg-"))
        # PostgreSQL refuses to run as root
        self.user = "nobody" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        self._run("initdb", "-D", "data", "-U", "gta", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-o", options, "-w", "start")
        self.uri = f"postgresql://gta@/postgres?host={self.folder}"

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "stop")
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        environment = {**os.environ, "LC_ALL": "C"}
        with open(self.folder.with_suffix(".log"), "w+b") as log:
            done = subprocess.run(
                [str(self.bin / program), *arguments],
                cwd=self.folder, user=self.user, env=environment, stdout=log, stderr=log, timeout=900,
            )  # fmt: skip
            log.seek(0)
            text = log.read().decode(errors="replace")
        self.folder.with_suffix(".log").unlink()
        assert done.returncode == 0, f"{program}: {text}"
