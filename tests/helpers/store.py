"""What a folder holds after a sweep, for tests of the analysis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.table import Table


@dataclass
class Store:
    """A folder as a user has it after a sweep, and what its MLflow holds."""

    root: Path
    words: list[str]  # the grid, as overrides
    uri: str
    frame: pd.DataFrame
    table: Table
