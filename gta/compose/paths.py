"""Folders as absolute paths: a frozen cell must not depend on where a job starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gta.config import Config, PathsConfig
from gta.errors import UserError


def absolute(config: Config) -> Config:
    """The config with every folder and file in it absolute, `~` being the user's home. Raises UserError for the home of
    nobody.
    """
    data, model = config.data, config.model
    if model.weights != "random":
        model = replace(model, weights=_absolute(model.weights))
    data = replace(data, root=_absolute(data.root), split_dir=_absolute(data.split_dir))
    if data.unlabeled_root:
        data = replace(data, unlabeled_root=_absolute(data.unlabeled_root))
    return replace(config, data=data, model=model, paths=absolute_paths(config.paths))


def absolute_paths(paths: PathsConfig) -> PathsConfig:
    """The same folders as absolute paths; the store as well, where it is a file."""
    names = ("data", "splits", "runs", "results", "weights")
    made = replace(paths, **{name: _absolute(getattr(paths, name)) for name in names})
    file = paths.tracking_uri.removeprefix("sqlite:///")
    return made if file == paths.tracking_uri else replace(made, tracking_uri=f"sqlite:///{_absolute(file)}")


def _absolute(path: str) -> str:
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError:
        raise UserError(f"{path}: nobody here has a home folder of that name; write it out, without ~.") from None
