"""What a table should hold: the cells asked for, with a result or without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gta.config import Config


@dataclass(frozen=True)
class TableCell:
    """One cell that the table should hold: a method (row) on a split (column) with a seed.

    `column` is what is shown, such as "1/16 (662)"; `labels` orders the columns; `reason` says why there is
    no result, where there is none ("never run", "failed: out of memory"), and `fill` is the command that makes it.
    `lists` is the name of the labeled list where it is a published one ("u2pl 662 (VOC blender, 1/16)"); `training` is
    what `training` says of its config.
    """

    signature: str
    row: str
    column: str
    labels: int
    seed: int
    reason: str = ""
    fill: str = ""
    dataset: str = ""
    encoder: str = ""
    lists: str = ""
    val_list: str = ""
    training: tuple[str, ...] = ()


def training(config: Config) -> tuple[str, ...]:
    """How a cell is trained, a few words each on network, length, batch, crop and optimizer."""
    model, schedule = config.model, config.schedule
    width = f" (width {model.width})" if model.width else ""
    weights = "random weights" if model.weights == "random" else f"weights {Path(model.weights).name}"
    batch = f" for a batch of {schedule.lr_batch_size}" if schedule.lr_batch_size else ""
    decoder = "" if schedule.decoder_lr_factor == 1 else f", decoder x {schedule.decoder_lr_factor:g}"
    return (
        f"{model.encoder}{width}, {weights}",
        f"{schedule.iterations:,} iterations",
        f"{schedule.batch_size} + {schedule.batch_size} images a step",
        f"crop {config.data.crop_size}",
        f"SGD, lr {schedule.lr:g}{batch}{decoder}",
    )


def cells_of(frame: pd.DataFrame) -> list[TableCell]:
    """The cells that the runs of `frame` (as `analysis.runs.load` gives them) are of, in its order."""
    return [
        TableCell(
            signature=str(run["signature"]),
            row=str(run["label"]),
            column=f"{run['ratio']} ({run['labels']})",
            labels=int(run["labels"]),
            seed=int(run["seed"]),
            reason=str(run["error"]) or str(run["status"]).lower(),
        )
        for _, run in frame.drop_duplicates("signature").iterrows()
    ]
