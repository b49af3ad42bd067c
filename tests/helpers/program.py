"""The command line as a user runs it, and the small grid that tests run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


Run = Callable[..., "subprocess.CompletedProcess[str]"]


SMALL_SHAPES = ("data.generator.train=40", "data.generator.val=6")


SMALL_SCHEDULE = (
    "schedule.iterations=8",
    "schedule.warm_up=3",
    "schedule.eval_every=4",
    "schedule.checkpoint_every=2",
    "schedule.log_every=2",
)


def run_gta(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m gta ...` in a process of its own, in `cwd`."""
    command = [sys.executable, "-m", "gta", *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=900,  # of a hang, not of a slow machine
    )
