"""A small real store: cells that were trained in this process, and synced into MLflow."""

from __future__ import annotations

import pytest

from gta.sweep import Sweep
from tests.helpers.program import SMALL_SCHEDULE
from tests.helpers.store import Store

SWEEP = Sweep("shapes")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two methods, two splits and two seeds on generated pictures, trained for eight iterations; one cell never ran."""
    from gta.cli import composing
    from gta.cli.table import build
    from gta.train.run import train
    from launch.state.ledger import ledger
    from launch.submit.recorder import sync

    root = tmp_path_factory.mktemp("sweep")
    folders = [f"paths.{name}={root / name}" for name in ("data", "splits", "runs", "results")]
    words = [
        f"sweep={SWEEP.name}",
        "method=supervised,gta",
        "data.split=1/5,1/4",
        "seed=0,1",
        *SMALL_SCHEDULE,
        *folders,
    ]
    words += ["data.generator.train=40", "data.generator.val=4", "site.workers=0", "site.device=cpu"]
    _, cells = composing.grid(words)
    for cell in cells[:-1]:
        cell.write()
        assert train(cell)
    assert sync(cells, SWEEP) == []
    frame, table, _ = build(SWEEP, ledger(cells))
    return Store(root, words, cells[0].config.paths.tracking_uri, frame, table)
