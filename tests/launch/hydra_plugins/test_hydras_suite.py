"""Hydra's own tests of launchers, held against ours: for an app that is not gta they are hydra-submitit-launcher's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

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

    # how Hydra composes the config of a job is the same under every launcher
    test_sweep_1_job = test_sweep_1_job_strict = None
    test_sweep_2_optimizers = test_sweep_over_unspecified_mandatory_default = None


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", "hydra/launcher=gta_local"])])
class TestIntegration(IntegrationTestSuite):  # type: ignore[misc]
    """Job names and working folders of an app of its own."""

    # how Hydra makes up the name of a folder is, too; that a job works in it is held by the paths of the suite
    test_custom_sweeper_run_workdir = test_get_orig_dir_multirun = None

    def test_custom_task_name(self, tmpdir: Path, task_launcher_cfg: Any, extra_flags: list[str]) -> None:
        named = ["hydra.job.name=other"]
        super().test_custom_task_name(tmpdir, None, named, "no_config.py", "other", task_launcher_cfg, extra_flags)
