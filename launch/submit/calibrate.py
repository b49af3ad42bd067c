"""Makes the cost model's record: counts the cells of a grid, and finds rates, on cells done or by a few timed steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from gta import progress
from gta.cell import Cell
from gta.cellfolder import CellFolder, readable
from gta.compose.compose import read_config
from gta.config import Config
from gta.errors import UserError
from gta.text import first_line
from launch.slurm.resources import held
from launch.submit import costmodel, price
from launch.submit.costs import Amount, Amounts, Costs, Rates, costs_file

CELLS_OF_A_SHAPE = 3  # done ones whose journals are read, of each group
SHAPES = 8  # of other cells, which are counted for their rates; a group that has no rate yet gets one all the same
IN_VAIN = 3  # shapes of a group that are counted though no rate comes of it


def calibrate(cells: Sequence[Cell]) -> list[str]:
    """Count what the cells compute, find rates for them, and write both into their runs folders; what there is to say.

    Loads torch and takes seconds a shape. Where no cell was measured on such a device, a few steps of the smallest are
    timed here. Raises BrokenRecord for a record that is none.
    """
    lines = []
    for runs in dict.fromkeys(cell.config.paths.runs for cell in cells):
        mine = [cell for cell in cells if cell.config.paths.runs == runs]
        before = Costs.read(costs_file(runs)) or Costs()
        counts, wrong = _counts(mine, before.counts)
        rates = _of_done(mine, runs, counts)
        groups, found = {costmodel.group(cell.config) for cell in mine}, {rate.group for rate in rates}
        kept = [r for r in before.rates if r.group not in groups or (not r.cell and r.group not in found)]
        Costs(counts=counts, rates=[*kept, *rates]).write(costs_file(runs))  # minutes: whatever comes of the timing
        for group in sorted(groups - {one.group for one in [*rates, *kept]}):
            made, said = _by_steps([cell for cell in mine if costmodel.group(cell.config) == group], counts, group)
            kept += made
            wrong += said
            Costs(counts=counts, rates=[*kept, *rates]).write(costs_file(runs))
        lines += [_said(counts, [*kept, *rates]), *wrong]
    return lines


def _counts(cells: Sequence[Cell], known: dict[str, Amounts]) -> tuple[dict[str, Amounts], list[str]]:
    """The known counts and those of these cells, a shape once; and a sentence for each that cannot be counted."""
    counts, wrong = dict(known), []
    missing = {name: cell for cell in cells if (name := costmodel.key(cell)) not in counts}
    for name, cell in progress.steps(missing.items(), "counting what cells compute", len(missing)):
        try:
            counts[name] = count(cell)
        except Exception as error:  # a user's own method may ask for what has no answer here
            wrong.append(f"{cell.row} cannot be counted: {first_line(error)}")
    return counts, wrong


def count(cell: Cell) -> Amounts:
    """The counts of a cell, whose validation images are as large as its first one. Raises UserError where that cannot
    be read, and what the method raises where it cannot be followed.
    """
    from gta.data.dataset import SegmentationDataset
    from gta.train.count import counted

    height, width = SegmentationDataset(cell.config.data, cell.split.val[:1]).image(0).shape[:2]
    made = asdict(counted(cell.config, (height, width)))
    return Amounts(**{name: Amount(**amount) for name, amount in made.items()})


def _of_done(cells: Sequence[Cell], runs: str, counts: dict[str, Amounts]) -> list[Rates]:
    """Rates of cells that are done, of the groups of these cells; counts of their shapes are added."""
    groups, found = {costmodel.group(cell.config) for cell in cells}, list[Rates]()
    seen: Counter[tuple[str, str]] = Counter()
    in_vain: Counter[str] = Counter()
    for folder in price.newest(Path(runs) / "cells")[: price.MOST_READ]:
        cell = readable(lambda folder=folder: _done(folder), say=lambda _: None)  # type: ignore[misc]
        if cell is None:
            continue
        cell, unit = costmodel.as_it_ran(cell)
        if (group := costmodel.group(cell.config, unit)) not in groups:
            continue
        name = costmodel.key(cell)
        seen[group, name] += 1
        enough = len({shape for _, shape in seen}) > SHAPES and any(rate.group == group for rate in found)
        if seen[group, name] > CELLS_OF_A_SHAPE or (name not in counts and (enough or in_vain[group] >= IN_VAIN)):
            continue
        took = costmodel.measured(folder, cell.config)
        if took is None:
            continue  # before its shape is counted, which takes seconds
        new = name not in counts
        if new:
            more, _ = _counts([cell], {})
            counts.update(more)
        if name in counts and (rates := costmodel.rates_of(cell, counts[name], took, group)):
            found.append(rates)
        elif new:
            in_vain[group] += 1
    return found


def _done(folder: CellFolder) -> Cell | None:
    """The cell of a folder that has a result, where this version can read it."""
    if not folder.done:
        return None
    try:
        return Cell.load(folder, read_config(folder.config_file))
    except (UserError, OSError):
        return None


def _by_steps(cells: Sequence[Cell], counts: dict[str, Amounts], group: str) -> tuple[list[Rates], list[str]]:
    """Rates by a few steps of the smallest of these cells; or a sentence about why there are none."""
    known = [cell for cell in cells if costmodel.key(cell) in counts]
    if not known:
        return [], []
    from gta.train.timed import timed

    smallest = min(known, key=lambda cell: costmodel.work(counts[costmodel.key(cell)].step, group))
    if held(smallest.config).unit == "GPU" and not _sees_gpu():
        return [], [
            "No step can be timed here: the cells use a GPU, and PyTorch sees none on this machine. Run the same "
            "command where there is one, or let one cell finish first."
        ]
    config = _of_a_rank(smallest.config)
    with progress.work("timing a few steps", 1):
        try:
            took = timed(config, smallest.split)
        except Exception as error:  # memory that is out, a user's own method
            return [], [f"No step can be timed here: {first_line(error)}"]
    amounts = counts[costmodel.key(smallest)]
    share = config.schedule.batch_size / smallest.config.schedule.batch_size
    packed = smallest.config.site.cells_per_gpu  # timed alone: that packing gains anything is not taken for granted
    made = Rates(
        group=group,
        key=costmodel.key(smallest),
        step=packed * took.step / (share * costmodel.work(amounts.step, group)),
        wait=packed * took.wait / (share * amounts.step.mpixel),
        scored=packed * took.scored / costmodel.work(amounts.scored, group),
        device=took.device,
    )
    return [made], []


def _of_a_rank(config: Config) -> Config:
    """The config with one rank's share of the batch, where that is whole groups."""
    schedule, ranks = config.schedule, config.site.ranks * config.site.nodes
    share = max(schedule.batch_size // ranks, schedule.group_size * schedule.accumulate)
    whole = schedule.batch_size % ranks == 0 and share % (schedule.group_size * schedule.accumulate) == 0
    return replace(config, schedule=replace(schedule, batch_size=share)) if whole else config


def _sees_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _said(counts: dict[str, Amounts], rates: Sequence[Rates]) -> str:
    steps = [rate.device for rate in rates if not rate.cell]
    done = len(rates) - len(steps)
    by = [f"{done} cells done"] if done else []
    by += [f"steps timed on this {device}" for device in dict.fromkeys(steps)]
    return f"Cost model: {len(counts)} shapes counted; rates by {' and '.join(by) or 'nothing yet'}."
