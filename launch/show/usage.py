"""What cells used of what was asked for, and the lines of the site's profile that would fit.

Time and memory of a job are the accounting's (sacct), speed and the GPU's use are the journal's. Where there is no
accounting, the journal's word on memory is that of rank 0's process alone, and nothing is proposed by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from gta import journal
from gta.cellfolder import Death, readable
from gta.compose import sbatch
from gta.config import SiteConfig
from launch.show.words import duration
from launch.slurm.accounts import JobUse
from launch.state.damage import history
from launch.state.ledger import Entry, State

SAMPLE = 20  # cells of a method that are looked at, those that are done first
MARGIN = 1.25  # of what was used
START_SECONDS = 120.0  # for a job to start, and for its data
MIB = 1024  # of a GiB, which is Slurm's G
LITTLE_BUSY = 45.0  # percent of a GPU's time, below which another cell may share it
FITS, TIGHT = 0.8, 0.9  # what is proposed is less than this part of what was asked for; what was used is more


@dataclass(frozen=True)
class Usage:
    """Of one method's cells. Seconds, MiB, percent; None: nobody says. `asked_*`: by the accounting, else the site."""

    method: str
    cells: int
    done: int
    jobs: int  # starts that the accounting knows
    longest: float  # seconds of a cell, over all of its attempts
    iteration: float | None  # seconds of one, evaluations included
    whole: float | None  # seconds that the longest schedule takes at that speed
    asked_minutes: int | None  # of a job; None: they were none of Slurm's
    memory: float | None  # of a node, at most
    asked_memory: float | None
    out_of_memory: int  # cells that ran out of it
    process_memory: float | None  # of rank 0's process, at most
    data_wait: float | None  # percent of the training's time that went by in waiting for batches
    cores: float | None  # that were busy
    asked_cores: float | None
    gpus: float  # that a cell holds
    gpu_percent: float | None
    gpu_memory: float | None  # of one GPU, at most
    gpu_size: float | None  # all the memory of one GPU, of the smallest

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def usages(entries: Sequence[Entry], starts: Sequence[JobUse]) -> list[Usage]:
    """A line for each method of these cells, which were `sampled`. `starts`: what the accounting says of their jobs."""
    rows: dict[str, list[Entry]] = {}
    for entry in entries:
        rows.setdefault(entry.cell.row, []).append(entry)
    by_job: dict[str, list[JobUse]] = {}
    for start in starts:
        by_job.setdefault(start.job, []).append(start)
    return [_usage(row, mine, by_job) for row, mine in rows.items()]


def sampled(entries: Iterable[Entry]) -> list[Entry]:
    """The cells of each method that are looked at."""
    found: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.state is not State.DONE):
        mine = found.setdefault(entry.cell.row, [])
        if entry.attempts and len(mine) < SAMPLE:
            mine.append(entry)
    return [entry for mine in found.values() for entry in mine]


def jobs(entries: Iterable[Entry]) -> dict[str, str]:
    """The jobs of Slurm in which these cells were tried -> their names, where they are known."""
    found: dict[str, str] = {}
    for entry in entries:
        sent = readable(entry.cell.folder.submitted, say=lambda _: None)
        if sent is not None and sent.cluster == "slurm":
            found |= {one.job: "" for one in history(entry.cell.folder) if one.job and one.job not in found}
            found[sent.job] = sent.name
    return found


def _usage(row: str, entries: Sequence[Entry], by_job: Mapping[str, Sequence[JobUse]]) -> Usage:
    site = entries[0].cell.config.site
    past = [history(entry.cell.folder) for entry in entries]
    mine = {one.job for attempts in past for one in attempts if one.job}
    starts = [start for job in sorted(mine) for start in by_job.get(job, ())]
    seen = [_journal(entry) for entry in entries]
    speeds = [one["iteration"] for one in seen if "iteration" in one]
    each = median(speeds) if speeds else None
    longest = max(entry.cell.config.schedule.iterations for entry in entries)
    lasted = [sum(one.lasted or 0.0 for one in attempts) for attempts in past]
    memory = max((start.memory_mib for start in starts if start.memory_mib), default=None)
    asked_memory = max((start.asked_mib for start in starts if start.asked_mib), default=None)
    cores = [start.cores for start in starts if start.cores]
    asked_cores = max((float(start.cpus) for start in starts if start.cpus), default=None)
    return Usage(
        method=row,
        cells=len(entries),
        done=sum(entry.state is State.DONE for entry in entries),
        jobs=len(starts),
        longest=max(lasted),
        iteration=each,
        whole=each * longest if each else None,
        asked_minutes=_minutes(entries, starts),
        memory=memory,
        asked_memory=asked_memory or (site.mem_gb * MIB if site.mem_gb else None),
        out_of_memory=sum(any(one.why == Death.MEMORY for one in attempts) for attempts in past)
        or sum(start.state == "OUT_OF_MEMORY" for start in starts),
        process_memory=_most(seen, "memory_mib"),
        data_wait=_mean(seen, "data_wait_percent"),
        cores=max(cores) if cores else None,
        asked_cores=asked_cores,
        gpus=max((one.gpus or 0.0 for attempts in past for one in attempts), default=0.0),
        gpu_percent=_mean(seen, "gpu_percent"),
        gpu_memory=_most(seen, "gpu_memory_mib"),
        gpu_size=min((one["gpu_memory_total_mib"] for one in seen if "gpu_memory_total_mib" in one), default=None),
    )


