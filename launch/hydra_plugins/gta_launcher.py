"""The shim that Hydra wants: it refuses a launcher or sweeper whose class does not live under `hydra_plugins.`.

The work is in `launch.submit.launcher`; this module stays light, since Hydra imports it at every start. (Hydra runs it
without entering it in sys.modules, which dataclasses need to look up postponed annotations: hence no `from
__future__` here.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher.config import LocalQueueConf, SlurmQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher, LocalLauncher, SlurmLauncher
from omegaconf import OmegaConf


class CellLauncher(BaseSubmititLauncher):
    """Runs the cells that are missing; an app whose config is no cell's is run as hydra-submitit-launcher runs it."""

    params: dict[str, Any]

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        if OmegaConf.get_type(self.config).__module__ != "gta.config":
            own = {"at_once", *(item.name for item in fields(OptionsConf))}
            for name in own & set(self.params):
                del self.params[name]
            returned: Sequence[JobReturn] = super().launch(job_overrides, initial_job_idx)
            return returned
        from launch.submit.launcher import launch

        return launch(self, job_overrides)


class GTALocalLauncher(CellLauncher, LocalLauncher):
    """On this machine, a few cells at a time."""


class GTASlurmLauncher(CellLauncher, SlurmLauncher):
    """As job arrays on Slurm, and watches them."""


class GridSweeper(BasicSweeper):
    """All cells of a grid at once, the same ones as for every command; a failed one is the launcher's to tell."""

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        from launch.grid.grid import expand

        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        jobs = expand(self.config, self.hydra_context.config_loader)  # type: ignore[arg-type]  # its implementation
        return [self.launcher.launch(jobs, initial_job_idx=0)]


@dataclass
class OptionsConf:
    """The fields of `launch.submit.launcher.Options`, as Hydra's schema."""

    retry: str = "none"
    cells: list[str] = field(default_factory=list)
    again: bool = False
    oom: bool = False
    new_order: bool = False
    states: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    wait: bool = True
    budget: float | None = None
    after: list[str] = field(default_factory=list)


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
