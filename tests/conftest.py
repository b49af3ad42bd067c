"""What all tests share: shared data where it is there, and the command line as a user runs it."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.fake_slurm import fake_slurm  # noqa: F401  (a fixture for every test)
from tests.helpers.program import ROOT, SMALL_SCHEDULE, SMALL_SHAPES, Run, run_gta

if TYPE_CHECKING:
    from gta.cell import Cell
    from gta.compose.hydra import ConfigLoaderImpl


# one intra-op thread in this process and every child: what the shipped sweeps use, and what two cores can bear
os.environ.setdefault("OMP_NUM_THREADS", "1")
# what is imported is compiled once, not in each process that tests start, as images of containers ask for
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# a shell's background jobs ignore Ctrl-C, and so would every program that a test starts and stops
signal.signal(signal.SIGINT, signal.default_int_handler)
# what is imported and collected stays: Python's collector need not go through it again and again
gc.set_threshold(10_000, 20, 50)
atexit.register(gc.freeze)


def pytest_collection_finish() -> None:
    """See above: from here on it goes through what tests make."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Of `-n auto`: two a core, since the slow tests wait for processes as long as they compute."""
    return min(2 * len(os.sched_getaffinity(0)), 16)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data sets and lists, named by GTA_SHARED or beside the checkout; else a skip."""
    folder = Path(os.environ.get("GTA_SHARED", ROOT.parent / "shared"))
    if not (folder / "datasets").is_dir():
        pytest.skip(f"the shared data sets are not there ({folder}; name another folder with GTA_SHARED)")
    return folder


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with a small generated `shapes` (40 training, 6 validation images)."""
    folder = tmp_path_factory.mktemp("data")
    answer = run_gta("data", "make-shapes", *SMALL_SHAPES, f"paths.data={folder}", cwd=folder)
    assert answer.returncode == 0, answer.stderr
    return folder


@pytest.fixture(scope="module")
def loader() -> ConfigLoaderImpl:
    """Hydra's loader over our schema, groups and sweeps."""
    from gta.compose import compose
    from gta.compose.hydra import ConfigLoaderImpl
    from launch.grid import plugins

    plugins.install()
    made = compose.start().config_loader
    assert isinstance(made, ConfigLoaderImpl)
    return made


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with MLflow's tables and no experiment of ours: copying it saves a test MLflow's migrations."""
    from gta.tracking import store

    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    store.connect(f"sqlite:///{path}").search_experiments(max_results=1)
    return path


@pytest.fixture
def small(generated: Path, tmp_path: Path) -> list[str]:
    """Overrides for a grid that takes seconds, with every folder below tmp_path."""
    folders = [f"paths.{name}={tmp_path / name}" for name in ("splits", "runs", "results")]
    return [*SMALL_SHAPES, *SMALL_SCHEDULE, f"paths.data={generated}", *folders, "data.split=1/5"]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process, in tmp_path: its imports are paid for once. Cells still are processes."""
    from gta.cli.main import main

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        code = main(list(arguments))
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(list(arguments), code, shown.out, shown.err)

    return run


@pytest.fixture
def gta(tmp_path: Path) -> Run:
    """The command line as a process of its own, in tmp_path."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_gta(*arguments, cwd=tmp_path, **environment)

    return run


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    """Three frozen cells, gta on 1/8 with seeds 0, 1 and 2, below tmp_path/runs."""
    from tests.helpers.cells import of_seeds

    made = of_seeds(3, tmp_path / "runs")
    for cell in made:
        cell.write()
    return made