def _minutes(entries: Sequence[Entry], starts: Sequence[JobUse]) -> int | None:
    """What was asked for a job."""
    said = max((start.limit_minutes or 0 for start in starts), default=0)
    if not said and all(entry.cluster != "slurm" for entry in entries):
        return None
    return said or entries[0].cell.config.site.time_limit


def _journal(entry: Entry) -> dict[str, float]:
    """What a cell's journal says: seconds an iteration, means of shares, the most of memory."""
    path = entry.cell.folder.journal_file
    records = readable(lambda: journal.counted(journal.read(path)), say=lambda _: None) or []
    values: dict[str, list[float]] = {}
    found: dict[str, float] = {}
    for record in records:
        if record.get("kind") != "metrics":
            continue
        for name, value in record["values"].items():
            if name.startswith("system/") and isinstance(value, (int, float)) and math.isfinite(value):
                values.setdefault(name.removeprefix("system/"), []).append(value)
        seconds = record["values"].get("seconds", 0.0)
        if record["iteration"] and isinstance(seconds, (int, float)) and seconds > 0:
            found["iteration"] = seconds / record["iteration"]
    for name, each in values.items():
        found[name] = fmean(each) if name.endswith("percent") else max(each)
    return found


def _most(seen: Sequence[Mapping[str, float]], name: str) -> float | None:
    return max((one[name] for one in seen if name in one), default=None)


def _mean(seen: Sequence[Mapping[str, float]], name: str) -> float | None:
    known = [one[name] for one in seen if name in one]
    return fmean(known) if known else None


def lines(usage: Usage) -> list[str]:
    """What is said of a method."""
    starts = "1 start of a job" if usage.jobs == 1 else f"{usage.jobs} starts of jobs"
    known = f"; {starts} in the accounting" if usage.jobs else ""
    made = [f"{usage.method}: {usage.cells} cell{'s' * (usage.cells != 1)} looked at, {usage.done} done{known}"]
    speed = f"; {usage.iteration:.3g} s an iteration, {duration(usage.whole or 0)} for all" if usage.iteration else ""
    asked = f"; {usage.asked_minutes} min asked for a job" if usage.asked_minutes else ""
    made.append(f"  time    {duration(usage.longest)} the longest cell{speed}{asked}")
    if usage.memory is not None:
        made.append(f"  memory  {_gib(usage.memory)} a node at most, {_asked(usage.asked_memory)}")
    elif usage.process_memory is not None:
        made.append(f"  memory  {_gib(usage.process_memory)} of rank 0's process at most, without its data workers")
    if usage.out_of_memory:
        made.append(f"  memory  {usage.out_of_memory} ran out of it")
    if usage.cores is not None:
        made.append(f"  CPU     {usage.cores:.1f} cores busy, {usage.asked_cores:.0f} asked for")
    if usage.data_wait is not None:
        most = "at most " if usage.gpus else ""  # as `gta.train.waiting` says
        made.append(f"  data    {most}{usage.data_wait:.0f} % of the training's time went by in waiting for batches")
    if usage.gpus:
        busy = "its use is not in the journal" if usage.gpu_percent is None else f"{usage.gpu_percent:.0f} % busy"
        size = f" {_gib(usage.gpu_size)} of" if usage.gpu_size else ""
        held = "" if usage.gpu_memory is None else f", {_gib(usage.gpu_memory)} of its{size} memory used at most"
        made.append(f"  GPU     {usage.gpus:g} held; {busy}{held}")
    return made


