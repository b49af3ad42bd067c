"""A user's own methods (`gta.methods.own`) as Hydra and a cell's folder know them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource

from gta.cellfolder import CellFolder, Identity, cell_folders, readable
from gta.compose.hydra import schema
from gta.compose.sources import SUFFIX, yaml_files
from gta.config import MethodConfig
from gta.errors import UserError
from gta.methods import METHODS, own

GROUP = "method"
_YAML = (Path("conf") / GROUP, Path(__file__).parents[1] / "conf" / GROUP)  # a name of one of these is no method's


class MethodSource(ConfigSource):
    """The settings of a user's own methods, as options of the group `method`. A file is read when it is chosen."""

    @staticmethod
    def scheme() -> str:
        return "own-methods"

    def load_config(self, config_path: str) -> ConfigResult:
        """Raises UserError for a method that cannot be loaded, and for a name that something else has, too."""
        group, _, name = config_path.removesuffix(SUFFIX).rpartition("/")
        if group != GROUP or name not in METHODS.own_names():
            raise ConfigLoadError(f"Config not found : {config_path}")
        _refuse_two(name)
        node = schema(METHODS.config(name))
        return ConfigResult(config=node, path=self.full_path(), provider=self.provider, header={"package": None})

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path.rstrip("/") in ("", GROUP)

    def is_config(self, config_path: str) -> bool:
        group, _, name = config_path.removesuffix(SUFFIX).rpartition("/")
        return group == GROUP and name in METHODS.own_names()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        inside = config_path.rstrip("/") == GROUP and results_filter in (None, ObjectType.CONFIG)
        return METHODS.own_names() if inside else []


def _refuse_two(name: str) -> None:
    """Raise UserError where not only a user's own method has the name."""
    found = [place.shown for place in own.places(name)]
    if name in METHODS.known:
        found.insert(0, "the program's own")
    found += [str(files[name]) for folder in _YAML if name in (files := yaml_files(folder))]
    if len(found) > 1:
        raise UserError(own.two(name, found))


def config_of(config_file: Path, name: str) -> type[MethodConfig]:
    """The settings of the method of a frozen cell: of the source that was frozen with it, where it is a user's own.

    Raises UserError where that is not the source any more that the cell is known by, and where it is nowhere.
    """
    folder = CellFolder(config_file.parent)
    frozen = folder.method_file.is_file()
    if not frozen and name not in METHODS:
        raise UserError(
            f"{config_file} is of the method {name}, which is neither the program's nor, by that name, in "
            f"./{own.FOLDER} or an installed package: put it there."
        )
    kind = own.load_file(folder.method_file, name).method.Config if frozen else METHODS.config(name)
    made, cell = own.made_by(kind), readable(folder.identity, say=lambda _: None)
    if made and cell and cell.digests.get("method", made.digest) != made.digest:
        raise UserError(
            f"The source of the method {name}"
            + (f", {folder.method_file}," if frozen else "")
            + f" changed after the cell {folder.signature[:8]} was frozen: put back what was there, or run multirun "
            "again, which freezes what there is now."
        )
    return kind


def offer_recorded(runs: Path) -> None:
    """Let methods that are nowhere else be known by the sources that were frozen with cells below `runs`, the latest of
    each: enough to read a copy of the runs.
    """
    newest: dict[str, tuple[float, Path]] = {}
    for folder, cell in _with_source(runs):
        if cell.method not in METHODS.known and not own.places(cell.method):
            found = (cell.created, folder.method_file)
            newest[cell.method] = max(newest.get(cell.method, found), found)
    METHODS.kept.update({name: path for name, (_, path) in newest.items()})


def _with_source(runs: Path) -> Iterable[tuple[CellFolder, Identity]]:
    for folder in cell_folders(runs):
        if folder.method_file.is_file() and (cell := readable(folder.identity, say=lambda _: None)) is not None:
            yield folder, cell
