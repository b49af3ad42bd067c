"""usage: python -m gta retry [CELL ...] sweep=NAME [--oom] [mem=64] [time=2h] [gpus=2] [name=value ...]

Runs cells again that failed or got lost: all those of the grid, or those that are named (signature, its beginning,
words such as gta/92/seed0, or a pattern of these); one that was cancelled only when it is named. They go on from their
last checkpoints. Takes the words of multirun (hydra/launcher=slurm, wait=false) and does what it does.

--oom  only those that ran out of memory

Resources, which cannot change a result: mem (GB of a node's job: 64, 64G), time (minutes, or 90m, 2h, 1d, H:MM:SS),
gpus (a node), cpus (a rank), partition, account, qos, constraint, exclude; or any other site.NAME=value. A setting that
can change a result makes another cell: for that, say multirun.

exit code: as multirun; 0 where there is nothing to run again
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gta.cli import multirun
from gta.cli import options as common
from gta.errors import UserError

if TYPE_CHECKING:
    from launch.state.ledger import Entry

RESOURCES = {
    "mem": "site.mem_gb",
    "time": "site.time_limit",
    "gpus": "site.gpus_per_node",
    "cpus": "site.cpus_per_rank",
    "partition": "site.partition",
    "account": "site.account",
    "qos": "site.qos",
    "constraint": "site.constraint",
    "exclude": "site.exclude",
}
MULTIRUN = {"wait": "true", "budget": ""}
UNITS = {"m": 1, "h": 60, "d": 1440}


def run(arguments: list[str]) -> int:
    given, rest = common.flags(arguments, {"oom": False})
    names, words = common.names_and_words(rest)
    if not words:
        raise UserError("retry takes the words of multirun: python -m gta retry sweep=NAME [CELL ...] [mem=64].")
    options, words = common.split_options(words, {**MULTIRUN, "retry": "", "cells": ""})
    if options["retry"] or options["cells"]:
        raise UserError("retry= and cells= are words of multirun; here, name the cells: retry sweep=NAME gta/92/seed0.")
    grid, resources = split_resources(words)
    _, cells = common.grid([*grid, *resources])
    chosen = select(common.look(cells), names, given["oom"])
    if not chosen:
        print(nothing(grid, given["oom"], any(cell.folder.path.exists() for cell in cells)))
        return 0
    for entry in chosen:
        print(f"again: {entry.cell.title} ({entry.cell.signature[:8]}), {entry.reason}")
    signatures = ",".join(entry.cell.signature for entry in chosen)
    said = [f"{name}={options[name]}" for name in MULTIRUN if options[name]]
    return multirun.run([*grid, *resources, "retry=all", f"cells={signatures}", *said])


def select(entries: Sequence[Entry], names: Sequence[str] = (), oom: bool = False) -> list[Entry]:
    """The cells to run again: failed and lost ones, of all or of those that are named; named ones also if cancelled.

    `oom`: of these, the ones that ran out of memory. Raises UserError for a name of none, and for a cell that is named
    and has nothing to be run again for.
    """
    from gta.cellfolder import Death
    from launch.grid.names import find_all, of_grid
    from launch.state.ledger import State

    lost = {State.FAILED, State.RESUMABLE}
    if names:
        wanted = {cell.signature for cell in find_all(names, of_grid([entry.cell for entry in entries]))}
        entries = [entry for entry in entries if entry.cell.signature in wanted]
        plain = [name for name in names if not set(name) & set("*?[")]
        for entry in entries if len(plain) == len(names) else ():
            if entry.state in (State.DONE, State.RUNNING, State.QUEUED):
                raise UserError(f"{entry.cell.title} ({entry.cell.signature[:8]}) is {entry.state}: nothing to retry.")
            if entry.state is State.BROKEN:
                raise UserError(f"{entry.cell.title} ({entry.cell.signature[:8]}) is broken: {entry.detail}")
        lost |= {State.CANCELLED, State.NEVER_RUN}
    chosen = [entry for entry in entries if entry.state in lost or (entry.state is State.NEVER_RUN and entry.job)]
    return [entry for entry in chosen if entry.cause is Death.MEMORY] if oom else chosen


def split_resources(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words of the grid, and resources as overrides of the site. Raises UserError for a resource that means nothing."""
    grid: list[str] = []
    resources: list[str] = []
    for word in words:
        name, _, value = word.partition("=")
        if name in RESOURCES:
            resources.append(f"{RESOURCES[name]}={VALUES.get(name, str)(value)}")
        else:
            (resources if name.startswith("site.") else grid).append(word)
    return grid, resources


def minutes(text: str) -> str:
    """Minutes of 90, 90m, 2h, 1.5h, 1d, 2:30:00 (as Slurm writes hours) or 1-12:00:00."""
    if match := re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)", text):
        days, hours, rest, seconds = (int(part or 0) for part in match.groups())
        return str(days * 1440 + hours * 60 + rest + (seconds > 0))
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([mhd]?)", text):
        value = round(float(match[1]) * UNITS[match[2] or "m"])
        if value > 0:
            return str(value)
    raise UserError(f"time={text}: give minutes, or 90m, 2h, 1d or 12:00:00.")


def gigabytes(text: str) -> str:
    match = re.fullmatch(r"(\d+)(?:g|gb)?", text, re.IGNORECASE)
    if not match or not int(match[1]):
        raise UserError(f"mem={text}: give whole GB of memory a node, such as mem=64.")
    return match[1]


def count(text: str) -> str:
    if not text.isdigit():
        raise UserError(f"{text}: give a whole number of GPUs or CPUs.")
    return text


VALUES = {"mem": gigabytes, "time": minutes, "gpus": count, "cpus": count}


def nothing(grid: Sequence[str], oom: bool, known: bool) -> str:
    """What to say when there is nothing to run again."""
    from gta.config import Config
    from gta.fields import describe

    rows = describe(Config)
    changing = [word for word in grid if (row := rows.get(word.partition("=")[0])) and not row["neutral"]]
    changing += [word for word in grid if word.startswith("method.") and not word.startswith("method.label")]
    if not known and changing:
        return (
            f"No cell of this grid was ever submitted: {' '.join(dict.fromkeys(changing))} can change a result, so it "
            "names other cells. retry takes resources only (mem=64, time=2h, ...); for other cells, say multirun."
        )
    return "No cell of this grid ran out of memory." if oom else "No cell of this grid failed or got lost."
