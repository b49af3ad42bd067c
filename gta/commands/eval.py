"""usage: python -m gta eval CELL [network=student|teacher] [which=last|best] [paths.runs=runs] [device=auto]
       python -m gta eval FOLDER_OF_A_CELL ...

Scores a cell's network on its validation list, at original size: per-class IoU and mIoU. CELL is the signature, or
its beginning, as plan and status show it.
"""

from __future__ import annotations

from pathlib import Path

from gta.commands import common
from gta.errors import UserError

DEFAULTS = {"network": "", "which": "last", "paths.runs": "runs", "device": "auto"}


def run(arguments: list[str]) -> int:
    options, rest = common.split_options(arguments, DEFAULTS)
    if len(rest) != 1:
        raise UserError("eval takes one cell: its signature (or the beginning of it), or its folder.")
    folder = find(rest[0], Path(options["paths.runs"]))
    from tabulate import tabulate

    from gta.compose import read
    from gta.data.splits import load_split
    from gta.evaluate import EVALUATION, evaluate
    from gta.train import load_network, prepare_device

    config = read(folder / "config.yaml")
    config.site.device = options["device"]
    device = prepare_device(config)
    name, network, iteration = load_network(config, folder, device, options["network"], options["which"])
    score = evaluate({name: network}, config, load_split(config.data).val, device, iteration)[name]
    shown = ["-" if value is None else f"{value:.2f}" for value in score.iou]
    print(
        tabulate(
            list(zip(config.data.classes, shown, strict=True)),
            headers=["class", "IoU (%)"],
            disable_numparse=True,
            colalign=("left", "right"),
        )
    )
    print(f"\nmIoU {score.miou:.2f} % ({name}, iteration {iteration}, {EVALUATION}, {folder.name[:8]})")
    return 0


def find(name: str, runs: Path) -> Path:
    """The folder of the cell called `name`. Raises UserError where there is none, or more than one."""
    if (Path(name) / "config.yaml").exists():
        return Path(name)
    found = sorted(path.parent for path in (runs / "cells").glob(f"{name}*/config.yaml"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(
            f"{name}: there is no such cell in {runs / 'cells'}; `python -m gta status sweep=...` shows their names."
        )
    raise UserError(f"{name} could be {', '.join(path.name[:8] for path in found[:5])}; give more of it.")
