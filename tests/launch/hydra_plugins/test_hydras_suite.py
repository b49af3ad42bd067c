"""Hydra's own tests of launchers, held against ours: for an app that is not gta they are hydra-submitit-launcher's."""

from __future__ import annotations

import os

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite

from launch.grid import plugins
from tests.helpers.program import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin is known to Hydra here, and in the processes that the tests and their jobs start; Hydra is not started
    yet, though a test of before may have left it so.
    """
    GlobalHydra.instance().clear()
    plugins.install()
    paths = [str(ROOT), str(ROOT / "launch"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


@pytest.mark.parametrize(("launcher_name", "overrides"), [("gta_local", [])])
class TestLauncher(LauncherTestSuite):  # type: ignore[misc]
    """One return for each job, with its config, its folder and its value."""


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", "hydra/launcher=gta_local"])])
class TestIntegration(IntegrationTestSuite):  # type: ignore[misc]
    """Job names and working folders of an app of its own."""
