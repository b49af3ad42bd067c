"""The one function that turns overrides into cells; plan, status, table and the launcher all use it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gta.cell import Cell
from gta.compose.compose import Composer, check_overrides, explain, params, protect
from gta.compose.epochs import in_iterations
from gta.compose.validate import check
from gta.config import Config, PathsConfig
from gta.data.loaders import check_batch
from gta.data.prepare import prepare
from gta.data.splits.split import Split, load_split
from gta.errors import UserError


def expand(master: DictConfig, loader: ConfigLoaderImpl) -> list[list[str]]:
    """The overrides of every cell: the sweep's parameters, replaced or widened by those of the command line."""
    swept = [protect(f"{key}={value}") for key, value in _plain(master.hydra.sweeper.params or {}).items()]
    given = _plain(master.hydra.overrides.task)
    parsed = OverridesParser.create(config_loader=loader).parse_overrides([*swept, *given])
    return BasicSweeper.split_arguments(parsed, None)[0]


def _plain(node: Any) -> Any:
    """A config node as plain Python, with its interpolations as they were written."""
    return OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node


def cells(loader: ConfigLoaderImpl, master: DictConfig, jobs: Sequence[Sequence[str]]) -> list[Cell]:
    """One cell for each list of overrides, in order, without repetitions (equal signatures are one cell).

    Embedded data and lists that this program draws are made on the way. Raises UserError for what the user can mend.
    """
    HydraConfig.instance().set_config(master)  # so that ${hydra:...} resolves in neutral fields
    composer = Composer(loader, _plain(master.hydra.overrides.hydra))
    splits: dict[str, Split] = {}
    made: dict[str, Cell] = {}
    for overrides in jobs:
        try:
            config = composer.cell(overrides)
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(f"{explain(error)} (in the cell {' '.join(overrides)})") from None
        _absolute(config.paths, config)
        check_batch(config.schedule, config.site.ranks * config.site.nodes)
        split = _split(config, splits)
        config.schedule = in_iterations(config.schedule, len(split.unlabeled))
        check(config)
        cell = Cell.of(config, split)
        made.setdefault(cell.signature, cell)
    if not made:
        raise UserError("The grid is empty: one of its sweeps has no value.")
    name_rows(list(made.values()))
    return list(made.values())


def name_rows(cells: Sequence[Cell]) -> None:
    """Where cells would share a place of the table (row, column, seed), say in the row what tells them apart."""
    places: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in cells:
        places.setdefault((cell.row, cell.column, cell.config.seed), []).append(cell)
    differing: dict[str, set[str]] = {}
    for (row, _, _), rivals in places.items():
        settings = [params(cell.config) for cell in rivals]
        names = {name for setting in settings for name in setting if len({s.get(name) for s in settings}) > 1}
        differing.setdefault(row, set()).update(names)
    for cell, row in [(cell, cell.row) for cell in cells]:
        if wanted := sorted(differing[row]):
            values = params(cell.config)
            cell.config.method.label = " ".join([row, *(f"{n.rsplit('.', 1)[-1]}={values.get(n)}" for n in wanted)])


def make_absolute(paths: PathsConfig) -> PathsConfig:
    """The same folders as absolute paths, in place."""
    for name in ("data", "splits", "runs", "results", "weights"):
        setattr(paths, name, str(Path(getattr(paths, name)).absolute()))
    file = paths.tracking_uri.removeprefix("sqlite:///")
    if file != paths.tracking_uri:
        paths.tracking_uri = f"sqlite:///{Path(file).absolute()}"
    return paths


def _absolute(paths: PathsConfig, config: Config) -> None:
    """Folders as absolute paths: a frozen cell must not depend on where a job starts."""
    make_absolute(paths)
    config.data.root = str(Path(config.data.root).absolute())
    config.data.split_dir = str(Path(config.data.split_dir).absolute())
    if config.model.weights != "random":
        config.model.weights = str(Path(config.model.weights).absolute())


def _split(config: Config, known: dict[str, Split]) -> Split:
    """The cell's split, loaded and checked once for all the cells that share it."""
    key = json.dumps(asdict(config.data), sort_keys=True)
    if key not in known:
        prepare(config.data)
        known[key] = load_split(config.data)
    return known[key]


def master_config(hydra: Hydra, overrides: Sequence[str], options: Sequence[str] = ()) -> DictConfig:
    """The composed config of a whole grid, with its `hydra` node. Raises UserError for a wrong override."""
    loader = hydra.config_loader
    assert isinstance(loader, ConfigLoaderImpl)
    check_overrides(loader, overrides, options)
    try:
        return loader.load_configuration("config", list(overrides), RunMode.MULTIRUN)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from None


def single_config(hydra: Hydra, overrides: Sequence[str]) -> Config:
    """The typed config of one cell, with absolute paths; its lists need not be there."""
    master = master_config(hydra, overrides)
    loader = hydra.config_loader
    assert isinstance(loader, ConfigLoaderImpl)
    HydraConfig.instance().set_config(master)
    try:
        config = Composer(loader).cell(overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"{explain(error)} (this command takes one value a setting)") from None
    _absolute(config.paths, config)
    return config


def absolute_paths(master: DictConfig) -> PathsConfig:
    """The folders of a composed config, absolute."""
    paths = OmegaConf.to_object(master.paths)
    assert isinstance(paths, PathsConfig)
    return make_absolute(paths)
