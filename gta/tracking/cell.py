"""A cell's folder at one moment, put into MLflow's terms: tags, params, points, status. Reads files only."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gta import journal
from gta.tracking import keys
from gta.tracking.gpu_time import gpu_seconds

_FILES = ("config.yaml", "cell.json", "journal.jsonl", "result.json", "failure.json")
_FOLDERS = ("artifacts", "artifacts/images")
_SIGNS_OF_LIFE = {"journal.jsonl", "result.json", "failure.json"}


class Point(NamedTuple):
    """One value of one metric. `time` in unix seconds."""

    name: str
    value: float
    time: float
    iteration: int


def files_of(folder: Path) -> dict[str, list[int]]:
    """File name -> [bytes, modification time in ns] of what a sync reads; {} for a cell not yet started.

    "attempts" -> [how many, bytes of the last]: the heartbeat sets an attempt's time, which is no news.
    """
    files: dict[str, list[int]] = {}
    for name in _FILES:
        try:
            stat = (folder / name).stat()
        except OSError:
            continue
        files[name] = [stat.st_size, stat.st_mtime_ns]
    for name in _FOLDERS:
        for entry in _entries(folder / name):
            if entry.is_file() and not entry.name.startswith("."):
                files[f"{name}/{entry.name}"] = [entry.stat().st_size, entry.stat().st_mtime_ns]
    if numbered := _attempts(folder):
        files["attempts"] = [len(numbered), (folder / "attempts" / numbered[-1]).stat().st_size]
    return files if "cell.json" in files and _SIGNS_OF_LIFE & files.keys() else {}


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _attempts(folder: Path) -> list[str]:
    """File names of the attempts at the cell, oldest first (`launch.state.attempts` writes them: 0001.json, ...)."""
    return [entry.name for entry in _entries(folder / "attempts") if re.fullmatch(r"\d+\.json", entry.name)]


@dataclass
class Snapshot:
    """The contents of a cell's folder. `files` is older than they are: what changes later differs from it."""

    folder: Path
    files: dict[str, list[int]]
    cell: dict[str, Any]
    records: list[journal.Record]
    result: dict[str, Any] | None
    failure: dict[str, Any] | None
    attempt: dict[str, Any] = field(default_factory=dict)  # the latest one's record, and its "number"
    alive: bool | None = None  # whether a process works on the cell; None: not known

    @classmethod
    def take(cls, folder: Path, alive: bool | None = None) -> Snapshot:
        """Read the folder. Raises OSError or ValueError where one of its JSON files is broken."""
        files = files_of(folder)

        def read(name: str) -> Any:
            return json.loads((folder / name).read_text(encoding="utf-8")) if name in files else None

        # result.json is written last: what is read after it is whole.
        result, failure, cell = read("result.json"), read("failure.json"), read("cell.json")
        if not isinstance(cell, dict) or "signature" not in cell:
            raise ValueError("its cell.json has no signature")
        records = journal.read(folder / "journal.jsonl")
        return cls(folder, files, cell, records, result, failure, _latest_attempt(folder), alive)

    @property
    def signature(self) -> str:
        return str(self.cell["signature"])

    @property
    def journal_began(self) -> float | None:
        """When the journal's first line was written, unix seconds: tells two journals of one cell apart."""
        return float(self.records[0]["time"]) if self.records else None

    @property
    def created(self) -> float:
        return self.journal_began or float(self.cell.get("created", 0))

    @property
    def sweep(self) -> str | None:
        """The sweep that the cell was last submitted for, by its frozen config; None for a grid without a name."""
        if "config.yaml" not in self.files:
            return None
        text = (self.folder / "config.yaml").read_text(encoding="utf-8")
        found = re.search(r"^sweep_name: *['\"]?([\w.-]+)", text, flags=re.MULTILINE)
        return found[1] if found and found[1] != "none" else None

    @property
    def artifacts(self) -> dict[str, Path]:
        """Name in MLflow -> file, of what is sent as an artifact."""
        words = [name for name in _FILES if name in self.files and name not in ("journal.jsonl", "failure.json")]
        names = {name: name for name in words}
        names |= {name.removeprefix("artifacts/"): name for name in self.files if name.startswith("artifacts/")}
        return {name: self.folder / path for name, path in names.items()}

    def run_name(self) -> str:
        """What a person reads in MLflow's list of runs."""
        cell = self.cell
        split = f"{cell.get('ratio')} ({cell.get('labels')})"
        return f"{cell.get('label') or cell.get('method')} {split} seed {cell.get('seed')} {self.signature[:8]}"

    def params(self) -> dict[str, str]:
        """The settings that can change a result."""
        return {str(name): str(value) for name, value in self.cell.get("params", {}).items()}

    def tags(self) -> dict[str, str]:
        """All tags but the cursor and the sweeps."""
        cell = self.cell
        tags = {keys.tag(name): str(cell[name]) for name in keys.CELL_TAGS if cell.get(name) is not None}
        tags |= {keys.DIGEST + name: str(value) for name, value in cell.get("digests", {}).items()}
        if self.journal_began:
            tags[keys.JOURNAL] = repr(self.journal_began)
        tags |= self._attempt_tags()
        if (seconds := gpu_seconds(self.records)) is not None:
            tags[keys.GPU_SECONDS] = f"{seconds:.1f}"
        if self.result is not None:
            tags |= self._result_tags(self.result)
        elif self.failure is not None:
            tags[keys.ERROR] = str(self.failure.get("error", ""))[:500]
        return tags

    def _attempt_tags(self) -> dict[str, str]:
        attempt, tags = self.attempt, {}
        if attempt:
            tags = {keys.tag(name): str(attempt[name]) for name in keys.ATTEMPT_TAGS if attempt.get(name)}
            tags[keys.ATTEMPT] = str(attempt["number"])
        if commit := attempt.get("commit"):
            tags[keys.COMMIT] = tags["mlflow.source.git.commit"] = str(commit)
        if attempt.get("dirty") is not None:
            tags[keys.DIRTY] = str(bool(attempt["dirty"])).lower()
        if (path := self.folder / "checkpoint.pt").exists():
            tags[keys.CHECKPOINT] = str(path.absolute())
        return tags

    def _result_tags(self, result: dict[str, Any]) -> dict[str, str]:
        tags = {
            keys.HEADLINE: str(result["headline"]),
            keys.EVALUATION: str(result.get("evaluation", "")),
            keys.ITERATION: str(result["iteration"]),
            keys.SECONDS: str(result.get("seconds", "")),
        }
        if commit := result.get("commit"):
            tags[keys.COMMIT] = tags["mlflow.source.git.commit"] = str(commit)
            if self.attempt.get("dirty") is None:
                tags[keys.DIRTY] = str("+" in str(commit)).lower()
        lists = {keys.CLASSES: result.get("classes", [])}
        for network, scores in result["networks"].items():
            iou = scores["last"].get("iou", [])
            lists[keys.IOU + network] = [None if x is None else round(x, 4) for x in iou]
        for name, values in lists.items():
            text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
            if values and len(text) <= 5000:  # MLflow's limit; the artifact has them all
                tags[name] = text
        return tags

    def points(self) -> list[Point]:
        """The journal's points in their order, the first of each (name, iteration) only.

        A prefix of this list stays what it is while the journal grows: its length serves as the cursor.
        """
        seen: set[tuple[str, int]] = set()
        points = []
        for record in self.records:
            if record["kind"] != "metrics":
                continue
            for name, value in record["values"].items():
                name, iteration = keys.metric(name), int(record["iteration"])
                if (name, iteration) not in seen:
                    seen.add((name, iteration))
                    points.append(Point(name, value, float(record["time"]), iteration))
        return points

    def final_points(self) -> list[Point]:
        """The numbers of result.json, or []. Their time is the result's, so that they too count once."""
        result, points = self.result, []
        if result is None:
            return []

        def add(name: str, value: float) -> None:
            points.append(Point(name, float(value), float(result["finished"]), int(result["iteration"])))

        for network, scores in result["networks"].items():
            add(keys.final(network, keys.MIOU_LAST), scores["last"]["miou"])
            add(keys.final(network, keys.MIOU_BEST), scores["best"]["miou"])
            add(keys.final(network, "best_iteration"), scores["best"]["iteration"])
        headline = result["networks"][result["headline"]]
        add(keys.MIOU_LAST, headline["last"]["miou"])
        add(keys.MIOU_BEST, headline["best"]["miou"])
        return points

    def status(self) -> tuple[str, float]:
        """MLflow's word for how the cell stands, and when it ended (unix seconds; 0 while it runs)."""
        if self.result is not None:
            return "FINISHED", float(self.result["finished"])
        if self.alive:
            return "RUNNING", 0.0
        events = [record for record in self.records if record["kind"] == "event"]
        last: journal.Record = events[-1] if events else {"event": "started", "time": self.created}
        if self.failure is not None and self._failed_last(self.failure, last):
            return "FAILED", float(self.failure.get("time", self.created))
        if last["event"] == "stopped":
            return "KILLED", float(last["time"])
        if self.alive is False:  # it stopped without a word, and can go on: the last word of it is its end
            return "KILLED", float(self.records[-1]["time"]) if self.records else self.created
        return "RUNNING", 0.0

    def _failed_last(self, failure: dict[str, Any], event: journal.Record) -> bool:
        """Whether the failure is of the latest attempt; where attempts are not counted, whether nothing came later."""
        if self.attempt and "attempt" in failure:
            return bool(failure["attempt"] == self.attempt["number"])
        failed = float(failure.get("time", self.created))
        return event["event"] not in ("started", "resumed") or float(event["time"]) <= failed

    def iou_csv(self) -> str:
        """Per-class IoU in percent: a line a class, a column for each network's last and best; or ""."""
        if self.result is None:
            return ""
        columns = [(network, which) for network in self.result["networks"] for which in ("last", "best")]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["class", *(f"{network}_{which}" for network, which in columns)])
        for index, name in enumerate(self.result.get("classes", [])):
            row: list[Any] = [name]
            for network, which in columns:
                iou = self.result["networks"][network][which].get("iou") or []
                row.append("" if index >= len(iou) or iou[index] is None else iou[index])
            writer.writerow(row)
        return text.getvalue()


def _latest_attempt(folder: Path) -> dict[str, Any]:
    """The record of the latest attempt with its "number"; {} where there is none. A broken record has its number."""
    names = _attempts(folder)
    if not names:
        return {}
    number = {"number": int(names[-1].removesuffix(".json"))}
    try:
        fields = json.loads((folder / "attempts" / names[-1]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return number
    return {**fields, **number} if isinstance(fields, dict) else number
