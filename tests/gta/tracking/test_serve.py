"""`make mlflow`: where the page of runs is, and nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from gta.tracking import serve
from tests.helpers.program import ROOT


@pytest.mark.slow
def test_the_link_is_all_that_is_printed(tmp_path: Path, empty_store: Path) -> None:
    (tmp_path / "runs").mkdir()
    shutil.copy(empty_store, tmp_path / "runs/mlflow.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = subprocess.Popen(
        [sys.executable, "-m", "gta.tracking.serve", str(port)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        link = running.stdout.readline().strip()
        assert link.startswith(f"http://127.0.0.1:{port}/#/experiments/")
        about = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get?experiment_id={link.rpartition('/')[2]}"
        with urllib.request.urlopen(about, timeout=900) as answer:
            assert b'"name": "gta"' in answer.read()
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate(timeout=900)
    finally:
        running.kill()
    assert (running.returncode, rest, errors) == (0, "", "")
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))  # the server has let go of it


def test_a_port_that_is_taken_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        assert serve.main([str(port)]) == 2
    assert f"port {port} is taken: `make mlflow PORT={port + 1}` takes another" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
