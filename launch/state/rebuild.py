"""The contents of single records of a cell, made again from what the others say."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gta import journal
from gta.cellfolder import Attempt, BrokenRecord, CellFolder, Death, Failure, Orders, Submitted, readable
from gta.errors import UserError
from gta.jsonrecord import JsonRecord, contents
from launch.state.damage import history, latest
from launch.state.submission import JobNumber, Recorded, job_file, read_submission, recorded_file

if TYPE_CHECKING:
    from gta.cell import Cell
    from gta.cellfolder import NewOrder

NOTE = "its record was damaged, and made again by `gta repair`"


@dataclass(frozen=True)
class Made:
    """What a record held, as far as that is known: the file's bytes, and from what they were made."""

    data: bytes
    how: str

    @classmethod
    def of(cls, record: JsonRecord, how: str) -> Made:
        return cls(record.text().encode(), how)


class CannotTell(Exception):
    """No other record says what this one held; the message is a clause that says why."""


class Held(CannotTell):
    """As it, and the record must not be moved away either."""


def frozen(folder: CellFolder, cell: Cell | None, path: Path) -> Made:
    """config.yaml or cell.json: as the grid says, or the latter from the former. The signature has to be the same."""
    from gta.cell import Cell
    from gta.compose.compose import dump, read_config

    how = "made again from the grid's config"
    if cell is None and path == folder.identity_file:
        how = "made again from config.yaml"
        try:
            cell = Cell.load(folder, read_config(folder.config_file))
        except UserError as error:
            raise CannotTell(f"{_clause(error)}; name its grid: gta repair CELL sweep=NAME") from None
    if cell is None:
        raise CannotTell("name its grid, which says what it held: gta repair CELL sweep=NAME")
    if path == folder.config_file:
        return Made(dump(cell.config).encode(), how)
    return Made.of(cell.identity(), how)


def source(folder: CellFolder) -> Made:
    """method.py: the source of the method, where ./methods still has just that."""
    from gta.methods import own

    cell = readable(folder.identity, say=lambda _: None)
    if cell is None:
        raise CannotTell("cell.json does not say which source it was")
    file = own.files().get(cell.method)
    try:
        content = file.read_bytes() if file else b""
    except OSError as error:
        raise CannotTell(f"{file} cannot be read ({error.strerror})") from None
    if hashlib.sha256(content).hexdigest() != cell.digests.get("method"):
        raise CannotTell(
            f"{own.FOLDER / cell.method}{own.SUFFIX} is not there as it was; put it back, or run multirun again, "
            "which makes a new cell of what is there now"
        )
    return Made(content, f"taken from {file}")


def result(folder: CellFolder) -> Made:
    """result.json from the checkpoint of the last iteration, which holds the scores, as the trainer wrote it."""
    from gta.methods import METHODS
    from gta.train import checkpoint, outcome

    path = folder.checkpoint_file
    if not path.exists():
        raise CannotTell(f"there is no {path.name} that would say it")
    config = _config(folder)
    headline = METHODS.made_of(config.method).headline
    try:
        state = checkpoint.load(path)
        checkpoint.check_owner(path, state, folder.signature)
        if state["format"] < checkpoint.FORMAT:
            raise CannotTell(f"{path.name} is of an older version, without a checksum")
        known = headline if headline in state["scores"] else "student"
        made = outcome.result_of(config, state, known, _finished(folder))
    except UserError as error:
        raise CannotTell(_clause(error)) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CannotTell(f"{path.name} does not say it ({error})") from None
    return Made.of(made, f"made again from {path.name} of iteration {made.iteration}, mIoU {made.miou:.2f}")


def _config(folder: CellFolder) -> Any:
    """The frozen config, where it is that of the cell's signature; the lists may be anywhere."""
    from gta.cell import MATHS, signature
    from gta.compose.compose import read_config

    try:
        identity, config = folder.identity(), read_config(folder.config_file)
    except UserError as error:
        raise CannotTell(_clause(error)) from None
    if identity is None:
        raise CannotTell("there is no cell.json")
    maths = {name.removeprefix(MATHS): text for name, text in identity.params.items() if name.startswith(MATHS)}
    try:
        same = signature(config, identity.digests, {name: int(text) for name, text in maths.items()})
    except ValueError:
        same = ""
    if same != folder.signature:
        raise CannotTell("config.yaml is not that of the cell's signature (another version, or edited)")
    return config


def _finished(folder: CellFolder) -> float:
    """When training ended, unix seconds: the journal's last word of it, or else when the checkpoint was written."""
    records = readable(lambda: journal.read(folder.journal_file), say=lambda _: None) or []
    ends = [record["time"] for record in records if record.get("event") == "finished"]
    return float(ends[-1]) if ends else folder.checkpoint_file.stat().st_mtime


def lines(folder: CellFolder) -> Made:
    """The journal's lines that are records."""
    try:
        data = contents(folder.journal_file, "")
    except BrokenRecord as error:
        raise CannotTell(f"since it {error.reason}") from None
    good = journal.whole_lines(data or b"")
    count = good.count(b"\n")
    if not count:
        raise CannotTell("since no line of it is whole")
    return Made(good, f"its {count} good line{'s' * (count > 1)} kept")


