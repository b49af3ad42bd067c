"""What `gta table` and `gta report` put on a sweep's page in MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.table import Table
    from gta.sweep import Sweep
    from launch.state.ledger import Entry


def publish(sweep: Sweep, entries: Sequence[Entry], made: Table, files: Sequence[Path]) -> list[str]:
    """Bring the sweep's page in MLflow up to its table: numbers, note, these files and the sweep's own; what went
    wrong.
    """
    from analysis.render.page import metrics, note
    from gta.compose.compose import sweep_files
    from gta.tracking.page import SweepPage
    from gta.tracking.page import publish as send
    from launch.submit.recorder import named

    paths = entries[0].cell.config.paths
    found = {path.name: path for path in files}
    if (own := sweep_files().get(sweep.name)) and own.exists():
        found[own.name] = own
    page = SweepPage(metrics(made), note(made), found, tuple(made.rows))
    troubles = [
        trouble for one in named(sweep) for trouble in send(paths.tracking_uri, one.tag, page, Path(paths.runs))
    ]
    return [f"MLflow is not up to date: {trouble}" for trouble in troubles]
