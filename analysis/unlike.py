"""What cells of one table have unlike, and the seeds of one mean, which should differ in the seed alone: settings, what
computed them (a cell that went on elsewhere: within itself), the folders of their pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from analysis.cells import TableCell
from gta.text import some

OTHER_ROUNDING = "Not computed alike, so that rounding may differ: "
SEVERAL_ROOTS = "Several data roots, whose pictures nobody compared: "
_AND = " and "  # between the values of one cell, whose attempts were not alike
_NAMED = 3  # settings, means or cells in a sentence
_LONGEST = 40  # characters of a value
_CLOSE = ("torch", "opencv", "pillow")  # of these another major or minor version computes otherwise than in rounding


def notes(used: pd.DataFrame, cells: Sequence[TableCell]) -> list[str]:
    """What a footer says of it; `used`: the runs that the numbers come from, a row each."""
    text = []
    if told := settings(used, cells):
        text.append(f"Seeds of one mean differ (MIXED settings): {_few(told)}")
    if told := computing(used, cells):
        who = "Seeds of one mean, or attempts at one cell, differ" if _torn(used) else "Seeds of one mean differ"
        text.append(f"{who} (MIXED computing): {_few(told)}")
    if told := computed_by(used):
        text.append(OTHER_ROUNDING + "; ".join(told))
    if told := roots(used, cells):
        text.append(SEVERAL_ROOTS + "; ".join(told))
    return text


def mixed(used: pd.DataFrame, cells: Sequence[TableCell]) -> list[str]:
    """What of it --strict refuses whatever else it is told; `used` as of `notes`."""
    within = " or within a cell" if _torn(used) else ""
    found = {
        "settings that differ between the seeds of one mean": settings(used, cells),
        f"devices or versions that differ between the seeds of one mean{within}": computing(used, cells),
    }
    return [f"{kind} ({_few(told)})" for kind, told in found.items() if told]


def settings(used: pd.DataFrame, cells: Sequence[TableCell]) -> list[str]:
    """The settings in which seeds of one mean differ: "schedule.lr 0.01 (seed 0), 0.11 (seed 1) of gta 1/8 (50)".

    A setting that one cell has and another has not is at its default there (`gta.fields.result`, `later`).
    """
    have = set(used["signature"])
    return _within_means([cell for cell in cells if cell.signature in have], lambda cell: cell.settings, "its default")


def computing(used: pd.DataFrame, cells: Iterable[TableCell]) -> list[str]:
    """In which kind of device, and which versions by more than a patch, seeds of one mean differ, in such words, or the
    attempts at one cell: "torch 2.6 and 2.11 (seed 0), 2.11 (seed 1) of gta 1/8 (50)". What a record does not say is
    like all others.
    """
    found = {run["signature"]: _kinds(run) for _, run in used.iterrows()}
    mine = [cell for cell in cells if cell.signature in found]
    return _within_means(mine, lambda cell: found[cell.signature], torn=lambda text: _AND in text)


def _torn(used: pd.DataFrame) -> bool:
    """Whether a cell has attempts of several kinds."""
    return any(_AND in text for _, run in used.iterrows() for text in _kinds(run).values())


def computed_by(used: pd.DataFrame) -> list[str]:
    """What of versions, GPUs and CPUs is not the same for all cells, or for all of one: "torch 2.11.0 (5 cells), 2.12.0
    (1 cell)", "torch 2.6.0 and 2.11.0 (1 cell)".
    """
    found: dict[str, dict[str, int]] = {}
    for _, run in used.iterrows():
        device = {"trained on": _device(run)} if _device(run) else {}
        for name, text in {**_versions(run), **device}.items():
            counts = found.setdefault(name, {})
            counts[text] = counts.get(text, 0) + 1
    return [
        f"{name} {', '.join(f'{text} ({_cells(count)})' for text, count in counts.items())}"
        for name, counts in found.items()
        if len(counts) > 1 or any(_AND in text for text in counts)
    ]


def roots(used: pd.DataFrame, cells: Iterable[TableCell]) -> list[str]:
    """The folders of pictures of each data set that has several, with the cells of each; "" is not known, and none."""
    called = {cell.signature: f"{cell.row} {cell.column} seed {cell.seed}" for cell in cells}
    found: dict[str, dict[str, list[str]]] = {}
    for _, run in used.iterrows():
        if run["data_root"]:
            found.setdefault(run["dataset"], {}).setdefault(run["data_root"], []).append(called[run["signature"]])
    return [
        f"{dataset} in {', '.join(f'{root} ({some(names, _NAMED)})' for root, names in folders.items())}"
        for dataset, folders in found.items()
        if len(folders) > 1
    ]


def _within_means(
    cells: Iterable[TableCell],
    values: Callable[[TableCell], Mapping[str, str]],
    absent: str | None = None,
    torn: Callable[[str], bool] = lambda text: False,
) -> list[str]:
    """In what the cells of one row and column differ; what a cell does not say is `absent`, or, without that word, like
    the others. A value that is `torn` differs from itself.
    """
    means: dict[str, list[TableCell]] = {}
    for cell in cells:
        means.setdefault(f"{cell.row} {cell.column}", []).append(cell)
    where: dict[str, list[str]] = {}
    for mean, group in means.items():
        group.sort(key=lambda cell: cell.seed)
        if all(values(cell) == values(group[0]) for cell in group) and not any(map(torn, values(group[0]).values())):
            continue  # most, at once
        for name in dict.fromkeys(name for cell in group for name in values(cell)):
            seeds: dict[str, list[int]] = {}
            for cell in group:
                if (text := values(cell).get(name, absent)) is not None:
                    seeds.setdefault(text or "nothing", []).append(cell.seed)
            if len(seeds) > 1 or any(map(torn, seeds)):
                where.setdefault(f"{name} {_by_seed(seeds)}", []).append(mean)
    every = len(means) if len(means) > 1 else 0
    return [
        f"{said} {'of every mean' if len(found) == every else f'of {some(found, _NAMED)}'}"
        for said, found in where.items()
    ]


def _by_seed(seeds: dict[str, list[int]]) -> str:
    return ", ".join(
        f"{text if len(text) <= _LONGEST else text[: _LONGEST - 3] + '...'} "
        f"({'seed' if len(ones) == 1 else 'seeds'} {', '.join(map(str, ones))})"
        for text, ones in seeds.items()
    )


def _few(told: Sequence[str]) -> str:
    """The first of many, parted by semicolons."""
    more = len(told) - _NAMED
    return "; ".join(told[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _kinds(run: pd.Series) -> dict[str, str]:
    """The kinds of device, and the major and minor versions of what changes more than the last digits with them."""
    kinds = {
        name: _all(".".join(version.split(".")[:2]) for version in text.split(_AND))
        for name, text in _versions(run).items()
        if name in _CLOSE
    }
    device = _all("CPU" if name == "none" else "GPU" for name in str(run["gpu"]).split(", ") if name)
    return kinds | ({"device": device} if device else {})


def _versions(run: pd.Series) -> dict[str, str]:
    """Package -> its version, or versions, of the text that a run has."""
    found: dict[str, list[str]] = {}
    for name, _, version in (part.partition(" ") for part in str(run["versions"]).split(", ")):
        if version:
            found.setdefault(name, []).append(version)
    return {name: _all(versions) for name, versions in found.items()}


def _device(run: pd.Series) -> str:
    """The GPUs that a cell trained on, else the CPUs; empty where that is not known."""
    if run["gpu"] == "none":
        return _all(str(run["cpu"] or "a CPU").split(", "))
    return _all("a CPU" if name == "none" else name for name in str(run["gpu"]).split(", "))


def _all(values: Iterable[str]) -> str:
    return _AND.join(dict.fromkeys(values))


def _cells(count: int) -> str:
    return f"{count} cell{'s' if count > 1 else ''}"
