"""What can be made again of the damaged records of a cell, and from what; the originals are kept in `damaged/`.

Nothing is guessed: what no other record says is moved away, and the cell goes on as if it had never been written.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cellfolder import DEAD_SECONDS, CellFolder
from gta.files import replacing
from gta.jsonrecord import OTHER_VERSION, UNREAD
from launch.state import rebuild
from launch.state.attempts import who
from launch.state.damage import damaged_files
from launch.state.rebuild import CannotTell, Made

if TYPE_CHECKING:
    from gta.cell import Cell

MOST = 1000  # records of one cell


@dataclass(frozen=True)
class Step:
    """One damaged record: what is wrong with it, as its line says, and what is to be done. `made`: what takes its
    place, None where nothing does; `possible`: whether anything is done at all.
    """

    path: Path
    brief: str
    what: str
    made: Made | None = None
    possible: bool = True


def living(folder: CellFolder) -> str | None:
    """Why the cell must be left alone for now, in a clause: somebody may be at it; None where nobody is."""
    place = folder.attempts_folder
    if os.path.lexists(place) and not place.is_dir():
        young = time.time() - os.lstat(place).st_mtime < DEAD_SECONDS
        return f"{place} is no folder, and a process may be at the cell: try again in two minutes" if young else None
    last = folder.latest_attempt()
    if last is None or not last.alive():
        return None
    if last.broken:
        return f"attempt {last.number} may live, which its damaged record does not tell: try again in two minutes"
    return f"attempt {last.number} is at it, {who(last)}: repair it when that is over, or end it with `gta cancel`"


def steps(folder: CellFolder, cell: Cell | None = None) -> Iterator[Step]:
    """What is to be done about each damaged record, one after the other: a checkpoint that tells takes seconds to read.
    `cell`: as its grid says it is, where a grid was named.
    """
    found = damaged_files(folder)

    # what others are made from is first
    frozen = [folder.method_file, folder.config_file, folder.identity_file]
    order = [*frozen, folder.path, folder.journal_file, folder.result_file]

    def rank(path: Path) -> tuple[int, Path]:
        return order.index(path if path in order else folder.path), path

    for path in sorted(found, key=rank):
        yield _step(folder, path, found[path], cell, set(found))


def repair(folder: CellFolder, cell: Cell | None = None) -> list[Step]:
    """Do it; what was done, and what could not be. To be called where `living` is None."""
    done: list[Step] = []
    while living(folder) is None and len(done) < MOST:
        todo = next((step for step in steps(folder, cell) if step.possible), None)  # one may be made from another
        if todo is None or living(folder) is not None:  # a job may have begun meanwhile
            break
        _do(folder, todo)
        done.append(todo)
    if living(folder) is not None:
        return done
    return done + [step for step in steps(folder, cell) if not step.possible]


def _step(folder: CellFolder, path: Path, brief: str, cell: Cell | None, damaged: set[Path]) -> Step:
    frozen = (folder.config_file, folder.identity_file, folder.method_file)
    if brief.partition(": ")[2].startswith("of version "):  # it is whole
        return Step(path, brief, f"left as it is: {OTHER_VERSION}", possible=False)
    if brief.partition(": ")[2].startswith(UNREAD) and not path.is_symlink():  # nobody knows what it holds
        return Step(path, brief, "left as it is: see to the file system, or to who may read it", possible=False)
    if path == folder.path:
        return Step(path, brief, "left as it is: move it away; the next multirun makes a folder", possible=False)
    if path == folder.result_file and (first := [item.name for item in frozen if item in damaged]):
        return Step(path, brief, f"left as it is until {' and '.join(first)} can be read", possible=False)
    try:
        made = _made(folder, path, cell)
    except CannotTell as why:
        if path in frozen or isinstance(why, rebuild.Held):
            return Step(path, brief, f"left as it is: {why}", possible=False)
        return Step(path, brief, f"moved away, {why}; {_then(folder, path)}")
    return Step(path, brief, made.how if made else f"moved away; {_then(folder, path)}", made)


def _made(folder: CellFolder, path: Path, cell: Cell | None) -> Made | None:
    """What the record at `path` held; None for one that nothing else tells. Raises CannotTell."""
    if path in (folder.config_file, folder.identity_file):
        return rebuild.frozen(folder, cell, path)
    if path.parent == folder.attempts_folder:
        return rebuild.attempt(folder, int(path.stem))
    makers: dict[Path, Callable[[CellFolder], Made]] = {
        folder.method_file: rebuild.source,
        folder.result_file: rebuild.result,
        folder.journal_file: rebuild.lines,
        folder.submitted_file: rebuild.submitted,
        folder.failure_file: rebuild.failure,
        folder.order_file: rebuild.orders,
    }
    return makers[path](folder) if path in makers else None


def _then(folder: CellFolder, path: Path) -> str:
    """What comes of a record that is not there any more."""
    if path == folder.sync_cache_file:
        return "the next sync writes it anew"
    if path == folder.journal_file:
        return "its numbers are lost, but for those that MLflow has"
    if path == folder.artifacts_folder:
        return "the pictures are lost"
    if path == folder.checkpoint_file and not folder.previous_checkpoint_file.exists():
        return "the cell runs again from the beginning, where it has no result"
    if path == folder.order_file:
        return "ask again for a new order with `gta retry --new-order`"
    if folder.done and path != folder.result_file:
        return "the cell stays done"
    start = "its checkpoint" if folder.has_checkpoint else "the beginning"
    again = "; `gta cancel` cancels it again" if path == folder.cancelled_file else ""
    return f"the cell runs again from {start}{again}"


def _do(folder: CellFolder, step: Step) -> None:
    """Keep the damaged original, and put what was made in its place; a plain file is there at every moment."""
    if not step.made:
        _keep(folder, step.path, move=True)
        return
    _keep(folder, step.path, move=False)
    with replacing(step.path) as temporary:
        temporary.write_bytes(step.made.data)


def _keep(folder: CellFolder, path: Path, move: bool) -> None:
    """Move what is at `path` into `damaged/`; without `move`, a plain file stays until another takes its place."""
    if not os.path.lexists(path):
        return
    place = folder.damaged_folder
    place.mkdir(exist_ok=True)
    name, count = f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}", 1
    kept = place / name
    while os.path.lexists(kept):
        count += 1
        kept = place / f"{name}-{count}"
    if not move and stat.S_ISREG(os.lstat(path).st_mode):
        os.link(path, kept)
    else:
        os.rename(path, kept)
