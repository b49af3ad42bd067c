"""What a grid will cost: GPU-hours by finished cells of the same shape, else the site's rates, else the cost model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

from gta import journal
from gta.cell import Cell
from gta.cellfolder import BrokenRecord, CellFolder, readable
from gta.config import Config
from gta.errors import UserError
from gta.fields import params
from launch.slurm.resources import held
from launch.state.ledger import Entry
from launch.submit import costmodel

ANY = "any"  # the key in site.rates for methods that are not named there
SAMPLES = 3  # finished cells of a shape that are enough
MOST_READ = 1000  # finished cells that are looked at, the newest first
# What sets the time of an iteration, beside the method's own settings, the ranks and their device.
_SHAPE = (
    "method.name", "model.encoder", "model.width", "model.output_stride", "model.decoder_channels", "model.auxiliary",
    "model.stem", "model.dry", "data.name", "data.crop_size", "data.input_scale", "schedule.batch_size",
    "schedule.group_size", "evaluation.protocol", "precision", "num_threads",
    "deterministic", "tf32", "compile",
)  # fmt: skip
Shape = tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """Of one cell. `hours` of its `unit` (GPU, or core where it uses no GPU); None: unknown. `source`: measured, rate,
    model; `factor`: how far the last may be off either way.
    """

    cell: Cell
    unit: str
    units: float  # GPUs or cores that the cell holds; a share of one where cells are packed
    hours: float | None
    source: str = ""
    factor: float = 1.0


def costs(entries: Sequence[Entry], beside: Sequence[Entry] = ()) -> list[Cost]:
    """What is left to pay for each cell. `beside`: others of their grid, by which the cost model is checked."""
    cells = [entry.cell for entry in entries]
    candidates = [_shapes(cell.config) for cell in cells]
    measured = _measured(cells, candidates)
    models = {runs: costmodel.of_runs(runs, beside) for runs in {cell.config.paths.runs for cell in cells}}
    made = []
    for cell, mine in zip(cells, candidates, strict=True):
        holds = held(cell.config)
        unit, units = holds.unit, holds.units
        left, model = _iterations_left(cell), models[cell.config.paths.runs]
        seconds = [measured[shape] for shape in mine if shape in measured]
        rates = cell.config.site.rates
        rate = rates.get(cell.config.method.name, rates.get(ANY))
        if seconds:
            made.append(Cost(cell, unit, units, left * median(seconds[0]) * units / 3600, "measured"))
        elif rate is not None:
            made.append(Cost(cell, unit, units, left * rate / 3600, "rate"))
        elif guess := model.seconds(cell):
            share = left / max(cell.config.schedule.iterations, 1)
            made.append(Cost(cell, unit, units, share * guess.total * units / 3600, "model", model.factor(cell.config)))
        else:
            made.append(Cost(cell, unit, units, None))
    return made


def describe(entries: Sequence[Entry], beside: Sequence[Entry] = (), calibrated: bool = False) -> str:
    """The price of running these cells, in a line for each kind of resource, and what is unknown in one more; `beside`
    as of `costs`. `calibrated`: the cost model was made just now, so that is no advice.
    """
    if not entries:
        return "To run: nothing."
    found = costs(entries, beside)
    return "\n".join([*(_line(found, unit) for unit in _units(found)), *_unknown(found, calibrated)])


def _line(found: Sequence[Cost], unit: str) -> str:
    mine = [cost for cost in found if cost.unit == unit]
    known = [cost for cost in mine if cost.hours is not None]
    jobs = _jobs(cost.cell for cost in mine)
    each = sorted({max(1, round(cost.units * cost.cell.config.site.cells_per_gpu)) for cost in mine})
    held = " or ".join(map(str, each)) + f" {unit}{'s' * (each != [1])}"
    text = f"To run: {_many(len(mine), 'cell')} in {_many(jobs, 'job')} of {held}; "
    if not known:
        return text + f"{unit}-hours: unknown."
    how = {source: sum(cost.source == source for cost in known) for source in ("measured", "rate", "model")}
    parts = [f"{how['measured']} by finished cells of the same shape"] if how["measured"] else []
    parts += [f"{how['rate']} by site.rates"] if how["rate"] else []
    parts += [f"{how['model']} by the cost model"] if how["model"] else []
    parts += [f"{len(mine) - len(known)} unknown and not counted"] if len(known) < len(mine) else []
    least, most = _amount(_total(mine, -1)), _amount(_total(mine, 1))
    amount = f"{least} to {most}" if how["model"] else f"about {most}"
    return text + f"{amount} {unit}-hours ({', '.join(parts)})."


def _unknown(found: Sequence[Cost], calibrated: bool) -> list[str]:
    """What would tell the price of the others."""
    methods = sorted({cost.cell.config.method.name for cost in found if cost.hours is None})
    if not methods:
        return []
    unit = next(cost.unit for cost in found if cost.hours is None)
    model = "" if calibrated else " by `gta plan sweep=NAME --calibrate`,"
    return [
        f"What {', '.join(methods)} costs here is unknown: it is known once one such cell is done,{model} "
        f"or from site.rates.{methods[0]}=SECONDS ({unit}-seconds an iteration)."
    ]


def refuse(
    entries: Sequence[Entry], budget: float | None, beside: Sequence[Entry] = (), calibrated: bool = False
) -> None:
    """Raises UserError where these cells cost more than `budget` GPU-hours, or where nobody knows what they cost; a
    range counts with its upper end. `beside` and `calibrated` as of `describe`.

    Cells without a GPU count core-hours against it. None: no budget.
    """
    if budget is None or not entries:
        return
    found = costs(entries, beside)
    if unknown := _unknown(found, calibrated):
        raise UserError(f"--budget {budget:g} cannot be held. {unknown[0]} Or leave the budget out.")
    for unit in _units(found):
        mine = [cost for cost in found if cost.unit == unit]
        if (total := _total(mine)) > budget:
            note = "" if unit == "GPU" else " (cells without a GPU count core-hours)"
            about = "up to" if any(cost.source == "model" for cost in mine) else "about"
            raise UserError(
                f"The {_many(len(mine), 'cell')} to run cost {about} {_amount(total)} {unit}-hours, above "
                f"--budget {budget:g}{note}: nothing was submitted. Run fewer cells (--cells, seed=), or raise it."
            )


def _total(found: Iterable[Cost], end: int = 1) -> float:
    """Hours of all, each at the upper end of its range (-1: the lower one)."""
    return sum((cost.hours or 0.0) * cost.factor**end for cost in found)


def _units(found: Sequence[Cost]) -> list[str]:
    return [unit for unit in ("GPU", "core") if any(cost.unit == unit for cost in found)]


def _jobs(cells: Iterable[Cell]) -> int:
    """Jobs that hold so many cells, packed as their sites say."""
    packed: dict[int, int] = {}
    for cell in cells:
        packed[cell.config.site.cells_per_gpu] = packed.get(cell.config.site.cells_per_gpu, 0) + 1
    return sum(-(-count // each) for each, count in packed.items())


def _iterations_left(cell: Cell) -> int:
    """Of a cell that was interrupted, what its last checkpoint leaves."""
    schedule = cell.config.schedule
    if not cell.folder.has_checkpoint:
        return schedule.iterations
    seen = readable(lambda: journal.last(cell.folder.journal_file), say=lambda _: None)
    saved = seen["iteration"] // schedule.checkpoint_every * schedule.checkpoint_every if seen else 0
    return max(schedule.iterations - saved, 0)


def _shapes(config: Config) -> list[Shape]:
    """The shapes by which a cell can be priced: its own, then that of the same method with any settings."""
    where = held(config).unit + f" x{config.site.ranks * config.site.nodes} /{config.site.cells_per_gpu}"
    return shapes(params(config), where)


def shapes(settings: dict[str, str], where: str) -> list[Shape]:
    loose = (where, *(f"{name}={settings.get(name)}" for name in _SHAPE))
    exact = (*loose, *(f"{name}={settings[name]}" for name in sorted(settings) if name.startswith("method.")))
    return [exact, loose]


def _measured(cells: Sequence[Cell], candidates: Sequence[list[Shape]]) -> dict[Shape, list[float]]:
    """Shape -> seconds an iteration of finished cells in the same runs folders; a few are enough."""
    wanted = {shape for mine in candidates for shape in mine}
    exact = {mine[0] for mine in candidates}
    alike = {(mine[1][0].rpartition(" /")[0], *mine[1][1:]) for mine in candidates}
    found: dict[Shape, list[float]] = {}
    for runs in sorted({cell.config.paths.runs for cell in cells}):
        for folder in newest(Path(runs) / "cells")[:MOST_READ]:
            if all(len(found.get(shape, ())) >= SAMPLES for shape in exact):
                break
            done = finished(folder) if _loosely(folder) in alike else None  # its config takes the longest to read
            for shape in set(done[0]) & wanted if done else ():
                found.setdefault(shape, []).append(done[1])  # type: ignore[index]
    return found


def _loosely(folder: CellFolder) -> Shape | None:
    """The looser shape of a cell, but for how it is packed; None where its records do not say."""
    where, identity = _ran_on(folder), readable(folder.identity, say=lambda _: None)
    return tuple(shapes(identity.params, where)[1]) if where and identity else None


def _ran_on(folder: CellFolder) -> str | None:
    """Such as "core x1", by the beginning of its journal; None where that does not say."""
    try:
        began = journal.first(folder.journal_file) or {}
        unit = "core" if str(began["device"]).startswith("cpu") else "GPU"
        return f"{unit} x{began['world_size']}"
    except (KeyError, TypeError, BrokenRecord):
        return None


def newest(folder: Path) -> list[CellFolder]:
    """The folders of cells in a folder, the one that changed last first."""
    try:
        with os.scandir(folder) as entries:
            pairs = sorted(((entry.stat().st_mtime, entry.path) for entry in entries), reverse=True)
    except OSError:
        return []
    return [CellFolder(Path(path)) for _, path in pairs]


def finished(folder: CellFolder) -> tuple[list[Shape], float] | None:
    """Shapes and seconds an iteration of a finished cell, by what it ran on; None for one that is not done, or whose
    records are broken.
    """
    try:
        return _finished(folder, folder.result_file.stat().st_mtime_ns)
    except (OSError, BrokenRecord):
        return None


@cache
def _finished(folder: CellFolder, changed: int) -> tuple[list[Shape], float] | None:
    result, identity, settings = folder.result(), folder.identity(), folder.settings()
    if result is None or identity is None or settings is None or (where := _ran_on(folder)) is None:
        return None
    try:
        packed = settings["site"]["cells_per_gpu"]
    except (KeyError, TypeError):  # a config without a site
        return None
    return shapes(identity.params, f"{where} /{packed}"), result.seconds / max(result.iteration, 1)


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _amount(hours: float) -> str:
    """34 for 34.2, 3.4 for 3.42, 0.034."""
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"
