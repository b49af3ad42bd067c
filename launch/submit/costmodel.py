"""What a cell will take before one like it has run: its counted work, by rates that were measured on other cells.

Seconds are those of steps, by their work, of waiting for batches, by the pixels that are loaded, and of scoring, by its
work. Work is GFLOP plus `BALANCE` for each GB that moves. Rates are of one kind of device, precision and packing. They
and the counts are in `runs/costs.json`, which `gta plan --calibrate` writes (`launch.submit.calibrate`); here is no
torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import islice, pairwise, zip_longest
from pathlib import Path
from statistics import fmean, median

from gta import journal
from gta.cell import Cell
from gta.cellfolder import CellFolder, Result, readable
from gta.config import Config
from launch.slurm.resources import held
from launch.state.ledger import Entry, State
from launch.submit.costs import Amount, Amounts, Costs, Rates, costs_file

BALANCE = {"core": 5.0, "GPU fp32": 25.0, "GPU bf16": 100.0}  # GFLOP that take as long as a GB: sustained, not peak
UNCHECKED = 1.7  # factor either way, until enough cells are done: more than it was off on any when it was made
ENOUGH, LEAST = 3, 1.1  # cells that are enough; what the factor is never below
MOST_READ = 60  # journals of cells done
_DECIDES = ("method.", "model.", "evaluation.", "maths.")
_DECIDE = (
    "data.name", "data.classes", "data.crop_size", "data.input_scale", "schedule.batch_size", "schedule.group_size",
    "schedule.accumulate", "schedule.optimizer", "schedule.ohem_threshold", "precision",
)  # fmt: skip


@dataclass(frozen=True)
class Seconds:
    """A cell's parts from its first to its last iteration; on a CPU they are those of a machine to itself."""

    step: float
    wait: float
    scored: float = 0.0  # also where its journal does not tell them from the steps

    @property
    def total(self) -> float:
        return self.step + self.wait + self.scored


def of_runs(runs: str | Path, entries: Sequence[Entry] = ()) -> Model:
    """The model of a folder of runs, held against those of the cells that are done. A broken record counts as none."""
    model = Model(readable(lambda: Costs.read(costs_file(runs)), say=lambda _: None) or Costs())
    by_group: dict[str, list[float]] = {}
    for ran_as, factor in islice(model.factors(entries), MOST_READ):
        by_group.setdefault(ran_as, []).append(factor)
    return replace(model, ranges={ran_as: _range(factors) for ran_as, factors in by_group.items()})


def said(entries: Sequence[Entry]) -> list[str]:
    """How far the cost model was off on the cells of a grid that are done, in a sentence; none where none can be
    compared.
    """
    found: list[float] = []
    for runs in sorted({entry.cell.config.paths.runs for entry in entries}):
        mine = [entry for entry in entries if entry.cell.config.paths.runs == runs]
        found += (factor for _, factor in islice(of_runs(runs).factors(mine), MOST_READ))
    if not found:
        return []
    many = f"{len(found)} cell{'s' * (len(found) != 1)}"
    typical, worst = (f"{100 * (factor - 1):.0f} %" for factor in (median(found), max(found)))
    alone = any(held(e.cell.config).unit == "core" and e.cell.config.num_threads == 1 for e in entries)
    of = ", as if each had had its core to itself" if alone else ""
    return [f"The cost model was off by {typical} (median) and {worst} (worst) on {many} done{of}."]


def _range(factors: Sequence[float]) -> float:
    """How far a prediction may be off either way: by as much as the worst so far, once enough were compared."""
    return UNCHECKED if len(factors) < ENOUGH else max(LEAST, *factors)


def key(cell: Cell) -> str:
    """Of what decides the counts: settings, and the source of a user's own method."""
    settings = cell.params
    known = sorted(name for name in settings if name.startswith(_DECIDES) or name in _DECIDE)
    own = [source] if (source := cell.digests.get("method")) else []
    return sha256("\n".join([*(f"{name}={settings[name]}" for name in known), *own]).encode()).hexdigest()[:12]


def group(config: Config, unit: str | None = None) -> str:
    """What rates of one cell hold for another by. `unit`: what it ran on, where that is known."""
    unit = unit or held(config).unit
    kernels = f"{config.num_threads} threads" if unit == "core" else f"tf32={config.tf32} {config.deterministic}"
    return f"{unit} {config.precision} {kernels} {config.compile} /{config.site.cells_per_gpu}"


def work(amount: Amount, group: str) -> float:
    """GFLOP, and GB as so many GFLOP as take the same time."""
    balance = next(value for kind, value in BALANCE.items() if group.startswith(kind))
    return amount.gflop + balance * amount.gbyte


@dataclass(frozen=True)
class Model:
    """The counts and rates of one folder of runs. `ranges`: by group, how far a prediction may be off either way."""

    costs: Costs
    ranges: Mapping[str, float] = field(default_factory=dict)

    def factor(self, config: Config) -> float:
        """How far the prediction of a cell of this config may be off either way: cells of other groups do not tell."""
        return self.ranges.get(group(config), UNCHECKED)

    def seconds(self, cell: Cell, unit: str | None = None, of_others: bool = False) -> Seconds | None:
        """What the whole cell takes; None where its counts or a rate is not known. `unit`: what it ran on, where that
        is known; `of_others`: by the rates of other shapes alone.
        """
        if not self.costs.rates:
            return None
        mine, here = key(cell), group(cell.config, unit)
        rates = [rate for rate in self.costs.rates if rate.group == here]
        if of_others:
            rates = [rate for rate in rates if rate.key != mine]
        if mine not in self.costs.counts or not rates:
            return None
        amounts = amounts_of(cell, self.costs.counts[mine], here)
        apart = [rate for rate in rates if rate.scored is not None]  # in the others' steps and waits scoring is as well
        return Seconds(
            step=amounts.step * _usual(apart or rates, "step"),
            wait=amounts.wait * _usual(apart or rates, "wait"),
            scored=amounts.scored * median(rate.scored for rate in apart if rate.scored) if apart else 0.0,
        )

    def factors(self, entries: Iterable[Entry]) -> Iterator[tuple[str, float]]:
        """Group, and how far it is off on a cell of it, for those that are done and can be compared: 1, not at all.
        Reads journals; groups take turns, so that whoever takes some has some of each.
        """
        for entry in _in_turn(entries) if self.costs.rates else ():
            cell, unit = as_it_ran(entry.cell)
            guess = self.seconds(cell, unit, of_others=True)
            took = measured(cell.folder, cell.config) if guess else None
            if guess and took and min(guess.total, took.total) > 0:
                yield group(cell.config, unit), max(guess.total / took.total, took.total / guess.total)


