"""A cell: one (config, split, seed), its signature, and its folder. It is prepared once, when it is submitted."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

from gta.cellfolder import CellFolder, Identity, readable
from gta.compose.compose import dump
from gta.compose.epochs import in_iterations
from gta.compose.paths import absolute
from gta.compose.validate import check_config, check_warm_up
from gta.config import Config, DataConfig, MethodConfig, ScheduleConfig
from gta.data.prepare import prepare
from gta.data.splits.draw import check_drawn
from gta.data.splits.known import known_name
from gta.data.splits.split import Sizes, Split, load_split
from gta.encoders import timm_name
from gta.errors import UserError
from gta.fields import by_object, describe, params, result_fields
from gta.files import Put, write_text
from gta.maths import versions
from gta.methods import METHODS

SHOWN = 4  # settings in a sentence
SIGNATURE_LENGTH = 16  # hex digits that name the folder and the tag; 8 are shown
MATHS = "maths."  # before the name of a part, among a cell's params
UNKNOWN = "?"  # before the digits of a cell that no record is of, and whose lists are not at hand


def signature(config: Config, digests: dict[str, str], versions: dict[str, int]) -> str:
    """16 hex digits of the sha256 over the fields that can change a result, the digests of lists and weights (and of
    the source of a user's own method), and the versions of the maths (`gta.maths`).

    Of the full resolved config, not of the overrides or of differences from defaults: those go stale when a default
    changes.
    """
    identity = {"config": result_fields(config), "digests": digests, "maths": versions}
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
    """A config with its lists, its signature and its folder (`<runs>/cells/<signature>`).

    The config is ready to be trained: checked, with absolute paths and its length in iterations. A cell that is only
    read may be known by its record alone (`launch.grid.recorded`): `lists` is None then, and `not_at_hand` says which
    of the lists and the weights could not be read here. Where no record is of it either, its `signature` begins with
    `?`: no folder has that name. `overrides`: by which a grid made it; empty outside of one.
    """

    config: Config
    lists: Split | None
    signature: str
    digests: dict[str, str]
    folder: CellFolder
    sizes: Sizes
    not_at_hand: tuple[str, ...] = ()
    overrides: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def prepare(cls, config: Config, splits: dict[str, Split]) -> Cell:
        """The cell of a composed config. Embedded data and lists that this program draws are made on the way.

        `splits` keeps what was loaded, for the cells that share it. Raises UserError for what the user can mend.
        """
        config = checked(config)
        key = data_key(config)
        if key not in splits:
            prepare(config.data)
            check_drawn(config.data)
            splits[key] = load_split(config.data)
        split = splits[key]
        cell = cls.of(of_length(config, len(split.unlabeled)), split)
        if (config.model.weights != "random" or timm_name(config.model.encoder)) and not cell.folder.frozen:
            # torch reads the file, timm makes the encoder: before the cell is made
            from gta.models import check_weights

            check_weights(config.model)
        return cell

    @classmethod
    def load(cls, folder: CellFolder, config: Config) -> Cell:
        """The cell that was frozen in `folder`, of its config (`read_config`) and the lists as they are now.

        Raises UserError where its config, lists or weights are no longer those that it was made of.
        """
        cell = cls.of(config, load_split(config.data))
        if cell.signature != folder.signature:
            raise UserError(cell._changed(folder))
        return replace(cell, folder=folder)  # which may have been moved

    def _changed(self, folder: CellFolder) -> str:
        """What is no longer as it was when the cell in `folder` was frozen, in a sentence."""
        short = folder.signature[:8]
        frozen = readable(folder.identity, say=lambda _: None)
        if frozen is None:
            return (
                f"The config, the split lists or the initial weights changed after the cell {short} was frozen: put "
                "them back, or run multirun again, which makes a new cell of them."
            )
        if other := _other_maths(self.params, frozen):
            return (
                f"The cell {short} was frozen by code that computes otherwise ({other}): go on with that code, or run "
                "multirun again, which makes a new cell."
            )
        names = {
            "labeled": "labeled list", "unlabeled": "unlabeled list", "val": "val list", "weights": "weights",
            "method": "source of the method", "files": "lists' choice of files",
        }  # fmt: skip
        now = self.digests
        if lists := [title for name, title in names.items() if frozen.digests.get(name) != now.get(name)]:
            return (
                f"The {', '.join(lists)} changed after the cell {short} was frozen: put back what was there, or run "
                "multirun again, which makes a new cell of what is there now."
            )
        mine = self.params
        changed = [name for name in {**frozen.params, **mine} if frozen.params.get(name) != mine.get(name)]
        shown = ", ".join(f"{name}={mine.get(name)} (was {frozen.params.get(name)})" for name in changed[:SHOWN])
        return (
            f"{folder.config_file} was edited after the cell {short} was frozen: {shown or 'a setting changed'}. Give "
            "settings to multirun (name=value), which makes another cell; `gta retry` writes this one's config anew."
        )

    @classmethod
    def of(cls, config: Config, split: Split) -> Cell:
        """The cell of a config that is ready to be trained, and its split."""
        weights = weights_digest(config.model.weights)
        digests = {**split.digests(), "weights": weights, **METHODS.digests(config.method)}
        name = signature(config, digests, maths(config))
        return cls(config, split, name, digests, cell_folder(config, name), split.sizes)

    @property
    def split(self) -> Split:
        """The lists of a cell that can be trained."""
        assert self.lists is not None
        return self.lists

    @property
    def recorded(self) -> bool:
        """Whether the signature is known: by lists and weights, or by a record."""
        return not self.signature.startswith(UNKNOWN)

    @property
    def row(self) -> str:
        """Name of the cell's row in a table."""
        return self.config.method.label or self.config.method.name

    @property
    def paper_row(self) -> str:
        """What a paper calls the row: as the config says, or the method's title, with what its label adds."""
        if said := self.config.method.paper_label:
            return said
        row, key = self.row, self.config.method.name
        title = self.config.method.title or key.replace("_", " ")
        added = row.removeprefix(key)
        return title + added if added != row and added[:1] in ("", ",", " ") else row

    @property
    def column(self) -> str:
        """Name of the cell's column in a table: ratio (label count)."""
        sizes = self.sizes
        return f"{sizes.ratio} ({sizes.labeled})" if sizes.labeled else self.config.data.split

    @property
    def title(self) -> str:
        return f"{self.row} {self.config.data.split} seed {self.config.seed}"

    @property
    def params(self) -> dict[str, str]:
        """Dotted name -> text of every setting that can change a result, and of the versions of the maths."""
        return _params(self.config)

    def write(self, put: Put = write_text) -> None:
        """Freeze the cell: its config, the source of a user's own method and its identity in its folder, atomically;
        `put`: with other cells (`gta.files.together`).

        Called when the cell is submitted; what a new submission can change is result-neutral (paths, site).
        """
        folder = self.folder
        folder.path.mkdir(parents=True, exist_ok=True)
        if source := METHODS.source(self.config.method):
            put(folder.method_file, source)
        put(folder.config_file, dump(self.config))
        self.identity().write(folder.identity_file, put)

    def identity(self) -> Identity:
        """What is frozen of the cell in its `cell.json`."""
        return Identity(
            signature=self.signature,
            method=self.config.method.name,
            label=self.row,
            dataset=self.config.data.name,
            split=self.config.data.split,
            split_family=self.config.data.split_family,
            list=known_name(self.digests["labeled"]) or "unknown list",
            labels=self.sizes.labeled,
            unlabeled=self.sizes.unlabeled,
            val=self.sizes.val,
            ratio=self.sizes.ratio,
            seed=self.config.seed,
            digests=self.digests,
            params=self.params,
            created=time.time(),
        )


def checked(config: Config) -> Config:
    """A composed config with absolute paths. Raises UserError for what no cell could be trained with."""
    check_config(config)
    return absolute(config)


def data_key(config: Config) -> str:
    """Equal for configs of the same data set and lists."""
    return _key(config.data)


@by_object
def _key(data: DataConfig) -> str:
    return json.dumps(asdict(data), sort_keys=True)


def of_length(config: Config, unlabeled: int) -> Config:
    """The config with its length in iterations, of so many unlabeled images. Raises UserError where that is none."""
    method, schedule = _in_schedule(config.method, config.schedule), in_iterations(config.schedule, unlabeled)
    config = replace(config, method=method, schedule=schedule)
    check_warm_up(config)
    return config


@by_object
def _in_schedule(method: MethodConfig, schedule: ScheduleConfig) -> MethodConfig:
    return method.in_schedule(schedule)


def cell_folder(config: Config, name: str) -> CellFolder:
    return CellFolder(Path(config.paths.runs) / "cells" / name)


def maths(config: Config) -> dict[str, int]:
    """Part -> version of the maths that a cell of this config is made of."""
    return versions(METHODS.of(config.method).maths)


def otherwise(config: Config, frozen: Identity) -> str:
    """Why what is found out by this frozen config, and this code, is not of the cell that was `frozen`: a part of a
    sentence; empty where it is.
    """
    now = _params(config)
    if other := _other_maths(now, frozen):
        return f"this code computes otherwise than the cell's ({other})"
    if METHODS.digests(config.method).get("method") != frozen.digests.get("method"):
        return "the source of its method changed after it was frozen"
    rows = {**describe(Config), **describe(type(config.method), "method.")}
    # what came after the cell was frozen is as it was before by its default
    then = {name: frozen.params.get(name, str(rows[name]["default"]) if name in rows else None) for name in now}
    if changed := [f"{name}={text} (was {then[name]})" for name, text in now.items() if text != then[name]]:
        return f"its config.yaml was edited after it was frozen: {', '.join(changed[:SHOWN])}"
    return ""


def _params(config: Config) -> dict[str, str]:
    return params(config) | {MATHS + part: str(version) for part, version in maths(config).items()}


def _other_maths(params: Mapping[str, str], frozen: Identity) -> str:
    """Which parts of the maths were others when the cell was frozen: "model: version 1, now 2"; empty for none."""
    now = {name: text for name, text in params.items() if name.startswith(MATHS)}
    parts = [(name.removeprefix(MATHS), frozen.params.get(name, "1"), text) for name, text in now.items()]
    return ", ".join(f"{part}: version {old}, now {new}" for part, old, new in parts if old != new)
