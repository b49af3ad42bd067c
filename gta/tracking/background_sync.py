"""Sending a cell's journal to MLflow while it trains, from a side thread that no step ever waits for.

The journal stays the truth: the thread only does now and then what `gta sync` does, so that what it could
not send, because the server was down, slow or full, is sent by the next sync.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gta.config import Config
from gta.errors import UserError
from gta.ops import distributed
from gta.sweep import Sweep
from gta.tracking import store

EVERY_SECONDS = 10.0
LAST_SECONDS = 10.0  # a cell that is done waits so long for its last words to arrive


@contextmanager
def background_sync(config: Config, folder: Path) -> Iterator[None]:
    """Sync the cell in `folder` now and then while the block runs, where `site.live_tracking` asks for it."""
    if not config.site.live_tracking or distributed.rank() != 0:
        yield
        return
    uri = config.paths.tracking_uri
    if not store.takes_many_writers(uri):
        print("site.live_tracking needs a server or PostgreSQL; the launching process records this cell.", flush=True)
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_sync_until, args=(config, folder, over), daemon=True, name="background sync")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(LAST_SECONDS)


def _sync_until(config: Config, folder: Path, over: threading.Event) -> None:
    from gta.tracking import sync as tracking

    sweeps = [] if config.sweep_name == Config().sweep_name else [Sweep(config.sweep_name, config.variant)]
    said: set[str] = set()
    last = False
    while not last:
        last = over.wait(EVERY_SECONDS)
        try:
            report = tracking.sync([folder], config.paths.tracking_uri, sweeps, partial=True)
            problems = [*report.damaged, *report.problems]
        except UserError as error:
            problems, last = [str(error)], True
        for problem in problems:
            if problem not in said:  # each trouble once: a server that is down stays down for a while
                said.add(problem)
                print(f"MLflow is not up to date: {problem}", flush=True)
