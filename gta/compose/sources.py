"""Where Hydra finds groups and sweeps: YAML files, each read when it is asked for, and held to what it may say."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import DictConfig

from gta.compose.filerules import check_file
from gta.compose.yamlfile import read_settings, shown
from gta.errors import UserError

SUFFIX = ".yaml"
SWEEP = "sweep"  # the group of all sweeps
_PACKAGES = {"augment": "_global_.data.augment"}  # groups whose files set a part of another's section
_DEEPEST = 2  # folders of a group's name: hydra/launcher


def yaml_files(folder: Path) -> dict[str, Path]:
    """Name -> file of the YAML files in a folder; hidden ones are an editor's. Empty where there is no such folder."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}
    files = {name.removesuffix(SUFFIX): folder / name for name in names if _meant(name) and name.endswith(SUFFIX)}
    return {name: path for name, path in files.items() if os.path.isfile(path)}


def _meant(name: str) -> bool:
    return not name.startswith((".", "__"))


class SettingsSource(ConfigSource):
    """A folder of groups, each a sub-folder of YAML files, in which a split like 1_16 is the text that stands there."""

    @staticmethod
    def scheme() -> str:
        return "settings"

    def load_config(self, config_path: str) -> ConfigResult:
        """Raises UserError for a file that cannot be read, or says what it may not."""
        path = self.file(config_path)
        if path is None:
            raise ConfigLoadError(f"Config not found : {config_path}")
        config, text = read_settings(path)
        try:
            header = self._get_header_dict(text)
        except ValueError as error:
            raise UserError(f"{shown(path)}, line 1: {error}.") from None
        return self._result(path, config_path.removesuffix(SUFFIX), config, header)

    def _result(self, path: Path, name: str, config: DictConfig, header: dict[str, str | None]) -> ConfigResult:
        header = {**header, "package": header["package"] or _PACKAGES.get(name.rpartition("/")[0])}
        if "/" in name and not name.startswith("hydra/"):
            check_file(path, name, config, header["package"])
        return ConfigResult(config=config, path=self.full_path(), provider=self.provider, header=header)

    def file(self, config_path: str) -> Path | None:
        """The file of a config such as data/voc; None where it is not here."""
        group, _, name = config_path.removesuffix(SUFFIX).rpartition("/")
        return self._files(group).get(name)

    def _files(self, group: str) -> dict[str, Path]:
        return yaml_files(Path(self.path, group))

    def available(self) -> bool:
        return os.path.isdir(self.path)

    def is_group(self, config_path: str) -> bool:
        return os.path.isdir(Path(self.path, config_path))

    def is_config(self, config_path: str) -> bool:
        return self.file(config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        found = set[str]()
        if results_filter in (None, ObjectType.CONFIG):
            found |= self._files(config_path).keys()
        if results_filter in (None, ObjectType.GROUP) and self.is_group(config_path):
            folder = Path(self.path, config_path)
            found |= {name for name in os.listdir(folder) if _meant(name) and os.path.isdir(folder / name)}
        return sorted(found)

    def unusable(self) -> Iterator[str]:
        """A sentence for each file here that cannot be read or says what it may not, with its place."""
        for group in self._groups():
            for name in self._files(group):
                try:
                    self.load_config(f"{group}/{name}")
                except UserError as error:
                    yield str(error)

    def _groups(self) -> Iterator[str]:
        """The folders of groups (data, hydra/launcher), as far as a name of a group goes."""
        for depth in range(1, _DEEPEST + 1):
            for folder in sorted(Path(self.path).glob("/".join(["[!._]*"] * depth))):
                if folder.is_dir():
                    yield folder.relative_to(self.path).as_posix()


class UserSource(SettingsSource):
    """A user's own folder: of groups alone, since a file beside them could take the place of the schema."""

    @staticmethod
    def scheme() -> str:
        return "own-settings"

    def _files(self, group: str) -> dict[str, Path]:
        return super()._files(group) if group else {}


class SweepSource(SettingsSource):
    """A folder of sweeps, which are the group `sweep`. A sweep sets the whole config, and is named after its file."""

    @staticmethod
    def scheme() -> str:
        return "sweeps"

    def _result(self, path: Path, name: str, config: DictConfig, header: dict[str, str | None]) -> ConfigResult:
        made = super()._result(path, name, config, {**header, "package": "_global_"})
        config["sweep_name"] = path.stem
        return made

    def _files(self, group: str) -> dict[str, Path]:
        return yaml_files(Path(self.path)) if group == SWEEP else {}

    def _groups(self) -> Iterator[str]:
        yield SWEEP

    def is_group(self, config_path: str) -> bool:
        return config_path in ("", SWEEP)


def own_unusable(sources: Iterable[ConfigSource]) -> list[str]:
    """A sentence for each file in ./conf and ./sweeps that cannot be used: who names another is to know of it."""
    own = [one for one in sources if isinstance(one, UserSource | SweepSource) and Path(one.path).parent == Path.cwd()]
    return list(dict.fromkeys(sentence for source in own for sentence in source.unusable()))
