"""`gta doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cli import composing, grammar
from gta.cli.grammar import Words
from gta.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gta.compose.hydra import Hydra
    from gta.config import Config, DataConfig, SiteConfig
    from gta.finding import Finding

WIDTH = 26
MOST_CELLS = 100  # of a grid whose data and weights are looked at


@grammar.command(
    "doctor",
    exit_codes="0 nothing is in the way, 2 something is",
    examples=["gta doctor", "gta doctor sweep=voc_blender hydra/launcher=slurm site=slurm"],
)
@grammar.words()
def command(words: Words) -> int:
    """What a run needs: what is there, what is missing, what to do.

    Looks at everything a run with these words needs, and says of each what is there (ok), what is not there and not
    needed (missing), and what is in the way (problem), with what to do: python and packages, torch, CUDA, GPUs, NCCL
    and gloo, Slurm with its limits and accounting, the site profile, folders, MLflow, data sets, initial weights. A
    site of Slurm's is looked at as that, also without hydra/launcher=slurm. Nothing is run or changed.
    """
    from gta.finding import Status

    found = []
    for line in lines(words.overrides):
        found.append(line)
        show(line)
    count = {status: sum(line.status is status for line in found) for status in Status}
    bad = count[Status.PROBLEM]
    verdict = "nothing is in the way" if not bad else f"{bad} {'problems' if bad > 1 else 'problem'} to mend first"
    print(f"\n{count[Status.OK]} ok, {count[Status.MISSING]} missing and not needed: {verdict}")
    return 2 if bad else 0


def show(line: Finding) -> None:
    """One answer in a line; what is longer, and the advice, below it."""
    first, *more = line.detail.splitlines() or [""]
    print(f"{line.status!s:<8} {line.what:<{WIDTH}} {first}", flush=True)
    for text in more:
        print(f"{'':<{WIDTH + 9}} {text}")
    if line.advice:
        print(f"{'':<{WIDTH + 9}} -> {line.advice}", flush=True)


def lines(overrides: Sequence[str]) -> Iterator[Finding]:
    """All answers. Raises UserError for a wrong override only."""
    from gta.cli.checks import versions
    from gta.finding import guarded, missing, problem

    yield from guarded("packages", versions.python_and_packages)
    try:
        hydra = composing.start()
        from launch.grid import grid
    except ImportError as error:
        yield problem(
            "packages",
            f"what is installed cannot be loaded ({error})",
            "Install the project again: make clean install.",
        )
        return
    written = composing.protected(overrides)
    master = grid.master_config(hydra, written)
    compose = _composer(hydra, master)
    configs = [compose(words) for words in _cells(hydra, master)]
    config = configs[0]
    name = str(master.hydra.runtime.choices["site"])
    if _of_slurm(config.site) and not any(word.startswith(composing.LAUNCHER) for word in written):
        yield missing(
            "site", f"{name} is a site of Slurm: looked at as with {composing.LAUNCHER}slurm",
            f"Say {composing.LAUNCHER}slurm to plan and multirun, too: without it they run the cells on this machine.",
        )  # fmt: skip
        master = grid.master_config(hydra, [*written, f"{composing.LAUNCHER}slurm"])
    launcher = str(master.hydra.runtime.choices["hydra/launcher"])
    from gta.cli.checks import data, machine, places
    from gta.cli.checks.container import container
    from gta.compose.compose import sweep_files
    from launch.slurm import check as slurm_check
    from launch.submit.executor import one_job
    from launch.submit.launcher import slurm_params

    def script() -> str:
        return one_job(slurm_params(master, config.site))

    on_slurm = launcher == "slurm"
    yield from guarded("code", machine.running_code)
    yield from guarded("torch", lambda: machine.torch(config.site, on_slurm))
    yield from guarded("NCCL, gloo", lambda: machine.backends(config.site))
    yield from guarded("site", lambda: slurm_check.check_site(config.site, name, launcher))
    yield from guarded("Slurm", lambda: slurm_check.check_cluster(config.site, launcher, script))
    yield from guarded("container", lambda: container(config.site, on_slurm))
    yield from guarded("folders", lambda: places.folders(config.paths))
    yield from guarded("site.cache", lambda: places.cache(config.site, on_slurm))
    yield from guarded("MLflow", lambda: places.mlflow(config.paths))
    yield from guarded("notify", lambda: places.notification(config.site))
    for splits in _by_data_set(configs):
        yield from guarded("data", lambda splits=splits: data.chosen(splits))  # type: ignore[misc]
    asked_for = [config.model for config in configs]
    unread: list[Finding] = []
    options = {group: _options(hydra, compose, group, config, unread) for group in ("data", "model")}
    yield from guarded("data", lambda: data.others(options["data"], config.data.name))
    yield from guarded("weights", lambda: data.weights(asked_for, options["model"]))
    yield from unread
    yield from guarded("sweeps", lambda: _unreadable(sweep_files()))


def _of_slurm(site: SiteConfig) -> bool:
    """Whether a site asks for what only a cluster gives."""
    return any([site.partition, site.account, site.qos, site.constraint, site.gpus_per_node, site.mem_gb, site.sbatch])


def _by_data_set(configs: list[Config]) -> list[list[DataConfig]]:
    """The data sets of the cells, each with the splits of it that are used."""
    found: dict[str, dict[str, DataConfig]] = {}
    for config in (config.data for config in configs):
        found.setdefault(str({**asdict(config), "split": ""}), {}).setdefault(config.split, config)
    return [list(splits.values()) for splits in found.values()]


def _cells(hydra: Hydra, master: DictConfig) -> list[list[str]]:
    """The overrides of the grid's cells."""
    from gta.compose.hydra import loader_of
    from launch.grid.grid import expand

    made = expand(master, loader_of(hydra))[:MOST_CELLS]
    if not made:
        raise UserError("The grid is empty: one of its sweeps has no value.")
    return made


def _composer(hydra: Hydra, master: DictConfig) -> Callable[[list[str]], Config]:
    """Makes the config of a cell, with absolute paths; no list or data set has to be there for that."""
    from gta.compose.hydra import loader_of
    from gta.compose.paths import absolute
    from launch.grid.grid import composer

    compose = composer(loader_of(hydra), master)
    return lambda overrides: absolute(compose(overrides))


def _options(
    hydra: Hydra, compose: Callable[[list[str]], Config], group: str, chosen: Config, unread: list[Finding]
) -> dict[str, Config]:
    """A cell with each option of a config group, by the option's name, with the folders of the chosen one; what cannot
    be composed is put to the `unread`.
    """
    from gta.compose.hydra import group_options, loader_of
    from gta.finding import missing

    places = [f"paths.{name}='{getattr(chosen.paths, name)}'" for name in ("data", "splits", "weights")]
    found = {}
    for name in group_options(loader_of(hydra), group):
        try:
            found[name] = compose([f"{group}={name}", *places])
        except UserError as error:
            unread.append(missing(group, f"{group}={name} cannot be used", str(error)))
    return found


def _unreadable(files: Mapping[str, Path]) -> Iterator[Finding]:
    """A line for each sweep that cannot be read: the others can."""
    from gta.compose.yamlfile import read_settings
    from gta.finding import missing

    for name, path in files.items():
        try:
            read_settings(path)
        except UserError as error:
            yield missing("sweeps", f"sweep={name} cannot be used", str(error))
