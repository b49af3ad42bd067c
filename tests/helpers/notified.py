"""Cells whose site tells somebody: a script that writes down what it was told, and a server in a chat's place."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from gta.cell import Cell
from gta.sweep import Sweep
from launch.notify.news import News, of_launcher
from launch.state.ledger import Entry, ledger
from tests.helpers.cells import claim, config, failed, split, submitted
from tests.helpers.configs import changed
from tests.helpers.slurm import until

SWEEP = Sweep("toy")


def script(folder: Path, code: int = 0) -> str:
    """A command that adds the facts to `folder`/told.jsonl, and ends with that exit code."""
    return f'printf "%s\\n" "$GTA_JSON" >>{folder}/told.jsonl; echo a word >&2; exit {code}'


def told(folder: Path) -> list[dict[str, str]]:
    """What the script was told, in order."""
    path = folder / "told.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def of_site(folder: Path, count: int = 2, **site: Any) -> list[Cell]:
    """Frozen cells of the sweep `toy` whose site tells `script`, if nothing else is said."""
    settings = {"site.notify": script(folder), **{f"site.{name}": value for name, value in site.items()}}
    made = []
    for seed in range(count):
        own = {"seed": seed, "paths.runs": str(folder / "runs"), "sweep_name": SWEEP.name, **settings}
        made.append(Cell.of(changed(config(), own), split()))
        made[-1].write()
    return made


def fail(cell: Cell, error: str = "ValueError: boom", job: str = "57") -> None:
    """An attempt in a job, that failed."""
    submitted(cell, job, cluster="local")
    mine = claim(cell, job=job)
    failed(cell, error, when=time.time(), attempt=mine.number, log="/log/57_0.out")
    mine.end("failed", why="exception", error=error)


def look_once(cells: Sequence[Cell], sweep: Sweep = SWEEP) -> list[Entry]:
    """A launcher that looks once, as of now, and is over."""
    entries = ledger(cells)
    with of_launcher(cells, sweep) as made:
        made.look(entries)
    over(made)
    return entries


def listen(made: News, cells: Sequence[Cell]) -> None:
    """A look of a launcher that goes on, and the next ones, until its command is over."""
    entries = ledger(cells)
    made.look(entries)
    until(lambda: made.look(entries) or not made.busy)


def over(made: News) -> None:
    """Wait for the commands of a launcher that is over."""
    until(lambda: not made.busy)


class Hook:
    """A web hook: what was posted to it, and its address, whose last part is the password."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.kinds: list[str | None] = []
        self.answer = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.kinds.append(self.headers["Content-Type"])
                hook.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.answer if self.path == "/hooks/pa55word" else 404)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/pa55word"


@contextmanager
def hook() -> Iterator[Hook]:
    made = Hook()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()
