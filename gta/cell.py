"""A cell: one (config, split, seed), its signature, and its folder."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gta.cellfolder import CellFolder, Identity
from gta.compose.compose import dump, params
from gta.config import Config
from gta.data.splits.known import known_name
from gta.data.splits.split import Split
from gta.errors import UserError
from gta.fields import result_fields
from gta.files import write_text

SIGNATURE_LENGTH = 16  # hex digits that name the folder and the tag; 8 are shown


def signature(config: Config, digests: dict[str, str]) -> str:
    """16 hex digits of the sha256 over the fields that can change a result and the digests of lists and weights.

    Of the full resolved config, not of the overrides or of differences from defaults: those go stale when a default
    changes.
    """
    identity = {"config": result_fields(config), "digests": digests}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:SIGNATURE_LENGTH]


def weights_digest(weights: str) -> str:
    """sha256 of the file with the initial weights, or `random`. Raises UserError for a file that is not there."""
    if weights == "random":
        return "random"
    path = Path(weights)
    if not path.is_file():
        raise UserError(
            f"The initial weights {path} are not there: put the file there, give another with model.weights=FILE, "
            "or ask for random initialisation with model.weights=random."
        )
    status = path.stat()
    return _file_digest(str(path), status.st_size, status.st_mtime_ns)


@cache
def _file_digest(path: str, size: int, mtime: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Cell:
    """A frozen config with its split, its signature and its folder `<runs>/cells/<signature>`."""

    config: Config
    split: Split
    signature: str
    digests: dict[str, str]

    @classmethod
    def of(cls, config: Config, split: Split) -> Cell:
        digests = {**split.digests(), "weights": weights_digest(config.model.weights)}
        return cls(config, split, signature(config, digests), digests)

    @property
    def folder(self) -> CellFolder:
        return CellFolder(Path(self.config.paths.runs) / "cells" / self.signature)

    @property
    def row(self) -> str:
        """Name of the cell's row in a table."""
        return self.config.method.label or self.config.method.name

    @property
    def column(self) -> str:
        """Name of the cell's column in a table: ratio (label count)."""
        return f"{self.split.ratio} ({len(self.split.labeled)})"

    @property
    def title(self) -> str:
        return f"{self.row} {self.config.data.split} seed {self.config.seed}"

    def write(self) -> None:
        """Freeze the cell: `config.yaml` and `cell.json` in its folder, atomically.

        Called when the cell is submitted; what a new submission can change is result-neutral (paths, site).
        """
        folder = self.folder
        folder.path.mkdir(parents=True, exist_ok=True)
        write_text(folder.config_file, dump(self.config))
        Identity(
            signature=self.signature,
            method=self.config.method.name,
            label=self.row,
            dataset=self.config.data.name,
            split=self.config.data.split,
            split_family=self.config.data.split_family,
            list=known_name(self.digests["labeled"]) or "unknown list",
            labels=len(self.split.labeled),
            unlabeled=len(self.split.unlabeled),
            val=len(self.split.val),
            ratio=self.split.ratio,
            seed=self.config.seed,
            digests=self.digests,
            params=params(self.config),
            created=time.time(),
        ).write(folder.identity_file)
