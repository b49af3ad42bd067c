"""How much a number depends on which images were scored: a bootstrap over images.

The images of the validation list are drawn anew, as many as there are, with replacement; the mIoU of such a resample is
of its summed counts (`gta.evaluations.ByImage`), as that of the list is of all. All rows, seeds and columns that were
scored on the same images see the same resamples, so that differences are paired. It says nothing of other seeds or
other labeled lists: those are what a table's standard deviation is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.aggregate import Estimate
from analysis.entry import BEST, SeedScore, TableEntry
from analysis.significance import CONFIDENCE
from gta import evaluations
from gta.cellfolder import BrokenRecord, CellFolder, readable
from gta.errors import UserError
from gta.evaluations import ByImage

if TYPE_CHECKING:
    from analysis.view import Facet

RESAMPLES = 1000
OWN = "own"  # the protocol of training, as a cell has it among those by which it can be scored
Numbers = NDArray[np.float64]
BySeed = Mapping[int, ByImage]


@dataclass(frozen=True)
class OverImages:
    """One entry of a table over resamples of the images: `miou`, in percent, the mean over the row's `seeds`; of those
    that the baseline has too (`paired`), the `difference` to it in points; None without a baseline, and for itself.
    """

    row: str
    column: str
    seeds: tuple[int, ...]
    images: int
    miou: Estimate
    paired: tuple[int, ...] = ()
    difference: Estimate | None = None


@dataclass(frozen=True)
class Uncounted:
    """An entry of which nothing can be said, since its `seeds` have no counts by image that fit: `why`, where more is
    known than that; `fill`: the command that makes them, empty where none does. Without seeds it is the difference to
    the baseline alone that is not known.
    """

    row: str
    column: str
    seeds: tuple[int, ...]
    fill: str = ""
    why: str = ""


@dataclass(frozen=True)
class Lack:
    """Why one network has no counts by image that fit its score. `options`: of the `gta eval` that makes them; None
    where no command does.
    """

    why: str = ""
    options: str | None = ""


def miou(intersection: Numbers, union: Numbers) -> Numbers:
    """Of (..., classes) pixels each: mIoU in percent, over the classes that are there or predicted; (...)."""
    with np.errstate(invalid="ignore"):
        found: Numbers = 100 * np.nanmean(intersection / union, axis=-1)
    return found


@lru_cache(maxsize=4)
def draws(images: int) -> Numbers:
    """(RESAMPLES, images): how often each image is in each resample; the same for the same number of images."""
    places = np.random.default_rng(0).integers(images, size=(RESAMPLES, images))
    return np.stack([np.bincount(drawn, minlength=images) for drawn in places]).astype(np.float64)


def interval(ours: Iterable[ByImage], theirs: Sequence[ByImage] = ()) -> Estimate:
    """The mean mIoU of some networks in percent, and the percentiles of it over the resamples; less that of `theirs`,
    where there are any, on the same images. Raises UserError where they were scored on others.
    """
    ours = list(ours)
    if any(one.ids != ours[0].ids for one in (*ours, *theirs)):
        raise UserError("these networks were scored on other images, or in another order: nothing is paired.")
    value, drawn = _over(ours)
    if theirs:
        other, others = _over(theirs)
        value, drawn = value - other, drawn - others
    rest = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, [rest, 100 - rest])
    return Estimate(value, float(low), float(high))


def _over(counts: Sequence[ByImage]) -> tuple[float, Numbers]:
    """Mean over the networks: of all images, and of each resample (RESAMPLES,)."""
    times = draws(len(counts[0].ids))
    whole = [float(miou(one.intersection.sum(0).astype(np.float64), one.union.sum(0))) for one in counts]
    # sums of whole numbers below 2^53 are exact, in whatever order
    drawn = [miou(times @ one.intersection.astype(np.float64), times @ one.union.astype(np.float64)) for one in counts]
    return float(np.mean(whole)), np.mean(drawn, axis=0)


def of_table(
    entries: Mapping[tuple[str, str], TableEntry], facets: Mapping[str, Facet], cells: Path, baseline: str = ""
) -> tuple[list[OverImages], list[Uncounted]]:
    """Each entry that has numbers, and those of which nothing can be said, or no difference. `facets`: of each column;
    `cells`: the folder of the cells' folders (runs/cells), which have the counts.
    """
    found: dict[tuple[str, str], dict[int, ByImage]] = {}
    without: list[Uncounted] = []
    for (row, column), entry in entries.items():
        counted = {score.cell.seed: counts(score, entry.which, cells) for score in entry.done}
        known = {seed: one for seed, one in counted.items() if isinstance(one, ByImage)}
        lacks = {seed: one for seed, one in counted.items() if isinstance(one, Lack)}
        for lack in dict.fromkeys(lacks.values()):
            seeds = tuple(seed for seed, one in lacks.items() if one == lack)
            without.append(Uncounted(row, column, seeds, _fill(row, entry, facets[column], lack), lack.why))
        if known and not lacks and not _alike(known.values()):
            without.append(Uncounted(row, column, tuple(known), why="its seeds were scored on different images"))
        elif known and not lacks:
            found[row, column] = known
    made = []
    for (row, column), mine in found.items():
        base = found.get((baseline, column), {}) if row != baseline else {}
        if not _alike([*mine.values(), *base.values()]):
            without.append(Uncounted(row, column, (), why="they were scored on other images, or in another order"))
            base = {}
        made.append(_entry(row, column, mine, base))
    return made, without


def _alike(some: Iterable[ByImage]) -> bool:
    """Whether they are of the same images, in one order."""
    lists = [one.ids for one in some]
    return all(ids == lists[0] for ids in lists)


def _entry(row: str, column: str, mine: BySeed, base: BySeed) -> OverImages:
    seeds, paired = tuple(sorted(mine)), tuple(sorted(set(mine) & set(base)))
    images = len(mine[seeds[0]].ids)
    own = interval(mine[seed] for seed in seeds)
    if not paired:
        return OverImages(row, column, seeds, images, own)
    difference = interval([mine[seed] for seed in paired], [base[seed] for seed in paired])
    return OverImages(row, column, seeds, images, own, paired, difference)


def counts(score: SeedScore, which: str, cells: Path) -> ByImage | Lack:
    """What the network of a score got right and wrong in each image, or why that is not known: of another number than
    the score it is of no use.
    """
    folder = CellFolder(cells / score.cell.signature)
    asked = (score.network, which, score.evaluation)
    found = [one for one in evaluations.all_of(folder) if (one.network, one.which, one.evaluation) == asked]
    fitting = [one for one in found if abs(one.miou - (score.value(which) or 0.0)) < 1e-6]
    otherwise = False
    for one in fitting:
        try:
            if (by_image := evaluations.read_by_image(folder, one)) is not None:
                return by_image
        except BrokenRecord as error:  # `gta eval` makes it again
            otherwise |= error.reason == evaluations.OTHER_LIST
    if which == BEST and (headline := _headline(folder)) not in ("", score.network):
        return Lack(f"the best weights are kept of the {headline} alone", None)
    if otherwise:
        return Lack(_OTHER_LIST)
    return Lack(_OTHERWISE, " --again") if found and not fitting else Lack()


_OTHERWISE = (
    "`gta eval` came to another number than training, as another device, or other code, rounds otherwise, and counts "
    "of another number are not used; a cell that is trained with evaluation.by_image=true keeps its own"
)


_OTHER_LIST = "counted on another val list than the cell's; put that list back first, or nothing is recorded"


def _headline(folder: CellFolder) -> str:
    """The network whose best weights a cell keeps; empty where its result does not say."""
    result = readable(folder.result, say=lambda _: None)
    return result.headline if result else ""


def _fill(row: str, entry: TableEntry, facet: Facet, lack: Lack) -> str:
    cell = entry.scores[0].cell
    if lack.options is None or not (command := cell.protocol(facet.protocol or OWN).command):
        return ""
    which = " --which best" if facet.which == BEST else " --network all" if row != cell.row else ""
    return command + which + lack.options


def notes(found: Sequence[OverImages], without: Sequence[Uncounted], baseline: str) -> list[str]:
    """What the numbers mean, and which are not known, in sentences."""
    text = []
    if found:
        paired = f"; difference to {baseline} of the seeds that both have, on the same drawn images" if baseline else ""
        images = " or ".join(str(count) for count in sorted({one.images for one in found}))
        text.append(
            f"mIoU in percent, mean over the row's seeds{paired}; the {CONFIDENCE:.0%} interval is of {RESAMPLES:,} "
            f"resamples of the {images} validation images, drawn with replacement, each scored by its summed counts (a "
            "class that a resample does not show is not in its mean)"
        )
        text.append(
            "It says how much a number depends on which images the validation list has, for these very networks; "
            "nothing of other seeds or labeled lists, whose spread is the ± of the table"
        )
    for kind in dict.fromkeys((bool(one.seeds), one.why, one.fill) for one in without):
        seeds, why, fill = kind
        alike = [one for one in without if (bool(one.seeds), one.why, one.fill) == kind]
        named = ", ".join(f"{one.row} {one.column}" for one in alike)
        what = "Not known by image" if seeds else f"No difference to {baseline}"
        makes = f"; `{fill}`{_WHERE if why else ' makes that'}" if fill else ""
        text.append(f"{what}: {named}{f' ({why})' if why else ''}{makes}")
    return [f"{line}." for line in text]


_WHERE = " scores anew, on a device of the kind that trained"
