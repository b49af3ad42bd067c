"""The trained networks that eval and predict are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cellfolder import CellFolder
from gta.cli import composing
from gta.cli.grammar import Words
from gta.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from gta.config import Config

PART = "schedule.eval_images"
HERE = ("evaluation.", PART, "data.root", "site.workers")  # what a cell's config may be changed in


@dataclass
class Trained:
    """A trained network on its device, and where it is from."""

    config: Config
    network: nn.Module
    device: torch.device
    source: str  # "student, iteration 800, 1a2b3c4d"


def load(words: Words, network: str, which: str, device: str, checkpoint: str) -> Trained:
    """The network that a command is asked for (`gta.cli.options.network`): of a cell, or of a public checkpoint.

    Raises UserError.
    """
    if checkpoint:
        return _of_checkpoint(words, network, which, device, checkpoint)
    mine, others = apart(words.overrides)
    folder = find(words.names[0], others)
    from gta.compose.compose import read_config
    from gta.compose.validate import check_evaluation
    from gta.train.run import load_network, prepare_device

    config = changed(read_config(folder.config_file), mine)
    config = replace(config, site=replace(config.site, device=device))
    check_evaluation(config)
    place = prepare_device(config)
    name, trained, iteration = load_network(config, folder, place, network, which)
    return Trained(config, trained, place, f"{name}, iteration {iteration}, {folder.signature[:8]}")


def apart(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """The overrides that change how a trained cell is scored, and those that say which cells are meant."""
    mine = [word for word in overrides if word.startswith(HERE)]
    return mine, [word for word in overrides if word not in mine]


def changed(config: Config, overrides: Sequence[str]) -> Config:
    """The frozen config with another way of evaluating. Raises UserError for what a cell was trained with, and for a
    value that none may have.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from gta.compose.compose import typed
    from gta.compose.hydra import apply_values, schema
    from gta.compose.overrides import explain, parsed
    from gta.config import Config
    from gta.fields import check_value, describe

    for word in overrides:
        if not word.startswith(HERE):
            raise UserError(f"{word}: of a trained cell, this changes only {', '.join(HERE)} ...")
    said, node = parsed(overrides), schema(config)
    if several := next((word for word, one in zip(overrides, said, strict=True) if one.is_sweep_override()), None):
        raise UserError(f"{several}: this takes one value.")
    try:
        apply_values(said, node)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"{explain(error)}.") from None
    made = typed(node)
    rows = describe(Config)
    for name in {word.partition("=")[0] for word in overrides} & set(rows):
        check_value(rows[name]["values"], name, attrgetter(name)(made))
    return made


def _of_checkpoint(words: Words, network: str, which: str, device: str, checkpoint: str) -> Trained:
    """A network with the weights of a public checkpoint; prints what matched."""
    from gta.compose.validate import check_evaluation
    from gta.models import build_model
    from gta.models.public import load_public_checkpoint
    from gta.train.run import prepare_device
    from launch.grid.grid import single_config

    if which != "last":
        raise UserError("--which is of a cell; a public checkpoint holds one student and one teacher: --network.")
    if words.names:
        raise UserError(f"{words.names[0]} and --checkpoint both say which network: give one of them.")
    # the weights come from the checkpoint, and no split list is needed to score
    fixed = ["model.weights=random", "data.split=none", f"site.device={device}"]
    config = single_config(composing.start(), [*composing.protected(words.overrides), *fixed])
    check_evaluation(config)
    place = prepare_device(config)
    model = build_model(config.model, len(config.data.classes))
    report = load_public_checkpoint(model, checkpoint, network)
    print(report, flush=True)
    return Trained(config, model.to(place).eval(), place, f"{report.network}, {Path(checkpoint).name}")


def val_ids(config: Config) -> list[str]:
    """The validation list of a config, sorted; embedded data are made where they are absent."""
    from gta.config import MISSING
    from gta.data.listing import list_ids
    from gta.data.prepare import prepare
    from gta.data.spec import val_path

    prepare(replace(config.data, split=MISSING))  # the lists of a split are not needed, nor drawn
    return sorted(list_ids(config.data, val_path(config.data)))


def find(name: str, overrides: Sequence[str]) -> CellFolder:
    """The folder of the cell called `name`, of those that `overrides` mean; one that lies elsewhere is its path."""
    refuse_other(overrides)
    folder = CellFolder(Path(name))
    if folder.config_file.exists():
        return folder
    from launch.grid import names

    return names.find(name, composing.named_cells(overrides)).folder


def refuse_other(overrides: Sequence[str]) -> None:
    """Raises UserError for words beside the name of a cell that say no grid, so that they were meant to change it."""
    if composing.no_grid(overrides) or any(word.startswith("sweep=") for word in overrides):
        return
    wrong = next(word for word in overrides if not word.startswith(composing.RUNS))
    raise UserError(f"{wrong}: of a trained cell, this changes only {', '.join(HERE)} ...")
