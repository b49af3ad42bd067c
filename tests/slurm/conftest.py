"""A real Slurm for the tests of this folder, on this machine alone, started once and stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.slurm import ACCOUNTING, Slurm, missing, started


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """One cluster for all tests, with accounting where slurmdbd and MariaDB are installed."""
    with started(accounting=not missing(ACCOUNTING)) as cluster:
        yield cluster
