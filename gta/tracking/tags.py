"""Tags of a cell's run: who made it, where, on what and by which code, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from gta import journal
from gta.cellfolder import Attempt, Result
from gta.evaluations import Evaluation
from gta.provenance.environment import TREE, commit_of
from gta.sweep import Sweep
from gta.tracking import keys

EVALUATION_FIELDS = ("network", "which", "iteration", "evaluation", "images", "miou", "commit", "by_image")
_COMPUTING = {"torch": "torch", "numpy": "numpy", "opencv-python-headless": "opencv", "pillow": "pillow"}
_STARTS = ("started", "resumed")
Item = TypeVar("Item")


def attempt_tags(attempt: Attempt) -> dict[str, str]:
    """Who made it, where, and by which code."""
    tags = {keys.ATTEMPT: str(attempt.number), keys.HOST: attempt.host}
    if attempt.job:
        tags[keys.JOB] = attempt.job
    if code := attempt.commit or commit_of(attempt.environment):
        tags |= _commit_tags(code)
    if attempt.commit and (dirty := attempt.environment.get("dirty")) is not None:
        tags[keys.DIRTY] = str(bool(dirty)).lower()
    return tags


def computed_by(attempts: Sequence[Attempt]) -> dict[str, str]:
    """On which CPUs, and by which versions of what computes, the attempts (oldest first) trained of which something is
    left, as far as their records say: "torch 2.6.0, torch 2.11.0, numpy 2.3.4". What ended before it began is none.
    """
    begun = _begun(attempts)
    found = [one.environment for one in _lasting(begun, [one.began or 0 for one in begun])]
    packages = [have for one in found if isinstance(have := one.get("packages"), dict)]
    told = (f"{name} {have[pip]}" for pip, name in _COMPUTING.items() for have in packages if have.get(pip))
    values = {keys.CPU: (str(one.get("cpu") or "") for one in found), keys.VERSIONS: told}
    joined = {name: ", ".join(filter(None, dict.fromkeys(texts))) for name, texts in values.items()}
    return {name: text for name, text in joined.items() if text}


def _begun(attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """Those whose records say that they came to the training; where none does, the latest."""
    return [one for one in attempts if one.began is not None] or attempts[-1:]


def _lasting(items: Sequence[Item], began: Sequence[int]) -> list[Item]:
    """Of trainings one after the other, which began at these iterations, those of which something is left: a later one
    may have begun where they did, or before. The last is among them, whatever comes of it.
    """
    return [one for at, one in enumerate(items) if all(began[at] < later for later in began[at + 1 :])]


def started_by(sweep: Sweep | None, attempt: Attempt | None) -> dict[str, str]:
    """MLflow's own tags of who started it and with what: its columns User and Source."""
    command = f"gta multirun sweep={sweep.name} {sweep.variant}".strip() if sweep else "gta train"
    tags = {keys.SOURCE_NAME: command[: keys.LONGEST]}
    of_slurm = attempt and attempt.job and attempt.node  # the local launcher's jobs are processes, of no node
    tags[keys.SOURCE_TYPE] = "JOB" if of_slurm else "LOCAL"
    if attempt and (user := attempt.environment.get("user")):
        tags[keys.USER] = str(user)
    return tags


def gpu(records: Iterable[journal.Record], attempts: Sequence[Attempt]) -> str:
    """The kinds of GPU that the cell trained on, of each attempt (oldest first) of which something is left, parted by
    commas; "none" among them for a CPU, also of a machine that has some; "" where neither the journal nor the
    attempts' records say.
    """
    begun = [*_begun(attempts)]
    starts = [record for record in records if record["kind"] == "event" and record["event"] in _STARTS]
    starts = starts or [{"iteration": one.began or 0} for one in begun]
    began = [int(start.get("iteration") or 0) for start in starts]
    mine: list[Attempt | None] = []
    for iteration in reversed(began):  # one that died after its line in the journal has no such record
        mine.insert(0, begun.pop() if begun and begun[-1].began in (None, iteration) else None)
    pairs = _lasting(list(zip(starts, mine, strict=True)), began)
    return ", ".join(dict.fromkeys(name for start, attempt in pairs for name in _gpus(start, attempt)))


def _gpus(start: Mapping[str, Any], attempt: Attempt | None) -> list[str]:
    """The same of one attempt, whose line in the journal is `start`; [] where that is not known."""
    device = str(start.get("device", ""))
    if device and not device.startswith("cuda"):
        return ["none"]
    seen = attempt.environment.get("gpus") if attempt else None
    if names := seen or ([str(start["gpu"])] if start.get("gpu") else []):
        return names
    return ["unknown"] if device else ["none"] if seen is not None else []


