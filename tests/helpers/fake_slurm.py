"""Slurm's programs as stand-ins on PATH, played by a test: no Slurm is needed and nothing is run.

def test(fake_slurm):
    fake_slurm.add("57_0", state="RUNNING", node="n1")      # or let the code under test call sbatch
    fake_slurm.set("57_0", state="FAILED", exit="1:0")      # gone from squeue, still in sacct
    assert fake_slurm.calls("scancel") == [["57_1"]]
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("fake_slurm_program.py")
NAMES = ("sbatch", "squeue", "sacct", "scontrol", "scancel", "srun")
CONFIG = {"MaxArraySize": "1001", "ClusterName": "test", "AccountingStorageType": "accounting_storage/slurmdbd"}


class FakeSlurm:
    """The state that the stand-ins share: `up`, `accounting`, `refuse` (what sbatch says), `banner` (lines that it
    prints before its answer), `operator` (whether the user may set priorities); of programs, by their names, `broken`
    (what they say, for ever), `failing` (how often they do not reach the controller) and `slow` (seconds). `most_jobs`
    may be held; `limit` is that limit's name (empty: not said, as by old versions).
    """

    def __init__(self, folder: Path):
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self.path = folder / "state.json"
        empty: dict[str, Any] = {"jobs": {}, "calls": [], "scripts": {}, "next": 57, "config": CONFIG, "broken": {}}
        empty |= {"failing": {}, "slow": {}, "banner": []}
        words = {
            "operator": True,
            "up": True,
            "accounting": True,
            "refuse": "",
            "crash_after_sbatch": False,
            "requeue_finished": False,
        }
        limits = {"most_jobs": None, "limit": "QOSMaxSubmitJobPerUserLimit"}
        self.path.write_text(json.dumps({**empty, **words, **limits}))
        for name in NAMES:
            (self.bin / name).write_text(f'#!/bin/sh\nexec {sys.executable} -IS {PROGRAM} {self.path} {name} "$@"\n')
            (self.bin / name).chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """For a process of its own."""
        return {"PATH": f"{self.bin}:{os.environ['PATH']}"}

    @contextmanager
    def state(self) -> Iterator[dict[str, Any]]:
        """The state, to be changed while no program looks at it."""
        with open(f"{self.path}.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            value = json.loads(self.path.read_text())
            yield value
            new = self.path.with_suffix(".new")  # whole at each moment: who asks may kill the program
            new.write_text(json.dumps(value))
            new.replace(self.path)

    def add(self, *jobs: str, **fields: Any) -> None:
        """Jobs (57, 57_3) as if sbatch had taken them: pending, if nothing else is said."""
        plain = {"state": "PENDING", "reason": "Priority", "node": "", "restarts": 0, "exit": "0:0", "elapsed": 0}
        more = {"name": "gta", "comment": "", "submit": time.time(), "partition": "main", "options": {}, "gpus": 0}
        more |= {"forgotten": False, "accounted": None, "start": "N/A"}
        with self.state() as state:
            state["jobs"].update({job: {**plain, **more, **fields} for job in jobs})

    def set(self, job: str, **fields: Any) -> None:
        """Change what Slurm knows of one job: state, reason, node, restarts, exit ("1:0"), elapsed (s), gpus, forgotten
        (by the controller), accounted (its state in an accounting that lags behind), start ("2026-11-29T14:30:00").
        """
        with self.state() as state:
            assert not set(fields) - set(state["jobs"][job]), f"of {fields}"
            state["jobs"][job].update(fields)

    def switch(self, **words: Any) -> None:
        """up, operator, accounting, refuse, banner, broken, failing, slow, crash_after_sbatch, requeue_finished,
        config, most_jobs, limit.
        """
        with self.state() as state:
            assert not set(words) - set(state), f"of {words}"
            state.update(words)

    def jobs(self) -> dict[str, dict[str, Any]]:
        """Job -> its fields, in the order of submission."""
        return json.loads(self.path.read_text())["jobs"]

    def calls(self, name: str) -> list[list[str]]:
        """The arguments of each call of one program, in order."""
        return [call[1:] for call in json.loads(self.path.read_text())["calls"] if call[0] == name]

    def scripts(self) -> dict[str, str]:
        """Job id of each sbatch -> the script it was given."""
        return json.loads(self.path.read_text())["scripts"]


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """Stand-ins for Slurm's programs, first on PATH of this process and of its children."""
    made = FakeSlurm(tmp_path / "fake-slurm")
    monkeypatch.setenv("PATH", made.environment["PATH"])
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SQUEUE_", "SACCT_"))]:
        monkeypatch.delenv(name)
    return made