def _in_turn(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Those that are done: the first of each group (by today's words, for which no journal is read), the second, ..."""
    by_group: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.state is State.DONE:
            by_group.setdefault(group(entry.cell.config), []).append(entry)
    for row in zip_longest(*by_group.values()):
        yield from (entry for entry in row if entry is not None)


def as_it_ran(cell: Cell) -> tuple[Cell, str | None]:
    """A cell that has begun, with the ranks and the packing that it ran with, which today's words may not say; and what
    it ran on, GPU or core. As it is, and None, where its journal has no beginning.
    """
    began = readable(lambda: journal.first(cell.folder.journal_file), say=lambda _: None)
    if began is None:
        return cell, None
    unit = "core" if str(began.get("device", "cpu")).startswith("cpu") else "GPU"
    asked = cell.config.site
    frozen = (readable(cell.folder.settings, say=lambda _: None) or {}).get("site")
    packed = frozen.get("cells_per_gpu") if isinstance(frozen, dict) else None
    ranks = began.get("world_size") or asked.ranks * asked.nodes
    site = replace(asked, ranks=ranks, nodes=1, cells_per_gpu=packed or asked.cells_per_gpu)
    return replace(cell, config=replace(cell.config, site=site)), unit


def amounts_of(cell: Cell, counts: Amounts, group: str) -> Seconds:
    """Work and million pixels of a whole cell on one of its ranks, in the places of the seconds that they take."""
    schedule, ranks = cell.config.schedule, cell.config.site.ranks * cell.config.site.nodes
    warm = min(schedule.warm_up, schedule.iterations)
    rest = schedule.iterations - warm
    images = min(schedule.eval_images or cell.sizes.val, cell.sizes.val)
    scored = -(-schedule.iterations // schedule.eval_every) * images
    return Seconds(
        step=(warm * work(counts.warm_up, group) + rest * work(counts.step, group)) / ranks,
        wait=(warm * counts.warm_up.mpixel + rest * counts.step.mpixel) / ranks,
        scored=scored * work(counts.scored, group) / ranks,
    )


def measured(folder: CellFolder, config: Config) -> Seconds | None:
    """What a cell that is done took, by its journal; None where it does not say."""
    result = readable(folder.result, say=lambda _: None)
    records = readable(lambda: journal.read(folder.journal_file), say=lambda _: None)
    return None if result is None or not records else _parts(result, records, config.num_threads)


def _parts(result: Result, records: Sequence[journal.Record], threads: int) -> Seconds | None:
    lines = journal.counted(records)
    on_cpu = str(records[0].get("device", "")).startswith("cpu")
    shares = [line["values"].get("system/data_wait_percent") for line in lines]
    waits = [share for share in shares if share is not None]
    if not waits:
        return None
    scored = [
        later["values"]["seconds"] - before["values"]["seconds"]
        for before, later in pairwise(lines)
        if any(name.startswith("val/") for name in later["values"])
        and before["iteration"] == later["iteration"]
        and "seconds" in before["values"]
        and "seconds" in later["values"]
    ]
    evaluations = sum(any(name.startswith("val/") for name in line["values"]) for line in lines)
    scoring = fmean(scored) * evaluations if scored else 0.0
    own = _own_share(lines) if on_cpu and threads == 1 else 1.0
    training = max(0.0, result.seconds - scoring) * own
    wait = waits[-1] / 100
    return Seconds(training * (1 - wait), training * wait, scoring * own)


def _own_share(lines: Sequence[journal.Record]) -> float:
    """The share of a core that a process of one thread got while others used the machine; 1 where it is not said."""
    shares = [line["values"].get("system/process_cpu_percent") for line in lines]
    known = [share for share in shares if share]
    return min(1.0, fmean(known) / 100) if known else 1.0


def rates_of(cell: Cell, counts: Amounts, took: Seconds, group: str) -> Rates | None:
    """The rates of a cell that is done; None where it did nothing that can be divided by, or took no time that can be
    multiplied.
    """
    amounts = amounts_of(cell, counts, group)
    if not amounts.step or not amounts.wait or not took.step > 0 or not took.wait >= 0:
        return None
    scored = took.scored / amounts.scored if took.scored > 0 and amounts.scored else None
    return Rates(
        group=group, key=key(cell), step=took.step / amounts.step, wait=took.wait / amounts.wait,
        scored=scored, cell=cell.signature,
    )  # fmt: skip


def _usual(rates: Sequence[Rates], part: str) -> float:
    """The median over shapes of the median of each."""
    by_key: dict[str, list[float]] = {}
    for rate in rates:
        by_key.setdefault(rate.key, []).append(getattr(rate, part))
    return median(median(found) for found in by_key.values())
