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


# Everything that the project installs beside torch and numpy.
BLOCKED = (
    "hydra", "omegaconf", "mlflow", "submitit", "cv2", "PIL", "pandas", "tabulate", "rich", "torchmetrics", "yaml",
)  # fmt: skip


def run_alone(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script of the project (its path from the root) where imports fail of all but torch and numpy."""
    program = f"""
import runpy, sys

sys.modules.update(dict.fromkeys({BLOCKED!r}))  # as if they were not installed
sys.argv = [{script!r}, *sys.argv[1:]]
runpy.run_path({script!r}, run_name="__main__")
"""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
