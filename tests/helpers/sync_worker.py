"""One of eight cells of tests of backends: writes its journal, and sends it to every store as it grows."""

from __future__ import annotations

from pathlib import Path

from gta.cellfolder import CellFolder
from gta.journal import Journal
from gta.tracking import sync as tracking

ROUNDS, LINES = 2, 60


def main(folder: str, *uris: str) -> None:
    with Journal(CellFolder(Path(folder)).journal_file) as log:
        for number in range(ROUNDS):
            for i in range(number * LINES, (number + 1) * LINES):
                log.metrics(i, {"loss/supervised": 1 / (1 + i), "lr": 0.1, "system/cpu_percent": float(i % 7)})
            for uri in uris:
                report = tracking.sync([folder], uri, "eight")
                assert not report.problems, report
