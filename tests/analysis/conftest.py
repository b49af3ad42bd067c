"""A small real store: cells that were trained in this process, and synced into MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from analysis.table import Table
from tests.conftest import SMALL_SCHEDULE

SWEEP = "shapes"


@dataclass
class Store:
    """A folder as a user has it after a sweep, and what its MLflow holds."""

    root: Path
    words: list[str]  # the grid, as overrides
    uri: str
    frame: pd.DataFrame
    table: Table


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two methods, two splits and two seeds on generated pictures, trained for eight iterations; one cell never ran."""
    from gta.commands import common
    from gta.commands.table import build
    from gta.data.prepare import prepare
    from gta.train import train
    from launch.ledger import ledger
    from launch.record import sync

    root = tmp_path_factory.mktemp("sweep")
    folders = [f"paths.{name}={root / name}" for name in ("data", "splits", "runs", "results")]
    words = [f"sweep={SWEEP}", "method=supervised,gta", "data.split=1/5,1/4", "seed=0,1", *SMALL_SCHEDULE, *folders]
    words += ["data.generator.train=40", "data.generator.val=3", "site.workers=0", "site.device=cpu"]
    _, cells = common.grid(words)
    for cell in cells[:-1]:
        prepare(cell.config.data)
        cell.write()
        assert train(cell.config, cell.folder, cell.signature)
    sync(cells, SWEEP, warn=pytest.fail)
    frame, table = build(SWEEP, ledger(cells))
    return Store(root, words, cells[0].config.paths.tracking_uri, frame, table)
