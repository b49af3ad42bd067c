"""The shim that Hydra wants: it refuses a launcher or sweeper whose class does not live under `hydra_plugins.`.

The work is in `launch.submit.launcher`; this module stays light, since Hydra imports it at every start. (Hydra runs it
without entering it in sys.modules, which dataclasses need to look up postponed annotations: hence no `from
__future__` here.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra_plugins.hydra_submitit_launcher.config import LocalQueueConf, SlurmQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import LocalLauncher, SlurmLauncher


class GTALocalLauncher(LocalLauncher):
    """Runs the cells that are missing on this machine, a few at a time."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        from launch.submit.launcher import launch

        return [launch(self, job_overrides)]


class GTASlurmLauncher(SlurmLauncher):
    """Sends the cells that are missing to Slurm as job arrays, and watches them."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        from launch.submit.launcher import launch

        return [launch(self, job_overrides)]


class GridSweeper(BasicSweeper):
    """Hydra's basic sweeper without its trial composition: `launch.grid.grid` composes each cell, once."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        return None


@dataclass
class OptionsConf:
    """The fields of `launch.submit.launcher.Options`, as Hydra's schema."""

    retry: str = "none"
    cells: list[str] = field(default_factory=list)
    again: bool = False
    oom: bool = False
    states: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    wait: bool = True
    budget: float | None = None


@dataclass
class GTALocalConf(OptionsConf, LocalQueueConf):
    _target_: str = "hydra_plugins.gta_launcher.GTALocalLauncher"
    at_once: int = 0


@dataclass
class GTASlurmConf(OptionsConf, SlurmQueueConf):
    _target_: str = "hydra_plugins.gta_launcher.GTASlurmLauncher"


@dataclass
class GridSweeperConf(BasicSweeperConf):
    _target_: str = "hydra_plugins.gta_launcher.GridSweeper"


_store = ConfigStore.instance()
_store.store(group="hydra/launcher", name="gta_local", node=GTALocalConf, provider="gta")
_store.store(group="hydra/launcher", name="gta_slurm", node=GTASlurmConf, provider="gta")
_store.store(group="hydra/sweeper", name="grid", node=GridSweeperConf, provider="gta")
