"""How long MLflow takes to be brought up to the journals of many cells, in all and of this process's CPU time.

usage: python benchmarks/sync.py [runs=60,1000,10000] [lines=40] [uri=http://127.0.0.1:5000] [again=yes]

Makes the folders of that many finished cells in a temporary folder (journals of `lines` log lines with 9 values, 4
evaluations, a result, a confusion matrix), then times: the first sync; a sync with nothing new; a sync after the sync
caches were lost (another machine's view of the same store); one after every journal grew by a line. again=no leaves out
the last two. Without uri= the store is a fresh SQLite file beside the cells. Needs some 50 KB of disk a cell.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gta.cellfolder import CellFolder, Identity, NetworkScores, Result, Score
from gta.files import write_json
from gta.journal import Journal
from gta.tracking import store
from gta.tracking import sync as tracking
from gta.tracking.report import SyncReport

OPTIONS = {"runs": "60,1000,10000", "lines": "40", "uri": "", "again": "yes"}
CLASSES = [f"class {number}" for number in range(21)]


def make(below: Path, number: int, lines: int) -> Path:
    """A finished cell; what is in it differs from the real thing in the numbers only."""
    folder = CellFolder(below / f"{number:016x}")
    with Journal(folder.journal_file) as log:
        log.event("started", iteration=0, world_size=1, device="cuda:0", commit="0" * 40)
        for line in range(1, lines + 1):
            log.metrics(20 * line, log_line(line))
            if line % max(1, lines // 4) == 0:
                log.metrics(20 * line, {"val/student/miou": 50 + 1 / line, "val/teacher/miou": 51 + 1 / line})
        log.event("finished", iteration=20 * lines)
    Identity(
        signature=folder.signature, method="gta", label="gta", dataset="voc", split="1_16", seed=number,
        split_family="u2pl", labels=662, unlabeled=9920, val=1449, ratio="1/16", created=time.time(),
        digests=dict.fromkeys(("labeled", "unlabeled", "val", "weights"), "a" * 64),
        params={f"group.setting_{i}": str(i / 7) for i in range(75)},
    ).write(folder.identity_file)  # fmt: skip
    score = Score(iteration=20 * lines, miou=51.0, iou=[51.0] * 21)
    Result(
        signature=folder.signature, iteration=20 * lines, headline="teacher", evaluation="original size",
        classes=CLASSES, networks={name: NetworkScores(last=score, best=score) for name in ("student", "teacher")},
        seconds=3600.0, commit="0" * 40, finished=time.time(),
    ).write(folder.result_file)  # fmt: skip
    matrix = {"network": "teacher", "iteration": 20 * lines, "classes": CLASSES, "matrix": [[1] * 21] * 21}
    write_json(folder.artifacts_folder / "confusion.json", matrix)
    folder.config_file.write_text("sweep_name: benchmark\n")
    return folder.path


def log_line(line: int) -> dict[str, float]:
    losses = {f"loss/{name}": 1 / line for name in ("supervised", "unsupervised", "assistant")}
    system = {f"system/{name}": float(line) for name in ("cpu_percent", "process_cpu_percent", "memory_mib", "gpu")}
    return {**losses, **system, "lr": 0.01, "seconds": float(line)}


def measure(runs: int, lines: int, uri: str, again: bool) -> list[str]:
    """A row of the table."""
    with tempfile.TemporaryDirectory(prefix="gta-sync-") as temporary:
        root = Path(temporary)
        cells = [make(root / "cells", number, lines) for number in range(runs)]
        uri = uri or f"sqlite:///{root}/mlflow.db"
        store.create(uri)

        def sync() -> SyncReport:
            report = tracking.sync(cells, uri, "benchmark")
            if report.problems:
                sys.exit(str(report))
            return report

        began = time.process_time()
        first = sync()
        busy = time.process_time() - began
        second = sync()
        assert (second.unchanged, second.points) == (runs, 0)
        times = [first.seconds, busy, second.seconds]
        if again:
            for cell in cells:
                CellFolder(cell).sync_cache_file.unlink()
            times.append(sync().seconds)
            for cell in cells:
                with Journal(CellFolder(cell).journal_file) as log:
                    log.metrics(20 * lines + 20, log_line(lines))
            times.append(sync().seconds)
        else:
            times += [float("nan")] * 2
        return [f"{runs:,}", f"{first.points:,}", *(f"{seconds:.1f}" for seconds in times)]


def main(arguments: list[str]) -> None:
    if {"-h", "--help"} & set(arguments):
        print((__doc__ or "").strip())
        return
    options = {**OPTIONS, **dict(word.split("=", 1) for word in arguments)}
    if strange := options.keys() - OPTIONS.keys():
        sys.exit(f"error: {', '.join(sorted(strange))}: there are {', '.join(OPTIONS)}.")
    names = "runs | points | first sync (s) | its CPU (s) | nothing new (s) | caches lost (s) | a line more (s)"
    print(f"| {names} |\n|{' ---: |' * 7}", flush=True)
    for runs in options["runs"].split(","):
        row = measure(int(runs), int(options["lines"]), options["uri"], options["again"] == "yes")
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
