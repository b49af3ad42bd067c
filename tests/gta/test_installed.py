"""The program as a wheel installs it, in a folder that holds a user's own modules of the same names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.helpers.program import ROOT, SMALL_SCHEDULE

OWN = ("launch/__init__.py", "analysis.py", "sweeps.py", "random.py")
GRID = (
    "sweep=shapes",
    "method=supervised",
    "data.split=1/50",
    "seed=0",
    "data.generator.train=200",
    "data.generator.val=6",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages where pyproject.toml has a wheel put them, and nothing else."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    folder = tmp_path_factory.mktemp("site")
    for package in wheel["packages"]:
        there = folder / wheel["sources"].get(package, package)
        shutil.copytree(ROOT / package, there, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    return folder


@pytest.fixture
def working(tmp_path: Path) -> Path:
    for name in OWN:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('a module of the user')\n")
    return tmp_path


def run(site: Path, working: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"}
    command = [sys.executable, "-m", "gta", *words]
    return subprocess.run(command, cwd=working, env=environment, capture_output=True, text=True, timeout=900)


def test_a_wheel_puts_one_package_beside_those_of_other_programs(site: Path) -> None:
    assert [path.name for path in site.iterdir()] == ["gta"]


@pytest.mark.slow
def test_an_installed_program_runs_a_sweep_to_its_table_beside_a_users_own_modules(site: Path, working: Path) -> None:
    ended = run(site, working, "multirun", *GRID, *SMALL_SCHEDULE)
    assert ended.returncode == 0, ended.stderr
    assert "supervised  " in ended.stdout
    assert "never run" not in ended.stdout.partition("mIoU in percent")[2]
    [config] = working.glob("runs/cells/*/config.yaml")
    assert "supervised" in config.read_text()
    again = run(site, working, "status", *GRID, *SMALL_SCHEDULE)
    assert "1 cell: 1 done" in again.stdout


@pytest.mark.slow
def test_a_checkout_runs_beside_a_users_own_modules(working: Path) -> None:
    ended = run(ROOT, working, "plan", *GRID)
    assert ended.returncode == 0, ended.stderr
    assert "1 cell: 1 never run" in ended.stdout
