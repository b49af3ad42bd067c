"""The kinds of masks in which some public data sets are handed around: which one these are, told by their labels.

Reading one kind as another shifts classes or ignores one, and most of the labels would still be valid. So what is seen
is said by `gta data check`, also where it is what the config asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from gta.config import DataConfig
from gta.data.spec import IGNORE

# Of the ids 1 to 90 that COCO's annotations have, those that no category ever had.
COCO_UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
TOLD_BY = 512  # masks of a list that are looked at before a cell trains on one kind of several
MOST = 4  # runs of labels that are named one by one


@dataclass(frozen=True)
class Convention:
    """Masks of one kind. `data`: the shipped data set that reads them; `labels`: all that they may hold."""

    data: str
    title: str
    labels: frozenset[int]


def _convention(data: str, title: str, *labels: Iterable[int]) -> Convention:
    return Convention(data, title, frozenset(label for some in labels for label in some))


# Name of the data set -> its conventions.
CONVENTIONS: dict[str, tuple[Convention, ...]] = {
    "ade20k": (
        _convention("ade20k", "raw ADE20K (ADEChallengeData2016), 0 is not labeled", range(151)),
        _convention("ade20k_trainids", "preprocessed ADE20K, 255 is not labeled", range(150), [IGNORE]),
    ),
    "coco": (
        _convention("coco", "preprocessed COCO, classes in a row", range(81), [IGNORE]),
        _convention("coco_category_ids", "COCO's own category ids", {*range(91)} - {*COCO_UNUSED}, [IGNORE]),
    ),
}


def recognised(config: DataConfig, values: Collection[int]) -> tuple[Convention, ...]:
    """The conventions of the config's data set that masks with these labels may be of; none for other data sets."""
    return tuple(one for one in CONVENTIONS.get(config.name, ()) if one.labels.issuperset(values))


def asked_for(config: DataConfig) -> Convention | None:
    """The convention by which the config reads masks; None where it is none of them: data of another kind, then."""
    known = {pair[0] for pair in config.label_map} or set(range(len(config.classes)))
    reads = known | {config.ignore_index}
    return next((one for one in CONVENTIONS.get(config.name, ()) if one.labels == reads), None)


def said(config: DataConfig, values: Sequence[int]) -> str:
    """Which kind of masks these labels are of, in a sentence without its full stop; empty where there is no label, and
    for a data set of no conventions, or one that only has its name.
    """
    ours = asked_for(config)
    if ours is None or not values:
        return ""
    seen, found = f"masks hold {runs(values)}", recognised(config, values)
    if not found:
        kinds = "; ".join(f"data={one.data}: {runs(sorted(one.labels))}" for one in CONVENTIONS[config.name])
        return f"{seen}: none of the kinds that are known ({kinds})"
    if len(found) > 1:
        kinds = " or ".join(f"{one.title} (data={one.data})" for one in found)
        return f"{seen}: {kinds}: no label here tells which"
    (one,) = found
    return f"{seen}: {one.title}: " + (f"as data={one.data} reads them" if one == ours else f"say data={one.data}")


def misread(config: DataConfig, values: Collection[int]) -> bool:
    """Whether masks with these labels are of a known convention, and the config's is another."""
    found, ours = recognised(config, values), asked_for(config)
    return bool(found) and ours is not None and ours not in found


def runs(values: Sequence[int]) -> str:
    """Sorted labels in words: `0 to 149 and 255`."""
    starts = [value for value in values if value - 1 not in values]
    ends = [value for value in values if value + 1 not in values]
    if len(starts) > MOST:
        return f"{len(values)} labels from {values[0]} to {values[-1]}"
    parts = [str(a) if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
