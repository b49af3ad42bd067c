"""Processes of the program, each its own and to be killed, forked from one that has imported everything.

A thousand faults need some ten thousand processes, and importing PyTorch and MLflow takes each four seconds. Here a
command is a fork of the drill's process; what it starts in turn (submitit's controller, and by it the ranks) are forks,
too. Nothing else differs: process ids, signals, sessions, open files and exit codes are the kernel's.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psutil

from tests.faults import inject

OURS = ("submitit.local._local", "submitit.core._submit")  # modules that are forked instead of started
STACKS = signal.SIGRTMIN
stacks_file: Path | None = None  # where processes write them down
HANG_SECONDS = 240.0  # a command that says nothing of an end by then hangs


@dataclass
class Running:
    """A command that was started: wait for it."""

    words: tuple[str, ...]
    pid: int
    folder: Path  # of what it prints
    code: int | None = None
    began: float = field(default_factory=time.monotonic)

    def poll(self) -> int | None:
        """The exit code (minus the signal that ended it), or None while it runs."""
        if self.code is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, seconds: float = HANG_SECONDS) -> int:
        """The exit code. Raises Hang."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise Hang(f"`{self}` did not end within {seconds:.0f} s; it printed: {self.output[-600:]}{_stacks()}")
            time.sleep(0.01)
        return code

    @property
    def output(self) -> str:
        """What it printed so far, stdout and stderr together."""
        return (self.folder / "out").read_text(errors="replace")

    def __str__(self) -> str:
        return " ".join(["gta", *self.words])


class Hang(Exception):
    """A command that does not come to an end."""


def _stacks() -> str:
    """Where each process below this one is, by its own word."""
    asked = [process.pid for process in others()]
    for pid in asked:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, STACKS)
            time.sleep(0.5)  # one after the other: they write to one file
    return f"\n{stacks_file.read_text()[-6000:]}" if stacks_file else ""


def _tell_stacks() -> None:
    """Write this process's stacks down at the signal STACKS, of which nobody else knows."""
    if stacks_file:
        faulthandler.register(STACKS, file=open(stacks_file, "a"))  # noqa: SIM115


def start(words: Sequence[str], cwd: Path, printed: Path, plan: inject.Plan | None = None) -> Running:
    """`gta WORDS...` in `cwd`, as a process and session of its own."""
    printed.mkdir(parents=True)

    def child() -> None:
        os.setsid()
        os.chdir(cwd)
        with open(printed / "out", "ab", buffering=0) as out, open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.environ["COLUMNS"] = "200"
        inject.install(plan, words[0] if words else "gta")
        subprocess.Popen = ForkedPopen  # type: ignore[misc]
        sys.argv = ["gta", *words]
        from gta.cli.main import main
        from launch.submit import launcher

        launcher.POLL_SECONDS["local"] = 0.05
        sys.exit(main(list(words)))

    return Running(tuple(words), fork(child), printed)


def fork(child: Callable[[], None]) -> int:
    """The pid of a fork that runs `child` and ends with its exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _run(child)
    return pid


def _run(child: Callable[[], None]) -> NoReturn:
    """In the fork: as a new interpreter would, to the end of the process."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        _tell_stacks()
        child()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            inject.over()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


class ForkedPopen(subprocess.Popen):  # type: ignore[type-arg]
    """Forks where submitit would start this Python anew; starts everything else."""

    def __init__(self, args: Any, *rest: Any, **given: Any):
        words = list(args) if isinstance(args, (list, tuple)) else []
        module = words[words.index("-m") + 1] if "-m" in words else ""
        if module not in OURS:
            super().__init__(args, *rest, **given)
            return
        arguments = words[words.index("-m") + 2 :]
        self.args, self.returncode, self.pid = args, None, 0
        self.stdin = self.stdout = self.stderr = None
        self._input, self._communication_started, self._child_created = None, False, True
        self._waitpid_lock = threading.Lock()
        self.pid = fork(lambda: self._become(module, arguments, given))

    def _become(self, module: str, arguments: list[str], given: dict[str, Any]) -> None:
        out, err = (given.get(name).fileno() if given.get(name) else None for name in ("stdout", "stderr"))
        for descriptor, number in ((out, 1), (err, 2)):
            if descriptor is not None:
                os.dup2(descriptor, number)
        os.closerange(3, 4096)
        _tell_stacks()
        if "env" in given:
            os.environ.clear()
            os.environ.update(given["env"])
        role = "controller" if module.endswith("_local") else f"rank{os.environ.get('SUBMITIT_LOCAL_GLOBALID', 0)}"
        inject.become(role)
        if role == "controller":
            _wait_for_folder(Path(arguments[0].replace("%j", str(os.getpid()))))
        sys.argv = [module, *arguments]
        sys.modules.pop(module, None)
        runpy.run_module(module, run_name="__main__")


def _wait_for_folder(folder: Path) -> None:
    """A controller that is started anew needs longer to import than its launcher to make the job's folder."""
    launcher, deadline = os.getppid(), time.monotonic() + 20
    while not folder.exists() and os.getppid() == launcher and time.monotonic() < deadline:
        time.sleep(0.01)


def warm_up(names: Sequence[str]) -> None:
    """Import what commands import, once; a module that wants no import is left out."""
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    for name in dict.fromkeys(names):
        if name not in sys.modules and not name.startswith("__"):
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    from gta.provenance import code

    code.running()  # a commit that comes meanwhile is no other code of these forks
    gc.collect()
    gc.freeze()  # what all forks share need not be looked through by each
    names = [Path(f"/proc/self/task/{thread}/comm").read_text().strip() for thread in os.listdir("/proc/self/task")]
    names = [name for name in names if name != "jemalloc_bg_thd"]  # which heeds forks itself
    assert len(names) == 1, f"a process with threads cannot be forked safely: {names}"


def adopt_orphans() -> None:
    """Who loses its parent becomes our child, so that none is overlooked."""
    import ctypes

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def others() -> list[psutil.Process]:
    """The processes below this one that still do something."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def await_others(seconds: float) -> list[psutil.Process]:
    """Wait for what a killed command left running; what is left of it then."""
    deadline = time.monotonic() + seconds
    while (left := others()) and time.monotonic() < deadline:
        time.sleep(0.05)
    reap()
    return left


def end_others() -> None:
    """Kill whatever is left below this process."""
    for process in others():
        with contextlib.suppress(psutil.Error):
            process.kill()
    await_others(10)


def reap() -> None:
    """Take note of orphans that ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
