"""Which process is meant: on which host, as which number, begun when; and what the kernel says that it does."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_place() -> str:
    """This host and process namespace: where a pid means the same process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        boot, namespace = "", ""
    return f"{socket.gethostname()}:{boot}:{namespace}"


def first_rank() -> bool:
    """Whether this process is the first rank of its cell, or no rank: of several, one speaks for all."""
    return os.environ.get("RANK", "0") == "0"


def process_letter(pid: int) -> str:
    """The kernel's letter for what a process does (R, S, D, T, t ...); empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def process_start(pid: int) -> str | None:
    """When a process started (clock ticks since boot), or None where there is none: tells a reused pid apart.

    Ticks and not a time of day (as psutil gives it): that moves when the clock is set, and a living attempt would be
    taken for dead.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]  # a zombie does nothing any more
