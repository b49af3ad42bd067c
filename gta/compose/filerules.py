"""What a YAML file of a sweep, a data set or another group may say: our own settings and groups, and nothing of Hydra's
by which a file that somebody sent would run code, write elsewhere, or mean another thing on another machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gta.compose.yamlfile import place, shown
from gta.config import Config
from gta.errors import UserError
from gta.fields import describe
from gta.methods import METHODS
from gta.text import did_you_mean

OURS = tuple(item.name for item in fields(Config))
_SECTIONS = {item.name for item in fields(Config) if item.default_factory is not MISSING}
PARAMS = "hydra.sweeper.params"
SAYS = f"a sweep has settings (`gta settings`), defaults and {PARAMS}"
_GROUPS = {"sweep": ("hydra/launcher", "hydra/sweeper"), "": ("hydra/launcher",)}  # Hydra's that a file may choose from


def check_file(path: Path, name: str, config: DictConfig, package: str | None) -> None:
    """Raises UserError for what the file at `path`, the config `name` (data/voc), may not say; `package`: as its header
    says, under which setting its contents belong.
    """
    node = OmegaConf.to_container(config, resolve=False)
    assert isinstance(node, dict)
    group = name.rpartition("/")[0]
    _check_defaults(path, name, node.get("defaults", []))
    root = _root(group if package is None else package.replace("_group_", group))
    if root == "hydra":
        raise UserError(f"{shown(path)}: its header says @package {package}; a file sets our own groups only.")
    if root:
        return
    for key in _SECTIONS & node.keys():
        _mapping(path, key, node[key], f", or choose one in defaults: - override /{key}: NAME")
    for key in (str(key) for key in node if key not in (*OURS, "defaults")):
        if key != "hydra":
            raise UserError(f"{place(path, key)}: {key} is no setting; {did_you_mean(key, (*OURS, 'hydra'))}")
        if group != "sweep":
            raise UserError(f"{place(path, key)}: a file of {group} sets our own groups only, nothing of Hydra's.")
        _check_hydra(path, node[key])


def _root(package: str) -> str:
    """The setting at the top that a package is below; empty for the whole config."""
    below = package.rpartition("_global_")[2]  # Hydra forgets what stands before it
    return next((part for part in re.split(r"[./]", below) if part), "")


def _check_hydra(path: Path, node: Any) -> None:
    """Of Hydra's settings a sweep says what is varied, and plain numbers and words for a sweeper that learns."""
    said = _mapping(path, "hydra", node)
    for key in said:
        if key != "sweeper":
            raise UserError(f"{place(path, f'hydra.{key}')}: hydra.{key} is not a sweep's to say: {SAYS}.")
    sweeper = _mapping(path, "hydra.sweeper", said.get("sweeper", {}))
    for key, value in sweeper.items():
        if key != "params" and (isinstance(value, (dict, list)) or str(key).startswith("_")):
            name = f"hydra.sweeper.{key}"
            raise UserError(f"{place(path, name)}: {name} is not a sweep's to say: {SAYS}.")
    if sweeper.get("params") is not None:
        _check_params(path, sweeper["params"])


def _check_params(path: Path, node: Any) -> None:
    for key, value in _mapping(path, PARAMS, node).items():
        if isinstance(value, dict):
            inner = next(iter(value), "name")
            raise UserError(
                f"{place(path, f'{PARAMS}.{key}')}: {PARAMS} has a line for each setting; "
                f"write {key}.{inner}: ... there, with dots."
            )
        if value is None:
            raise UserError(f"{place(path, f'{PARAMS}.{key}')}: {key} has no value; give one, or several (A,B).")
        if isinstance(value, str) and (found := re.search(r"(?<!\\)\$\{[^:{}]*\}", value)):
            raise UserError(
                f"{place(path, f'{PARAMS}.{key}')}: {key} follows from {found[0]}, and what is varied is values: "
                f"say it outside of {PARAMS}, a setting as in any file, a choice as - override /GROUP: {found[0]} in "
                f"defaults."
            )
        if isinstance(value, list) and not _takes_a_list(str(key)):
            several = ",".join(str(one).lower() if isinstance(one, bool) else str(one) for one in value)
            raise UserError(
                f"{place(path, f'{PARAMS}.{key}')}: {key} has a YAML list, and what is varied is text with commas: "
                f"write {key}: {several}."
            )


def _takes_a_list(key: str) -> bool:
    """Whether one value of a setting is a list."""
    rows = [describe(Config), *(describe(method, "method.") for method in METHODS.configs())]
    return any("a list" in str(row[key]["values"]) for row in rows if key in row)


def _mapping(path: Path, name: str, node: Any, otherwise: str = "") -> dict[Any, Any]:
    if not isinstance(node, dict):
        is_so = "empty" if node is None else f"{node!r:.40}"
        raise UserError(
            f"{place(path, name)}: {name} is {is_so}; it holds settings, a line each (name: value){otherwise}."
        )
    return node


def _check_defaults(path: Path, name: str, node: Any) -> None:
    """The defaults list: a list of names, or of one group and the option chosen of it."""
    if not isinstance(node, list):
        raise UserError(f"{place(path, 'defaults')}: defaults is a list of - GROUP: NAME, and not {node!r:.40}.")
    for index, item in enumerate(node):
        for said, value in _chosen(path, index, item):
            where = partial(place, path, f"defaults.{index}")  # reads the file: for a refusal alone
            target, _, package = said.partition("@")
            group = target.removeprefix("/")
            allowed = _GROUPS.get(name.rpartition("/")[0], _GROUPS[""])
            if _root(package) == "hydra" or (group.split("/")[0] == "hydra" and group not in allowed):
                raise UserError(f"{where()}: {said} is not for a file to choose; it chooses from our own groups.")
            if re.search(r"\$\{.*:", str(value)):
                raise UserError(f"{where()}: {value} depends on where it is read; name the option itself.")
            paths = [target] if value is None else [f"{target}/{one}" for one in _each(value)]
            here = "" if target.startswith("/") else f"{name.rpartition('/')[0]}/"
            if name in [here + one.removeprefix("/") for one in paths]:
                raise UserError(f"{where()}: {shown(path)} names itself; leave that out of its defaults.")


def _chosen(path: Path, index: int, item: Any) -> Iterator[tuple[str, Any]]:
    """(group or name, chosen option) of one item; the words before a group are left out."""
    if isinstance(item, dict) and len(item) == 1:
        said, value = next(iter(item.items()))
        if isinstance(said, str) and (value is None or all(isinstance(one, str) for one in _each(value))):
            yield said.split()[-1] if said.split() else "", value
            return
    if isinstance(item, str) and item.split():
        yield item.split()[-1], None
        return
    raise UserError(f"{place(path, f'defaults.{index}')}: {item!r:.40} is no default; write - GROUP: NAME.")


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
