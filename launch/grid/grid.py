"""The one function that turns overrides into cells; plan, status, table and the launcher all use it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gta import progress, recipe
from gta.cell import Cell
from gta.compose.compose import Bases, Composer
from gta.compose.epochs import scaled
from gta.compose.filerules import PARAMS
from gta.compose.hydra import ConfigLoaderImpl, Hydra, Parser, loader_of, split_grid
from gta.compose.overrides import (
    check_hydra,
    check_overrides,
    composing,
    parse,
    protect,
    refuse_interval,
    written_in,
)
from gta.compose.paths import absolute, absolute_paths
from gta.compose.sbatch import settled
from gta.config import Config, PathsConfig
from gta.data.splits.split import Split
from gta.errors import UserError
from gta.fields import check_value, check_values, values_of
from gta.masking import refuse_credentials
from gta.methods import METHODS
from gta.processes import first_rank
from gta.sweep import Sweep
from launch.grid import axes, recorded, variants

EXTRA = "data.unlabeled_root"


def expand(master: DictConfig, loader: ConfigLoaderImpl) -> list[list[str]]:
    """The overrides of every cell: the sweep's parameters, replaced or widened by those of the command line.

    Raises UserError for an interval, which is no list of values, and for a parameter that cannot be read or is none.
    """
    params = _plain(master.hydra.sweeper.params or {})
    swept = [_parameter(loader, master, str(key), value) for key, value in params.items()]
    given = _plain(master.hydra.overrides.task)
    parsed = parse(Parser.create(config_loader=loader), [*swept, *given])
    for override in parsed:
        refuse_interval(override)
    return split_grid(parsed)


def _parameter(loader: ConfigLoaderImpl, master: DictConfig, key: str, value: Any) -> str:
    """A parameter of the sweep as an override. Raises UserError for one that is none, with its place."""
    override = protect(f"{key}={value}")
    try:
        check_overrides(loader, [override])
    except UserError as error:
        sweep = f"sweep/{master.hydra.runtime.choices.get('sweep')}"
        raise UserError(f"{written_in(loader, sweep, f'{PARAMS}.{key}')}: {error}") from None
    return override


def _plain(node: Any) -> Any:
    """A config node as plain Python, with its interpolations as they were written."""
    return OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node


def cells(loader: ConfigLoaderImpl, master: DictConfig, jobs: Sequence[Sequence[str]]) -> list[Cell]:
    """The cells of a grid, in order, each once (equal signatures are one cell); raises what `of_jobs` does.

    `master.variant` says afterwards what makes the grid another than its sweep's file declares (`variants`).
    """
    return distinct(of_jobs(loader, master, jobs))


def read_cells(loader: ConfigLoaderImpl, master: DictConfig, jobs: Sequence[Sequence[str]]) -> list[Cell]:
    """As `cells`, for who only reads what there is of them: neither lists nor weights have to be at hand where records
    tell the cells (`launch.grid.recorded`).
    """
    return distinct(_by(jobs, recorded.read(configs(loader, master, jobs))))


def of_jobs(loader: ConfigLoaderImpl, master: DictConfig, jobs: Sequence[Sequence[str]]) -> list[Cell]:
    """One cell for each list of overrides, in order.

    Embedded data and lists that this program draws are made on the way; of an lr that is scaled it is said, and
    what a method's settings have to remark. Raises UserError for what the user can mend.
    """
    splits: dict[str, Split] = {}
    found = configs(loader, master, jobs)
    if first_rank():
        said = [sentence for one in found for sentence in (scaled(one.schedule), one.method.remark(one.data))]
        for sentence in filter(None, dict.fromkeys(said)):
            print(sentence, file=sys.stderr, flush=True)
    made = [Cell.prepare(config, splits) for config in progress.steps(found, "preparing the cells", len(found))]
    if first_rank() and (same := _equal_splits(made)):
        print(same, file=sys.stderr, flush=True)
    return _by(jobs, made)


def _equal_splits(cells: Sequence[Cell]) -> str:
    """What to say of splits of other names with the same lists, whose cells are one; empty where there are none."""
    names: dict[str, dict[str, None]] = {}
    for cell in cells:
        data = cell.config.data
        names.setdefault(cell.signature, {})[f"{data.split} ({data.split_family})"] = None
    found = dict.fromkeys(tuple(splits) for splits in names.values() if len(splits) > 1)
    told = "; ".join(" and ".join(splits) for splits in found)
    return f"note: these splits have the same lists, and are one column of the table: {told}" if told else ""


def _by(jobs: Sequence[Sequence[str]], cells: Sequence[Cell]) -> list[Cell]:
    """The cells, each with the overrides that made it."""
    return [replace(cell, overrides=tuple(words)) for cell, words in zip(cells, jobs, strict=True)]


def configs(loader: ConfigLoaderImpl, master: DictConfig, jobs: Sequence[Sequence[str]]) -> list[Config]:
    """The config of each cell, which knows whether it is of a variant; `master` is told the grid's own."""
    if not jobs:
        raise UserError("The grid is empty: one of its sweeps has no value.")
    bases: Bases = {}  # the sweep as declared has the same groups for the most part
    compose = composer(loader, master, bases=bases)
    found = [compose(overrides) for overrides in progress.steps(jobs, "composing the cells", len(jobs))]
    master.variant = ""
    if not variants.own_name(master) or not (changed := variants.changes(loader, master)):
        return found
    file = variants.declared(loader, master)
    if not (text := variants.words(loader, changed, file)):
        return found
    of_file, whole = _of_file(loader, file, {config.method.name for config in found}, bases)
    HydraConfig.instance().set_config(master)
    made, same = variants.marked(found, of_file, text)
    if not (whole and same):
        master.variant = text
    return made


