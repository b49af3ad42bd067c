"""A cell's folder at one moment, put into MLflow's terms: tags, params, points, status. Reads files only."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gta import journal, keys
from gta.gpu_time import gpu_seconds

_FILES = ("config.yaml", "cell.json", "journal.jsonl", "result.json", "failure.json")
_SIGNS_OF_LIFE = {"journal.jsonl", "result.json", "failure.json"}


class Point(NamedTuple):
    """One value of one metric. `time` in unix seconds."""

    name: str
    value: float
    time: float
    iteration: int


def files_of(folder: Path) -> dict[str, list[int]]:
    """File name -> [bytes, modification time in ns] of what a sync reads; {} for a cell not yet started."""
    files = {}
    for name in _FILES:
        try:
            stat = (folder / name).stat()
        except OSError:
            continue
        files[name] = [stat.st_size, stat.st_mtime_ns]
    return files if "cell.json" in files and _SIGNS_OF_LIFE & files.keys() else {}


@dataclass
class Snapshot:
    """The contents of a cell's folder. `files` is older than they are: what changes later differs from it."""

    folder: Path
    files: dict[str, list[int]]
    cell: dict[str, Any]
    records: list[journal.Record]
    result: dict[str, Any] | None
    failure: dict[str, Any] | None

    @classmethod
    def take(cls, folder: Path) -> Snapshot:
        """Read the folder. Raises OSError or ValueError where one of its JSON files is broken."""
        files = files_of(folder)

        def read(name: str) -> Any:
            return json.loads((folder / name).read_text(encoding="utf-8")) if name in files else None

        # result.json is written last: what is read after it is whole.
        result, failure, cell = read("result.json"), read("failure.json"), read("cell.json")
        if not isinstance(cell, dict) or "signature" not in cell:
            raise ValueError("its cell.json has no signature")
        return cls(folder, files, cell, journal.read(folder / "journal.jsonl"), result, failure)

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
        if (seconds := gpu_seconds(self.records)) is not None:
            tags[keys.GPU_SECONDS] = f"{seconds:.1f}"
        if self.result is not None:
            tags |= self._result_tags(self.result)
        elif self.failure is not None:
            tags[keys.ERROR] = str(self.failure.get("error", ""))[:500]
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
        events = [record for record in self.records if record["kind"] == "event"]
        last: journal.Record = events[-1] if events else {"event": "started", "time": self.created}
        if self.failure is not None:
            failed = float(self.failure.get("time", self.created))
            if last["event"] not in ("started", "resumed") or float(last["time"]) <= failed:
                return "FAILED", failed
        if last["event"] == "stopped":
            return "KILLED", float(last["time"])
        return "RUNNING", 0.0

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
