"""MLflow's page and a tracking server on this machine: `python -m gta.tracking.serve [PORT]`, for `make mlflow`.

Says where the page of runs is, and nothing else: what the server has to say goes to runs/mlflow-server.log.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, suppress
from pathlib import Path

from gta.tracking import keys, moved, store

RUNS = Path("runs")
START_SECONDS = 120.0
_SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def main(arguments: list[str]) -> int:
    """Serve until Ctrl-C; 1 where the server does not start, 2 for a port that is taken or is none."""
    port = int(arguments[0]) if arguments and arguments[0].isdecimal() else 5000
    if _taken(port):
        print(f"error: port {port} is taken: `make mlflow PORT={port + 1}` takes another.", file=sys.stderr)
        return 2
    database = (RUNS / "mlflow.db").absolute()
    experiment = _experiment(database)
    log = database.with_name("mlflow-server.log")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{database}"]
    command += ["--artifacts-destination", str(database.with_name(moved.ARTIFACTS))]
    with log.open("w") as said:
        server = subprocess.Popen(
            command, stdout=said, stderr=said, env={**os.environ, **_SETTINGS}, start_new_session=True
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if not _answers(server, port):
            print(f"error: MLflow's server did not start; {log} says why.", file=sys.stderr)
            return 1
        print(f"http://127.0.0.1:{port}/#/experiments/{experiment}", flush=True)
        return 1 if server.wait() else 0
    except KeyboardInterrupt:
        return 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)  # with its workers
        server.wait()


def _taken(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return True
    return False


def _experiment(database: Path) -> str:
    """The id of the project's experiment, made with its store where missing; the store may have been moved."""
    ask = "select experiment_id, artifact_location from experiments where name = ?"
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as opened:
        for found, artifacts in opened.execute(ask, [keys.EXPERIMENT]):
            if moved.left_behind(database, str(artifacts or "")) is None:
                return str(found)
    uri = f"sqlite:///{database}"
    with store.lock(uri):
        return store.experiment_id(store.connect(uri), uri)


def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
        time.sleep(0.2)
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