def _of_file(
    loader: ConfigLoaderImpl, file: DictConfig, methods: Collection[str], bases: Bases
) -> tuple[list[Config], bool]:
    """The configs of a sweep as its file declares it, without those of other methods, which cost the most, and whether
    there are none of others; none where that cannot be composed as it stands.
    """
    try:
        compose = composer(loader, file, bases=bases)
        jobs = expand(file, loader)
        wanted = [overrides for overrides in jobs if not _of_another_method(overrides, methods)]
        return [compose(overrides) for overrides in wanted], len(wanted) == len(jobs)
    except UserError:
        return [], True


def _of_another_method(overrides: Sequence[str], methods: Collection[str]) -> bool:
    """Whether the overrides of a cell choose a method, and by its own name, that is none of these."""
    chosen = [word.partition("=")[2] for word in overrides if word.startswith("method=")]
    return len(chosen) == 1 and chosen[0] in METHODS and chosen[0] not in methods


def distinct(cells: Sequence[Cell]) -> list[Cell]:
    """Each cell once, at its first place, with a row of its own in the table."""
    once: dict[str, Cell] = {}
    for cell in cells:
        once.setdefault(cell.signature, cell)
    return name_rows(list(once.values()))


def composer(
    loader: ConfigLoaderImpl, master: DictConfig, said: str = "", bases: Bases | None = None
) -> Callable[[Sequence[str]], Config]:
    """Makes the typed config of a cell from its overrides; no list or data set has to be there for that.

    It raises UserError for what cannot be composed, with the overrides, or with what is `said` in their place.
    """
    HydraConfig.instance().set_config(master)  # so that ${hydra:...} resolves in neutral fields
    kept = Composer(loader, _plain(master.hydra.overrides.hydra), bases)

    def compose(overrides: Sequence[str]) -> Config:
        with composing(loader, said or f"in the cell {' '.join(overrides)}"):
            return settled(kept.cell(overrides), overrides)

    return compose


