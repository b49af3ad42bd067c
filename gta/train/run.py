"""Cell -> numbers: trains one cell in its folder. Importable; the command line and the jobs call it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from gta.cell import Cell
from gta.cellfolder import CellFolder
from gta.compose.validate import check_batch
from gta.config import Config
from gta.data.present import check_scored
from gta.data.stage import staged
from gta.encoders import has_batchnorm
from gta.errors import UserError
from gta.methods import METHODS
from gta.methods.base import Method
from gta.models import build_model
from gta.models.weights import load_initial_weights
from gta.ops import distributed
from gta.ops.finite import not_finite
from gta.tracking.background_sync import background_sync
from gta.train import checkpoint, kernels
from gta.train.control import Control
from gta.train.trainer import Trainer


def train(cell: Cell, control: Control | None = None) -> bool:
    """Train a prepared cell in its folder to the end (True), or until `control` asks to stop (False).

    Goes on from its checkpoint where there is one; writes the journal, the checkpoint, the best weights and, last, the
    result. Raises UserError for what the user can mend.
    """
    device = prepare_device(cell.config)
    if slow := kernels.emulated(cell.config, device):
        print(slow, flush=True)
    check_batch(cell.config.schedule, distributed.world_size(), has_batchnorm(cell.config.model))
    cell = replace(cell, config=staged(cell.config, cell.split))
    if not cell.folder.has_checkpoint:  # else they were looked at when it began
        check_scored(cell.config, cell.split)
    kernels.compiling(cell.config, device)
    method = build_method(cell.config, device)
    trainer = Trainer(cell, method, device, control or Control())
    with background_sync(cell.config, cell.folder.path):
        return trainer.run()


def prepare_device(config: Config) -> torch.device:
    """This rank's device, with torch set so that two runs of one config on one machine give the same numbers."""
    device = distributed.init_from_env(config.site.device)
    torch.set_num_threads(config.num_threads)
    kernels.choose(config)
    return device


def build_method(config: Config, device: torch.device) -> Method:
    """The method of the config with its networks, initialised from the seed and `model.weights`."""

    def model():  # type: ignore[no-untyped-def]
        network = build_model(config.model, len(config.data.classes))
        network.compiled = config.compile
        if config.model.weights != "random":
            print(load_initial_weights(network, config.model.weights), flush=True)
        return network

    make = METHODS.made_of(config.method)
    return make(config.method, model, config.schedule, config.seed, device, config.precision)


def load_network(
    config: Config, folder: CellFolder, device: torch.device, name: str = "", which: str = "last"
) -> tuple[str, nn.Module, int]:
    """A trained network of the cell in `folder`: its name, the network, and the iteration it is from.

    name: student, teacher, or empty for the headline; which: last, or best (kept for the headline only).
    Raises UserError where there is none such.
    """
    networks, iteration = load_networks(config, folder, device, which)
    name = name or next(iter(networks))
    if name in networks:
        return name, networks[name], iteration
    if which == "best":
        raise UserError(
            f"The best weights are kept of the {next(iter(networks))} only; leave out --network, or use --which last."
        )
    raise UserError(f"--network {name}: this cell has {' and '.join(networks)}.")


def load_networks(
    config: Config, folder: CellFolder, device: torch.device, which: str = "last"
) -> tuple[dict[str, nn.Module], int]:
    """The trained networks of the cell in `folder`, the headline first, and the iteration that they are from; see
    `load_network`.
    """
    if which not in ("last", "best"):
        raise UserError(f"--which {which}: use last or best.")
    if which == "last":
        advice = "Its best weights may be whole: --which best." if folder.best_file.exists() else "There is no other."
        state, path = checkpoint.last_good(folder, lambda said: print(said, flush=True), device, advice)
    else:
        state, path = checkpoint.load(folder.best_file, device), folder.best_file
    checkpoint.check_owner(path, state, folder.signature)
    if which == "best":
        network = build_model(config.model, len(config.data.classes)).to(device)
        with checkpoint.fitting(path):
            network.load_state_dict(state["model"])
        return {_finite(state["network"], network, path): network}, state["iteration"]
    # trained weights replace the initial ones, whose file need not be there any more
    plain = replace(config, model=replace(config.model, weights="random"), compile=False)
    method = build_method(plain, device)
    with checkpoint.fitting(path):
        method.load_state_dict(state["method"])
    networks, headline = method.networks(), method.headline_network()[0]
    ordered = {headline: networks[headline], **networks}
    return {_finite(name, network, path): network for name, network in ordered.items()}, state["iteration"]


def _finite(name: str, network: nn.Module, path: Path) -> str:
    """The name. Raises UserError for a network that no number can be made of."""
    if found := not_finite(network.state_dict()):
        raise UserError(f"{path}: the {name} is not finite ({found[0]}, for one); nothing can be predicted with it.")
    return name
