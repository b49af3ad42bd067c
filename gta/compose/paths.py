"""Folders as absolute paths: a frozen cell must not depend on where a job starts."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gta.config import Config, DataConfig, ModelConfig, PathsConfig
from gta.errors import UserError
from gta.fields import by_object


def absolute(config: Config) -> Config:
    """The config with every folder and file in it absolute, `~` being the user's home. Raises UserError for the home of
    nobody.
    """
    here = _here()
    data, model, paths = _data(config.data, *here), _model(config.model, *here), _paths(config.paths, *here)
    return replace(config, data=data, model=model, paths=paths)


def absolute_paths(paths: PathsConfig) -> PathsConfig:
    """The same folders as absolute paths; the store as well, where it is a file."""
    return _paths(paths, *_here())


def _here() -> tuple[str, str]:
    """What a path is made absolute by: the folder this process works in (empty where that is gone), the user's home."""
    folder = ""
    with suppress(OSError):
        folder = os.getcwd()
    return folder, os.environ.get("HOME", "")


@by_object
def _data(data: DataConfig, folder: str, home: str) -> DataConfig:
    data = replace(data, root=_absolute(data.root), split_dir=_absolute(data.split_dir))
    return replace(data, unlabeled_root=_absolute(data.unlabeled_root)) if data.unlabeled_root else data


@by_object
def _model(model: ModelConfig, folder: str, home: str) -> ModelConfig:
    return model if model.weights == "random" else replace(model, weights=_absolute(model.weights))


@by_object
def _paths(paths: PathsConfig, folder: str, home: str) -> PathsConfig:
    names = ("data", "splits", "runs", "results", "weights")
    made = replace(paths, **{name: _absolute(getattr(paths, name)) for name in names})
    file = paths.tracking_uri.removeprefix("sqlite:///")
    return made if file == paths.tracking_uri else replace(made, tracking_uri=f"sqlite:///{_absolute(file)}")


def _absolute(path: str) -> str:
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError:
        raise UserError(f"{path}: nobody here has a home folder of that name; write it out, without ~.") from None
