"""Where a user's name, password or token belongs instead of the tracking URI: MLflow reads it there, and a server that
repeats it in its own words does not bring it into ours.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from analysis import runs
from gta.errors import UserError
from gta.tracking import sync as tracking
from tests.helpers.tracked import make_cell

pytestmark = pytest.mark.slow


class Repeating(BaseHTTPRequestHandler):
    """Refuses everything, in words that repeat what it was told."""

    heard: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        said = self.headers.get("Authorization", "nothing")
        self.heard.append(said)
        body = f'{{"error_code": "BAD_REQUEST", "message": "refused, with Authorization: {said}"}}'.encode()
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing: the test says what it heard."""


@pytest.fixture
def uri(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Repeating.heard.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Repeating)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def said(uri: str, folder: Path) -> str:
    """What sync and the table say of the store."""
    (problem,) = tracking.sync([make_cell(folder)], uri).problems
    with pytest.raises(UserError) as caught:
        runs.load(uri)
    assert caught.value.__cause__ is None, "a notebook would show MLflow's own words"
    return f"{problem}\n{caught.value}"


BASIC = base64.b64encode(b"me:hunter-two").decode()


@pytest.mark.parametrize("where", ["variables", "file"])
def test_a_user_and_a_password(uri: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "file":
        kept = tmp_path / "home/.mlflow/credentials"
        kept.parent.mkdir(parents=True)
        kept.write_text("[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = hunter-two\n")
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter-two")
    told = said(uri, tmp_path)
    assert f"Basic {BASIC}" in Repeating.heard
    assert "refused, with Authorization" in told
    assert BASIC not in told


def test_a_token(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "dapi-0123456789")
    told = said(uri, tmp_path)
    assert "Bearer dapi-0123456789" in Repeating.heard
    assert "dapi-0123456789" not in told
