"""usage: python -m gta eval CELL [network=student|teacher] [which=last|best] [paths.runs=runs] [device=auto]
       python -m gta eval FOLDER_OF_A_CELL ...
       python -m gta eval checkpoint=FILE [network=student|teacher] data=NAME model=NAME [name=value ...]

Scores a network on its validation list: per-class IoU and mIoU. CELL is the signature, or its beginning, as plan and
status show it, or words such as gta/92/seed0. checkpoint=FILE is a checkpoint of the public GTA-Seg or U2PL code
(model_state, teacher_state), loaded without executing anything in it, into the network that the overrides describe; it
says what of it matched.

The protocol is the cell's; another one for this once:
  evaluation.protocol=original_size|sliding_window|center_crop|center_crop_padded_background
  evaluation.crop=513  evaluation.window=769  evaluation.stride=0.667  evaluation.scales=[0.75,1.0,1.25]
  evaluation.flip=true
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cellfolder import CellFolder
from gta.cli import options as common
from gta.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from gta.config import Config

DEFAULTS = {"network": "", "which": "last", "paths.runs": "runs", "device": "auto", "checkpoint": ""}
HERE = ("evaluation.", "schedule.eval_images", "data.root", "site.workers")  # what a cell's config may be changed in


@dataclass
class Trained:
    """A trained network on its device, and where it is from."""

    config: Config
    network: nn.Module
    device: torch.device
    source: str  # "student, iteration 800, 1a2b3c4d"


def run(arguments: list[str]) -> int:
    options, rest = common.split_options(arguments, DEFAULTS)
    trained = load(options, rest, "eval")
    from tabulate import tabulate

    from gta.train.evaluate import evaluate
    from gta.train.inference import describe

    config = trained.config
    score = evaluate({"it": trained.network}, config, val_ids(config), trained.device, 0)["it"]
    shown = ["-" if value is None else f"{value:.2f}" for value in score.iou]
    print(
        tabulate(
            list(zip(config.data.classes, shown, strict=True)),
            headers=["class", "IoU (%)"],
            disable_numparse=True,
            colalign=("left", "right"),
        )
    )
    print(f"\nmIoU {score.miou:.2f} % ({trained.source}, {describe(config)})")
    return 0


def load(options: dict[str, str], rest: list[str], command: str) -> Trained:
    """The network that the words of a command name: of a cell, or of a public checkpoint. Raises UserError."""
    if options["checkpoint"]:
        return _of_checkpoint(options, rest)
    names = [word for word in rest if "=" not in word]
    if len(names) != 1:
        raise UserError(
            f"{command} takes one cell: its signature (or the beginning of it), words such as gta/92/seed0, or its "
            "folder; or checkpoint=FILE."
        )
    folder = find(names[0], Path(options["paths.runs"]))
    from gta.compose.compose import read_config
    from gta.compose.validate import check_evaluation
    from gta.train.run import load_network, prepare_device

    config = _changed(read_config(folder.config_file), [word for word in rest if "=" in word], command)
    config = replace(config, site=replace(config.site, device=options["device"]))
    check_evaluation(config)
    device = prepare_device(config)
    name, network, iteration = load_network(config, folder, device, options["network"], options["which"])
    return Trained(config, network, device, f"{name}, iteration {iteration}, {folder.signature[:8]}")


def _changed(config: Config, overrides: list[str], command: str) -> Config:
    """The frozen config with another way of evaluating; nothing that was trained with can be changed."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from gta.compose.compose import typed
    from gta.compose.hydra import schema
    from gta.compose.overrides import explain

    for word in overrides:
        if not word.startswith(HERE):
            raise UserError(f"{word}: of a trained cell, {command} changes only {', '.join(HERE)} ...")
    try:
        node = OmegaConf.merge(schema(config), OmegaConf.from_dotlist(overrides))
    except OmegaConfBaseException as error:
        raise UserError(explain(error)) from None
    return typed(node)  # type: ignore[arg-type]


def _of_checkpoint(options: dict[str, str], rest: list[str]) -> Trained:
    """A network with the weights of a public checkpoint; prints what matched."""
    from gta.compose.validate import check_evaluation
    from gta.models import build_model
    from gta.models.public import load_public_checkpoint
    from gta.train.run import prepare_device
    from launch.grid.grid import single_config

    if options["which"] != "last":
        raise UserError("which= is of a cell; a public checkpoint holds one student and one teacher: network=.")
    # the weights come from the checkpoint, and no split list is needed to score
    fixed = ["model.weights=random", "data.split=none", f"site.device={options['device']}"]
    config = single_config(common.start(), [*common.overrides_of(rest), *fixed])
    check_evaluation(config)
    device = prepare_device(config)
    network = build_model(config.model, len(config.data.classes))
    report = load_public_checkpoint(network, options["checkpoint"], options["network"])
    print(report, flush=True)
    return Trained(config, network.to(device).eval(), device, f"{report.network}, {Path(options['checkpoint']).name}")


def val_ids(config: Config) -> list[str]:
    """The validation list of a config, sorted; embedded data are made where they are absent."""
    from gta.config import MISSING
    from gta.data.prepare import prepare
    from gta.data.spec import val_path
    from gta.data.splits.lists import read_ids

    prepare(replace(config.data, split=MISSING))  # the lists of a split are not needed, nor drawn
    return sorted(read_ids(val_path(config.data), config.data.image_suffix))


def find(name: str, runs: Path) -> CellFolder:
    """The folder of the cell called `name`; one that lies elsewhere is named by its path. Raises UserError."""
    folder = CellFolder(Path(name))
    if folder.config_file.exists():
        return folder
    from launch.grid import names

    return names.find(name, names.known(runs)).folder