def submitted(folder: CellFolder) -> Made:
    """submitted.json from the submissions of all sweeps: the job that a cell was last sent to Slurm as."""
    last = max(_submissions(folder), key=lambda sent: sent.time, default=None)
    past = latest(folder)
    if last is None:
        raise CannotTell("since no submission to Slurm names the cell")
    if past and past.number > last.after and past.job and past.job != last.job:
        raise CannotTell(f"since the cell ran as {past.job} after it was sent to Slurm")
    return Made.of(last, f"made again from the submission of job {last.job}; counts begin anew")


def _submissions(folder: CellFolder) -> Iterator[Submitted]:
    runs = folder.path.absolute().parents[1]
    for path in sorted(runs.glob("sweeps/*/submissions/*/submission.json")):
        try:
            sent = read_submission(path.parent)
            number, noted = JobNumber.read(job_file(path.parent)), Recorded.read(recorded_file(path.parent))
        except BrokenRecord as error:
            raise Held(f"a job of the cell may be held, which {error.path} hides ({error.reason})") from None
        index = next((i for i, task in enumerate(sent.tasks) if task.signature == folder.signature), None)
        if index is None or (noted and not noted.sent):
            continue
        if number is None:
            raise Held(f"{path.parent} may be held by Slurm: the next multirun looks for its job")
        base = sent.tasks[index].after if sent.tasks[index].asked else 0
        yield replace(sent.sent(sent.job(number.job, index), index), base=base)


def failure(folder: CellFolder) -> Made:
    """failure.json from the last attempt's record, which says the same error."""
    past = latest(folder)
    if past is None or past.ended != "failed" or not past.error or not past.end_time:
        raise CannotTell("since the last attempt's record says of no failure")
    cause = Death(past.why) if past.why else Death.EXCEPTION
    made = Failure(attempt=past.number, error=past.error, time=past.end_time, cause=cause, log=past.log)
    return Made.of(made, f"made again from attempt {past.number}: {past.error:.80}")


def orders(folder: CellFolder) -> Made:
    """order.json from the result, or from the last checkpoint: the orders that were trained with."""
    found, source = _orders(folder)
    if not found:
        raise CannotTell(f"since {source} says of no other order")
    return Made.of(Orders(orders=found), f"made again from {source}; one asked for since then is lost")


def _orders(folder: CellFolder) -> tuple[list[NewOrder], str]:
    if result := readable(folder.result, say=lambda _: None):
        return result.orders, folder.result_file.name
    from gta.cellfolder import NewOrder
    from gta.train import checkpoint

    try:
        state, path = checkpoint.last_good(folder, lambda _: None)
        checkpoint.check_owner(path, state, folder.signature)
        return [NewOrder(**one) for one in state.get("orders", ())], path.name
    except (UserError, TypeError) as error:
        raise CannotTell(_clause(error)) from None


def attempt(folder: CellFolder, number: int) -> Made:
    """The record of an attempt that is over: from the journal, where each attempt has its start there; else it keeps
    its number, so that a process that hung and wakes up sees that the cell is another's.
    """
    found = _in_journal(folder, number)
    if found is None:
        beat = os.lstat(folder.attempt_file(number)).st_mtime
        kept = Attempt(time=beat, end_time=beat, ended="lost", error=f"{NOTE}; when it began is not known")
        return Made.of(kept, "kept as an attempt that is over; when it began is not known")
    return Made.of(found, f"made again from the journal: began at iteration {found.began}, {found.ended}")


def _in_journal(folder: CellFolder, number: int) -> Attempt | None:
    records = readable(lambda: journal.read(folder.journal_file), say=lambda _: None) or []
    starts = [i for i, record in enumerate(records) if record.get("event") in ("started", "resumed")]
    if folder.attempt_numbers() != list(range(1, len(starts) + 1)):
        return None  # an attempt that died before it began has none: nobody knows which is whose
    for known in (one for one in history(folder) if not one.broken):
        start = records[starts[known.number - 1]]
        if start["time"] < (known.time or 0.0) or known.began not in (None, start.get("iteration")):
            return None
    first = starts[number - 1]
    later = starts[number] if number < len(starts) else len(records)
    mine, start = records[first:later], records[first]
    began, after = start.get("iteration"), records[later].get("iteration") if later < len(records) else None
    words = {record.get("event") for record in mine}
    commit = start.get("commit")
    return Attempt(
        time=start["time"],
        end_time=mine[-1]["time"],
        began=began,
        saved=after if after is not None and after > (began or 0) else None,
        ended="done" if "finished" in words else "interrupted" if "stopped" in words else "lost",
        error=NOTE,
        environment={"commit": commit} if isinstance(commit, str) else {},
    )


def _clause(error: Exception) -> str:
    """An error's sentence as a part of one."""
    text = str(error).rstrip(".")
    return text[:1].lower() + text[1:] if not text.startswith("/") else text