def proposed(found: Sequence[Usage], site: SiteConfig) -> list[str]:
    """The lines of the site's profile that would fit better, for all of these methods, each with why. They hold
    together: memory and cores are a job's, so they are of two cells where two are proposed. A line that begins with #
    says why two are not.
    """
    packing, remark = _packing(found, site)
    cells = 2 if packing else 1
    made = {**_time(found, site), **_memory(found, cells), **_cores(found, site, cells)}
    if packing:
        rest = " and ".join(name for name in ("mem_gb", "cpus_per_rank") if name not in made)
        twice = f"; {rest} must do for both" if rest else ""
        made["cells_per_gpu"] = (2, f"{remark}; each is slower then{twice}")
    options = sbatch.words(site.sbatch)
    texts = [] if packing or not remark else [f"# cells_per_gpu: {remark}"]
    for name, (value, why) in made.items():
        field = {"mem_gb": "mem", "time_limit": "time", "cpus_per_rank": "cpus-per-task"}.get(name)
        rivals = sorted(sbatch.rivals({field: "1"}) & set(options)) if field else []
        instead = f"; in the place of sbatch's {', '.join(rivals)}" if rivals else ""
        texts.append(f"{name}: {value}  # {why}{instead}")
    return texts


Proposal = dict[str, tuple[int, str]]


def _time(found: Sequence[Usage], site: SiteConfig) -> Proposal:
    whole = max((one.whole for one in found if one.whole), default=None)
    asked = max((one.asked_minutes for one in found if one.asked_minutes), default=None)
    if whole is None or asked is None:
        return {}
    minutes = (whole * MARGIN + START_SECONDS + site.warning_seconds) / 60
    step = 5 if minutes <= 60 else 15 if minutes <= 360 else 60
    fit = math.ceil(minutes / step) * step
    if FITS * asked < fit <= asked:
        return {}
    return {"time_limit": (fit, f"minutes, for a whole cell ({duration(whole)}) and a quarter more; {asked} asked for")}


def _memory(found: Sequence[Usage], cells: int) -> Proposal:
    """Of a job of so many cells, by what jobs of one used."""
    asked = max((one.asked_memory for one in found if one.asked_memory), default=None)
    if asked and any(one.out_of_memory for one in found):
        return {"mem_gb": (math.ceil(1.5 * asked / MIB), f"cells ran out of memory; {_gib(asked)} asked for")}
    used = max((one.memory for one in found if one.memory), default=None)
    if used is None:
        return {}
    both = " by each of two cells" if cells > 1 else ""
    fit = math.ceil(cells * used * MARGIN / MIB) + 1
    if asked and fit * MIB > FITS * asked and cells * used < TIGHT * asked:
        return {}
    return {"mem_gb": (fit, f"{_gib(used)} used at most{both}, and a quarter more; {_asked(asked)}")}


def _cores(found: Sequence[Usage], site: SiteConfig, cells: int) -> Proposal:
    """Of a job of so many cells, by what jobs of one used."""
    busy = max((one.cores for one in found if one.cores), default=None)
    asked = max((one.asked_cores for one in found if one.asked_cores), default=None)
    if busy is None or asked is None:
        return {}
    fit = max(1, math.ceil(cells * busy * MARGIN / (site.ranks * site.nodes)))
    if fit > FITS * site.cpus_per_rank and cells * busy < TIGHT * asked:
        return {}
    if fit == site.cpus_per_rank:
        return {}
    both = " by each of two cells" if cells > 1 else ""
    return {"cpus_per_rank": (fit, f"{busy:.1f} cores busy{both}; {asked:.0f} asked for")}


def _packing(found: Sequence[Usage], site: SiteConfig) -> tuple[bool, str]:
    """Whether two cells may share a GPU: its time, and its memory, must do for both. And why, or why not; "" where that
    is no question.
    """
    on_gpus = [one for one in found if one.gpus or one.gpu_percent is not None]
    shares = [one.gpu_percent for one in on_gpus if one.gpu_percent is not None]
    if not shares or len(shares) < len(on_gpus) or max(shares) >= LITTLE_BUSY:
        return False, ""
    if site.ranks * site.nodes > 1 or site.cells_per_gpu > 1:
        return False, ""
    if any(one.out_of_memory for one in found):  # what one cell needs is not known yet
        return False, ""
    said = f"a GPU is {max(shares):.0f} % busy"
    used = [one.gpu_memory for one in on_gpus if one.gpu_memory]
    sizes = [one.gpu_size for one in on_gpus if one.gpu_size]
    if len(used) < len(on_gpus):
        return False, f"{said}, but what a cell needs of its memory is not in the journals"
    need = f"two cells need {_gib(2 * max(used))} of its"
    if len(sizes) < len(on_gpus):
        return False, f"{said}; {need} memory, whose size is not in the journals: 2 where it is larger"
    if 2 * max(used) > TIGHT * min(sizes):
        return False, f"{said}, but {need} {_gib(min(sizes))} of memory"
    return True, f"{said}; {need} {_gib(min(sizes))} of memory"


def _gib(mib: float) -> str:
    gib = mib / MIB
    return f"{gib:.1f} GB" if gib < 100 else f"{gib:.0f} GB"


def _asked(mib: float | None) -> str:
    return f"{_gib(mib)} asked for" if mib else "what was asked for is not known"
