"""The stacks of a rank, and of the workers that load its data, in the rank's log: asked for by a signal.

Light, as `launch.job.watching` is.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from pathlib import Path

from gta.processes import process_letter

DUMP = signal.SIGUSR1  # writes the stacks of all threads
DUMP_SECONDS = 2.0  # for that


def show(pid: int) -> None:
    """Have the process write its stacks; where it shows none, say why."""
    letter = process_letter(pid)
    if letter == "T":
        say("(it is stopped by SIGSTOP, and a process that is stopped can show none)")
        return
    if letter == "D":
        say("(it waits for a disk or a network file system, and shows none before that answers)")
    if shown_by(pid):
        with contextlib.suppress(OSError):
            os.kill(pid, DUMP)
            time.sleep(DUMP_SECONDS)


def shown_by(pid: int) -> bool:
    """Whether a process catches the signal: it would kill any other."""
    with contextlib.suppress(OSError):
        caught = re.search(
            r"^SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text(errors="replace"), re.MULTILINE
        )
        return caught is not None and bool(int(caught[1], 16) >> (DUMP - 1) & 1)
    return False


def say(text: str) -> None:
    """A line of the rank's log."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
