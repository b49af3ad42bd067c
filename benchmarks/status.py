"""Seconds that `status` takes over many cells, by its parts, and two ratios: cells that differ in the seed copied over
composed one by one, and journals read from their end over read whole.

usage: python benchmarks/status.py [cells=1000] [lines=2000] [folder=FOLDER]

Makes so many cells of the embedded sweep in a folder of its own (a temporary one, if none is named), with journals of
so many lines; a tenth of them runs, another one failed, the others are done. Then, in this process and in turn: the
grid is composed (and some of its cells once more, one by one), the ledger and the board's lines are read, and read once
more with every journal read whole. Nothing is trained.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from gta import journal
from gta.cell import Cell
from gta.cellfolder import Failure, NetworkScores, Result, Score
from gta.cli import composing
from gta.compose.compose import Composer, typed
from gta.compose.hydra import ConfigLoaderImpl
from launch.show import rows
from launch.show.board import page
from launch.show.words import totals
from launch.state import attempts

ITERATIONS = 800


def main(words: list[str]) -> None:
    options = {"cells": "1000", "lines": "2000", "folder": "", **dict(word.split("=", 1) for word in words)}
    load = [sys.executable, "-c", "import gta.cli.composing, gta.compose.compose, launch.grid.grid, launch.show.board"]
    _, imports = timed(lambda: subprocess.run(load, check=True, cwd=Path(__file__).parents[1]))
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(options["folder"] or scratch)
        seeds = -(-int(options["cells"]) // 6)
        grid = ["sweep=shapes", f"seed=range(0,{seeds})", f"schedule.iterations={ITERATIONS}"]
        (_, cells), compose = timed(lambda: composing.grid([*grid, "data.generator.train=80", "data.generator.val=4"]))
        cells = cells[: int(options["cells"])]
        singly, copied = composing_cells(grid)
        records = [line(i) for i in range(int(options["lines"]))]
        for place, cell in enumerate(cells):
            make(cell, place, records)
        entries, ledger = timed(lambda: composing.look(cells))
        found, reading = timed(lambda: rows.rows(entries))
        from rich.console import Console

        console = Console(width=160, file=open(os.devnull, "w"), highlight=False)  # noqa: SIM115
        _, render = timed(lambda: console.print(*page(found, 160)[0], sep="\n"))
        last = journal.last
        journal.last = whole  # type: ignore[assignment]
        _, slow = timed(lambda: rows.rows(entries))
        journal.last = last
    print(totals(found))
    print(f"imports        {imports:7.2f} s  (torch and Hydra with them)")
    print(f"compose        {compose:7.2f} s  for {len(cells)} cells, {1000 * compose / len(cells):.1f} ms each")
    print(f"  one by one {1000 * singly:.1f} ms a cell, copied for another seed {copied / singly:.3f} of that")
    print(f"ledger         {ledger:7.2f} s")
    print(f"board's lines  {reading:7.2f} s  journals of {len(records)} lines, read from their end")
    print(f"render         {render:7.2f} s")
    print(f"journals read whole: {slow:.2f} s; from their end: {reading / slow:.3f} of that")


def composing_cells(grid: list[str]) -> tuple[float, float]:
    """Seconds for a config composed by itself, and for one that is copied; medians of 20."""
    hydra = composing.start()
    loader = hydra.config_loader
    assert isinstance(loader, ConfigLoaderImpl)
    words = [*composing.protected([word for word in grid if not word.startswith("seed")]), "method=gta"]
    composer = Composer(loader)
    composer.cell([*words, "seed=0"])
    cells = [[*words, f"seed={seed}"] for seed in range(1, 21)]
    copied = [timed(partial(composer.cell, cell))[1] for cell in cells]
    singly = [timed(partial(lambda cell: typed(composer.compose(cell)), cell))[1] for cell in cells]
    return statistics.median(singly), statistics.median(copied)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    value = work()
    return value, time.perf_counter() - started


def whole(path: Path) -> journal.Record | None:
    return next((record for record in reversed(journal.read(path)) if record["kind"] == "metrics"), None)


def line(i: int) -> str:
    values = {"loss/supervised": 1.0, "loss/unsupervised": 0.5, "lr": 0.01, "seconds": i / 4}
    return json.dumps({"time": time.time(), "kind": "metrics", "iteration": i + 1, "values": values}) + "\n"


def make(cell: Cell, place: int, lines: list[str]) -> None:
    """A cell's folder as a run leaves it: running (every tenth), failed (every tenth), or done."""
    cell.write()
    mine = attempts.claim(cell.folder, job=f"57_{place}", log=str(cell.folder.path / "log.out"))
    assert mine is not None
    begun = json.dumps({"time": time.time(), "kind": "event", "event": "started", "device": "cuda", "world_size": 1})
    cell.folder.journal_file.write_text("".join([begun + "\n", *lines]))
    if place % 10 == 0:
        return  # this process has it: it runs
    if place % 10 == 1:
        failure = Failure(attempt=1, error="RuntimeError: CUDA error", time=time.time(), rank=0)
        failure.write(cell.folder.failure_file)
        mine.end("failed")
        return
    classes = list(cell.config.data.classes)
    score = Score(iteration=ITERATIONS, miou=50.0 + place % 30, iou=[50.0 + place % 30] * len(classes))
    Result(
        signature=cell.signature, iteration=ITERATIONS, headline="student", evaluation="original size",
        classes=classes, networks={"student": NetworkScores(last=score, best=score)},
        seconds=200.0, commit=None, finished=time.time(),
    ).write(cell.folder.result_file)  # fmt: skip
    mine.end("done")


if __name__ == "__main__":
    main(sys.argv[1:])
