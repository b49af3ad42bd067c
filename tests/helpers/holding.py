"""A process that holds a lock file or an SQLite store, and was stopped: KIND PATH; KIND is lock or store.

Says "held" on its standard output, and then stops itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gta import locks
from tests.helpers.program import ROOT


@contextmanager
def held(kind: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """While entered, a process that is stopped holds the lock file (kind: lock), or the store (kind: store)."""
    command = [sys.executable, "-m", "tests.helpers.holding", kind, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        yield process
    finally:
        process.kill()
        process.communicate()


def main(kind: str, path: str) -> None:
    with contextlib.ExitStack() as stack:
        if kind == "lock":
            stack.enter_context(locks.lock(path))
        else:
            database = stack.enter_context(contextlib.closing(sqlite3.connect(path, isolation_level=None)))
            database.execute("begin exclusive")
        print("held", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    main(*sys.argv[1:])
