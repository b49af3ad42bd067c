"""Whether the interrupted run of a drill is the undisturbed one: each save, the files at the end, the journal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gta import journal
from gta.cellfolder import CellFolder
from gta.certificate import Deviation
from gta.ops.nested import named
from gta.text import some
from gta.train import checkpoint
from launch.drill.points import DrillFolder, Saved
from launch.drill.tensors import apart, contents, digests, farthest

NAMED = 3  # differing names in a sentence
ATTEMPTS = ("started", "resumed", "stopped")  # events of a journal that an interruption adds
FIRST = 2  # iterations: the loss of the second tells the gradients of the first
ROUNDING = {"fp32": 1e-4, "bf16": 3e-2}  # relative, of a loss in these


@dataclass
class Comparison:
    """What was compared, in words, and what differs, in the order in which it came up."""

    compared: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


def compare(whole: CellFolder, cut: CellFolder, ended: Mapping[int, str]) -> Comparison:
    """The interrupted run `cut` with the undisturbed one; `ended`: attempt -> the point that ended it."""
    found = Comparison()
    _saves(whole, cut, found, ended)
    for part in (_files_at_the_end, _journals, _results, _artifacts):
        part(whole, cut, found)
    return found


def _saves(whole: CellFolder, cut: CellFolder, found: Comparison, ended: Mapping[int, str]) -> None:
    """Each checkpoint that the interrupted run wrote, with that of the same iteration: what came first is named."""
    right = {one.iteration: one for one in DrillFolder.of(whole).saved()}
    saves = DrillFolder.of(cut).saved()
    for save in saves:
        differing = _differing(right[save.iteration].digests, save.digests)
        if differing:
            before = [point for attempt, point in sorted(ended.items()) if attempt < save.attempt]
            after = f", after {before[-1]}" if before else ""
            found.differences.append(
                f"the checkpoint of iteration {save.iteration}{after}: {_some(differing, len(save.digests))}"
            )
            break
    found.compared.append(f"{len(saves)} checkpoints as they were saved: {_counted(saves[-1]) if saves else 'none'}")


def _counted(save: Saved) -> str:
    """What a checkpoint holds, in numbers."""
    networks: dict[str, int] = {}
    for name in save.digests:
        kind, *rest = name.split(".")
        if kind in ("networks", "optimizers"):
            key = f"{rest[0]} network" if kind == "networks" else f"{rest[0]} optimizer"
            networks[key] = networks.get(key, 0) + 1
        else:
            networks["scores and counters"] = networks.get("scores and counters", 0) + 1
    return ", ".join(f"{name} {count}" for name, count in networks.items()) + " entries each (no generator is in it)"


def _differing(right: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The names under which two mappings hold something else, in order."""
    return [name for name in {**right, **other} if name not in other or name not in right or right[name] != other[name]]


def _some(names: Sequence[str], of: int) -> str:
    return f"{some(names, NAMED)} ({len(names)} of {of} entries)"


def _files_at_the_end(whole: CellFolder, cut: CellFolder, found: Comparison) -> None:
    """The files that are left at the end."""
    for title, name in (("the last checkpoint", "checkpoint_file"), ("the best weights", "best_file")):
        states = [checkpoint.load(getattr(folder, name)) for folder in (whole, cut)]
        right, other = map(digests, states)
        if differing := _differing(right, other):
            values = [contents(state) for state in states]
            first = differing[0]
            how = apart(*(value.get(first) for value in values))
            found.differences.append(f"{title}: {_some(differing, len(right))}; {first}: {how}")
        found.compared.append(f"{title}: {len(right)} entries, every bit")


def points_of(folder: CellFolder) -> Iterator[tuple[str, int, float]]:
    """(name, iteration, value) of every metric line, in order; but times, and what the machine did."""
    for record in journal.read(folder.journal_file):
        for name, value in record["values"].items() if record["kind"] == "metrics" else ():
            if name != "seconds" and not name.startswith("system/"):
                yield name, record["iteration"], value


def _journals(whole: CellFolder, cut: CellFolder, found: Comparison) -> None:
    """Every line of the interrupted run's, those that it made twice as well."""
    right = {(name, iteration): value for name, iteration, value in points_of(whole)}
    lines, differing = 0, []
    seen = set()
    for name, iteration, value in points_of(cut):
        lines += 1
        seen.add((name, iteration))
        if repr(right.get((name, iteration))) != repr(value):  # NaN is NaN
            differing.append(f"{name} of iteration {iteration} ({right.get((name, iteration))} and {value})")
    missing = [place for place in right if place not in seen]
    differing += [f"{name} of iteration {iteration} (missing)" for name, iteration in missing]
    events = [_events(folder) for folder in (whole, cut)]
    differing += [f"the event {event}" for event in sorted(events[0] ^ events[1])]
    if differing:
        found.differences.append(f"the journal: {some(differing, NAMED)}")
    found.compared.append(
        f"journal: {len(right)} values, {lines - len(right)} more that were made again, and its events"
    )


def _events(folder: CellFolder) -> set[str]:
    """The events of a journal as text, without times and those of attempts."""
    found = set()
    for record in journal.read(folder.journal_file):
        if record["kind"] == "event" and record["event"] not in ATTEMPTS:
            found.add(json.dumps({name: value for name, value in record.items() if name != "time"}, sort_keys=True))
    return found


def _results(whole: CellFolder, cut: CellFolder, found: Comparison) -> None:
    flat = [_plain(folder) for folder in (whole, cut)]
    if differing := _differing(*flat):
        first = differing[0]
        found.differences.append(
            f"result.json: {_some(differing, len(flat[0]))}; {first}: {flat[0].get(first)} and {flat[1].get(first)}"
        )
    found.compared.append(f"result.json: {len(flat[0])} values")


def _plain(folder: CellFolder) -> dict[str, Any]:
    """The result by dotted names, without times and the code."""
    result = folder.result()
    assert result is not None
    return {name: value for name, value in named(asdict(result)) if name not in ("seconds", "finished", "commit")}


def _artifacts(whole: CellFolder, cut: CellFolder, found: Comparison) -> None:
    files = [_files(folder.artifacts_folder) for folder in (whole, cut)]
    if differing := _differing(*files):
        found.differences.append(f"artifacts: {_some(differing, len(files[0]))}")
    if files[0]:
        found.compared.append(f"artifacts: {len(files[0])} files")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def deviation(one: CellFolder, other: CellFolder, ranks: int, against: int, precision: str) -> Deviation:
    """Of the run `other` on `ranks` ranks from `one` on `against`."""
    right = {(name, iteration): value for name, iteration, value in points_of(one) if name.startswith("loss")}
    far = {
        (name, iteration): abs(value - right[name, iteration]) / (abs(right[name, iteration]) or 1.0)
        for name, iteration, value in points_of(other)
        if (name, iteration) in right
    }
    first = max(value for (_, iteration), value in far.items() if iteration <= FIRST)
    weights, network = farthest(*(contents(checkpoint.load(folder.checkpoint_file)) for folder in (one, other)))
    results = [folder.result() for folder in (one, other)]
    miou = abs(results[0].miou - results[1].miou) if results[0] and results[1] else float("nan")
    return Deviation(
        ranks=ranks, against=against, first=first, losses=max(far.values()), weights=weights, network=network,
        miou=miou, rounding=first <= ROUNDING[precision],
    )  # fmt: skip