def timm(records: Iterable[journal.Record]) -> str:
    """The versions of timm that made the network, each attempt's, parted by commas; "" for a network without it."""
    versions = [record.get("timm") for record in records if record["kind"] == "event" and record["event"] in _STARTS]
    return ", ".join(dict.fromkeys(str(version) for version in versions if version))


def result_tags(result: Result, attempt_tags: dict[str, str]) -> dict[str, str]:
    """What came of it; the commit that ended it is the result's."""
    tags = {
        keys.HEADLINE: result.headline,
        keys.EVALUATION: result.evaluation,
        keys.ITERATION: str(result.iteration),
        keys.SECONDS: str(result.seconds),
    }
    if result.commit:
        tags |= _commit_tags(result.commit)
        if keys.DIRTY not in attempt_tags and not result.commit.startswith(TREE):
            tags[keys.DIRTY] = str("+" in result.commit).lower()
    lists: dict[str, list[str] | list[float | None]] = {keys.CLASSES: result.classes}
    for network, scores in result.networks.items():
        lists[keys.IOU + network] = keys.rounded(scores.last.iou)
        lists[keys.BEST_IOU + network] = keys.rounded(scores.best.iou)
    for name, values in lists.items():
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        if values and len(text) <= keys.LONGEST:
            tags[name] = text
    return tags


def evaluation_tags(found: Iterable[Evaluation]) -> dict[str, str]:
    """What the cell's networks score by any protocol, a tag an evaluation; IoU by class where the tag holds it."""
    tags = {}
    for one in found:
        told = {name: getattr(one, name) for name in EVALUATION_FIELDS}
        text = json.dumps({**told, "iou": keys.rounded(one.iou)}, ensure_ascii=False, separators=(",", ":"))
        tags[keys.EVALUATED + one.name] = text if len(text) <= keys.LONGEST else json.dumps(told, ensure_ascii=False)
    return tags


def evaluations_in(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """What a run's tags have of `evaluation_tags`, by their names; one that somebody changed so that it is none is left
    out.
    """
    found = []
    for _, text in sorted((name, text) for name, text in tags.items() if name.startswith(keys.EVALUATED)):
        with suppress(ValueError, RecursionError):
            one = json.loads(text)
            if isinstance(one, dict) and one.keys() >= set(EVALUATION_FIELDS) and _is_evaluation(one):
                found.append(one)
    return found


def _is_evaluation(one: Mapping[str, Any]) -> bool:
    """Whether the values are of the types, and the percentages in the range, that `Evaluation` has."""
    texts = all(isinstance(one[name], str) for name in ("network", "which", "evaluation"))
    whole = all(type(one[name]) is int for name in ("iteration", "images"))
    commit = one["commit"] is None or isinstance(one["commit"], str)
    return texts and whole and commit and is_percent(one["miou"]) and is_by_class(one.get("iou", []))


def is_percent(value: object) -> bool:
    """Whether what JSON gave is a number of percent: neither a truth value, nor NaN, nor beyond 0 to 100."""
    return type(value) in (int, float) and 0 <= value <= 100  # type: ignore[operator]


def is_by_class(value: object) -> bool:
    """Whether what JSON gave is a list of percentages, None for a class that is absent."""
    return isinstance(value, list) and all(one is None or is_percent(one) for one in value)


def _commit_tags(commit: str) -> dict[str, str]:
    """Ours, and MLflow's own for what is a commit of git."""
    return {keys.COMMIT: commit} | ({} if commit.startswith(TREE) else {keys.SOURCE_COMMIT: commit})


def gpu_seconds(records: Iterable[journal.Record]) -> float | None:
    """Seconds from an attempt's start to its last record, times its GPUs, summed; None without an attempt.

    0 on a CPU. Every attempt counts, with what was done twice after a kill; what came after the last record of a killed
    one is not known, and not counted.
    """
    total, gpus, began, last, attempts = 0.0, 0, 0.0, 0.0, 0
    for record in records:
        if record["kind"] == "event" and record["event"] in _STARTS:
            total += gpus * (last - began)
            on_gpu = str(record.get("device", "")).startswith("cuda")
            gpus = int(record.get("world_size", 1)) if on_gpu else 0
            began, attempts = float(record["time"]), attempts + 1
        last = max(last, float(record["time"]))
    return total + gpus * (last - began) if attempts else None