def name_rows(cells: Sequence[Cell]) -> list[Cell]:
    """The same cells; where some would share a place of the table (row, column, seed), their rows say what tells them
    apart.
    """
    settings = {cell.signature: said for cell, said in zip(cells, _settings(cells), strict=True)}
    places: dict[tuple[str, str, int], list[dict[str, str]]] = {}
    for cell in cells:
        places.setdefault((cell.row, cell.column, cell.config.seed), []).append(settings[cell.signature])
    differing: dict[str, set[str]] = {}
    for (row, _, _), rivals in places.items():
        names = {name for one in rivals for name in one if len({other.get(name) for other in rivals}) > 1}
        differing.setdefault(row, set()).update(names)
    told = {
        row: _telling(names, [settings[cell.signature] for cell in cells if cell.row == row])
        for row, names in differing.items()
    }
    return [_labeled(cell, told[cell.row], settings[cell.signature]) for cell in cells]


def _settings(cells: Sequence[Cell]) -> list[dict[str, str]]:
    """What can tell a cell's row from others: its settings, and the folder whose contents are in its signature (by its
    name, or its path where two have that name).
    """
    folders = {cell.config.data.unlabeled_root: recipe.folder_of(cell.config.data) for cell in cells}
    paths = len({*folders.values()}) < len(folders)
    shown = {root: (root if paths else folder) or "none" for root, folder in folders.items()}
    return [{**cell.params, EXTRA: shown[cell.config.data.unlabeled_root]} for cell in cells]


def _telling(names: set[str], settings: Sequence[dict[str, str]]) -> list[str]:
    """What of these settings is worth saying, sorted: those that come with the encoder, or with the method, are not."""
    told = set(names)
    for chief in names & {"model.encoder", "method.name"}:
        section = chief.partition(".")[0]
        several = len({one.get(chief) for one in settings})
        for name in names - {chief}:
            pairs = {(one.get(chief), one.get(name)) for one in settings}
            if section in name.split(".")[:2] and len(pairs) == several:  # maths.method too
                told.discard(name)
    return sorted(told)


def _labeled(cell: Cell, names: Sequence[str], settings: dict[str, str]) -> Cell:
    """The cell with the settings of these names in its row."""
    if not names:
        return cell
    label = " ".join(
        [cell.row, *(f"{name.removesuffix('.name').rsplit('.', 1)[-1]}={settings.get(name)}" for name in names)]
    )
    return replace(cell, config=replace(cell.config, method=replace(cell.config.method, label=label)))


def master_config(hydra: Hydra, overrides: Sequence[str], options: Sequence[str] = ()) -> DictConfig:
    """The composed config of a whole grid, with its `hydra` node. Raises UserError for a wrong override, and for a file
    that cannot be composed.
    """
    loader = loader_of(hydra)
    check_overrides(loader, overrides, options)
    with composing(loader):
        master = loader.load_configuration("config", list(overrides), RunMode.MULTIRUN)
        check_value(values_of(Config)["sweep_name"], "sweep_name", master.sweep_name)
        check_values(OmegaConf.to_object(master.paths), "paths.")
    if master.variant:
        raise UserError("variant is what the program finds out of a grid: leave it out.")
    check_hydra(master)
    with composing(loader):
        refuse_credentials(str(master.paths.tracking_uri))  # before anything of it is written
    return master


def single_config(hydra: Hydra, overrides: Sequence[str]) -> Config:
    """The typed config of one cell, with absolute paths; its lists need not be there."""
    compose = composer(loader_of(hydra), master_config(hydra, overrides), "this command takes one value a setting")
    return absolute(compose(overrides))


def sweep_of(master: DictConfig) -> Sweep:
    """The sweep that a grid is of, or the variant of one, once its cells were made."""
    return Sweep(str(master.sweep_name), str(master.variant), axes.declared(master))


def paths_of(master: DictConfig) -> PathsConfig:
    """The folders of a composed config, absolute."""
    paths = OmegaConf.to_object(master.paths)
    assert isinstance(paths, PathsConfig)
    return absolute_paths(paths)
