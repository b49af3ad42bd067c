"""A real Slurm for the tests of this folder, on this machine alone, started once and stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.slurm import ACCOUNTING, Slurm, missing, started


@pytest.fixture(scope="session")
def cluster() -> Iterator[Slurm]:
    """One cluster for all tests, with accounting where slurmdbd and MariaDB are installed."""
    with started(accounting=not missing(ACCOUNTING)) as cluster:
        yield cluster


@pytest.fixture
def slurm(cluster: Slurm) -> Iterator[Slurm]:
    """The cluster, with every node idle: a test that failed, or a node that Slurm has drained, fails no other test."""
    cluster.clear()
    yield cluster
    print(cluster.told())  # shown with a test that failed
