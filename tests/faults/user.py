"""What a user types after a fault until the table is whole: multirun again, and what the program says is to be done."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

from gta.cellfolder import CellFolder
from gta.jsonrecord import VERSION
from tests.faults import process
from tests.faults.expected import ATTEMPTS
from tests.faults.world import World

TURNS = 7
_TRACE = re.compile(r"^Traceback \(most recent call last\)", re.MULTILINE)


class Unfinished(Exception):
    """The sweep does not come to its end by what the program says."""


def settle(world: World) -> list[str]:
    """Type commands until `multirun` says that all is done; those that were typed. Raises Unfinished, and Hang."""
    typed: list[str] = []

    def gta(command: str, *options: str) -> process.Running:
        run = world.gta(command, *options)
        typed.append(str(run).replace(" ".join(world.words), "...").removeprefix("gta "))
        refuse_trace(run)
        return run

    before = ""
    for _ in range(TURNS):
        left = process.await_others(process.HANG_SECONDS)  # a cell whose launcher died goes on
        if left:
            raise Unfinished(f"a process goes on for ever: {left[0].cmdline()}")
        run = gta("multirun")
        if run.code == 0 and "gta repair" not in run.output:  # a damaged cell is no failure of the others
            return typed
        did = _follow(world, run.output, typed)
        for words in _advised(run.output):
            did = True
            gta(*words)
        if not did and run.output == before:
            break
        before = run.output
    raise Unfinished(f"after {', '.join(typed)}: {run.output[-1500:]}")


def refuse_trace(run: process.Running) -> None:
    """A stack trace is no answer, whatever happened. (Lines of a cell's log, shown behind a bar, may be one; and beside
    a launcher that is killed submitit's controller may print one, which does not find the job's folder.)
    """
    if run.code != -signal.SIGKILL and _TRACE.search(run.output):
        raise Unfinished(f"`{run}` ended in a stack trace: {run.output[-1500:]}")


def _advised(said: str) -> list[tuple[str, ...]]:
    """The commands that bring failed and cancelled cells further, as they stand in what was said."""
    found: list[tuple[str, ...]] = []
    if re.search(r"gta retry .*--state cancelled", said):
        found.append(("retry", "--state", "cancelled"))
    if re.search(r"failed; once the cause is mended: .*retry", said):
        found.append(("retry",))
    return found


def _follow(world: World, said: str, typed: list[str]) -> bool:
    """Do to files what the sentences say; whether there was anything to do."""
    did = False
    if re.search(r"gta repair", said):
        _wait_two_minutes(world)  # a damaged attempt may live until then, and is left alone
        run = world.gta("repair", "--yes")
        typed.append("repair --yes")
        refuse_trace(run)
        if "use the version of gta that wrote it" in run.output:
            typed.append("(that version)")
            _of_this_version(world)
        did = True
    for line in said.splitlines():
        for path in _paths(world, line):
            if re.search(r"move it away|is in its place", line) and path.exists():
                typed.append(f"mv {path.name} away")
                os.replace(path, f"{path}.away-{time.monotonic_ns()}")
                did = True
            elif re.search(r"remove (it|the cell's checkpoints)", line) and path.exists():
                typed.append(f"rm {path.name}")
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                if "checkpoints" in line:
                    CellFolder(path.parent).previous_checkpoint_file.unlink(missing_ok=True)
                did = True
            elif "unknown host" in line and path.exists():
                did = True
    if re.search(r"unknown host|another host", said) or _broken_attempts(world):
        did = _wait_two_minutes(world) or did
        typed.append("(two minutes)")
    return did


def _broken_attempts(world: World) -> bool:
    """Whether an attempt's record cannot be read: it counts as living until its file is old."""
    return any(not _is_json(path) for path in world.runs.glob(f"cells/*/{ATTEMPTS}"))


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text()), dict)
    except (OSError, ValueError):
        return False


def _of_this_version(world: World) -> None:
    """Make records of a newer version this one's: to that version they are what these are to this one."""
    for path in world.runs.glob("cells/*/**/*.json"):
        with contextlib.suppress(OSError, ValueError):
            record = json.loads(path.read_text())
            version = record.get("version") if isinstance(record, dict) else None
            if isinstance(version, int) and version > VERSION:
                path.write_text(json.dumps({**record, "version": VERSION}))


def _wait_two_minutes(world: World) -> bool:
    """Make the heartbeats older, which is what two minutes do to those that nobody keeps."""
    for path in world.runs.glob(f"cells/*/{ATTEMPTS}"):
        seen = path.stat()
        os.utime(path, (seen.st_atime - 130, seen.st_mtime - 130))
    return True


def _paths(world: World, line: str) -> list[Path]:
    """The files of the world that a line names."""
    return [Path(text.rstrip(":;,.`'\"")) for text in re.findall(rf"{re.escape(str(world.path))}/[^\s:;,`'\"]+", line)]
