"""What a table should hold: the cells asked for, with a result or without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

WEIGHTS = "file of initial weights"  # among the settings of a cell: digits of its digest, or random


@dataclass(frozen=True)
class Protocol:
    """One by which a cell may have been scored: as it is asked for (sliding_window), in words as the records have it,
    and the command that scores the cell so.
    """

    name: str
    words: str
    command: str = ""


@dataclass(frozen=True)
class TableCell:
    """One cell that the table should hold: a method (row) on a split (column) with a seed.

    `column` is what is shown, such as "1/16 (662)"; `labels` orders the columns; `reason` says why there is
    no result, where there is none ("never run", "failed: out of memory"), and `fill` is the command that makes it.
    `lists` is the name of the labeled list where it is a published one ("u2pl 662 (VOC blender, 1/16)"), `val_list`
    that of the validation list, with how much of it is scored if not all; `training` is what `gta.recipe.parts` says
    of its config; `alike` is equal for cells that the sweep declares to be trained alike; `settings` are all that can
    change a result, but the seed, which the seeds of one mean should share; `paper` is what a paper calls the row;
    `protocols` are those that the table asks for.
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
    alike: str = ""
    settings: Mapping[str, str] = field(default_factory=dict, compare=False)
    paper: str = ""
    protocols: tuple[Protocol, ...] = ()

    @property
    def random(self) -> str:
        """ "random weights" where its encoder began with these; empty where not, or where nobody knows."""
        return "random weights" if self.settings.get(WEIGHTS) == "random" else ""

    @property
    def scaled(self) -> str:
        """At which size images enter its network, where it is not their own: "at 0.5 of their size"."""
        scale = float(self.settings.get("data.input_scale", 1))
        return "" if scale == 1 else f"at {scale:g} of their size"

    def protocol(self, name: str) -> Protocol:
        """Of that name; where nobody asked for it, the name is taken for the words."""
        return next((one for one in self.protocols if one.name == name), Protocol(name, name))


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
