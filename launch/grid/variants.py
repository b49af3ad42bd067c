"""Whether a grid is the one that its sweep's file declares, or a variant, a try-out say, that has results of its own.

Settings that cannot change a result (the site, paths, where a data set lies, a row's label) make no variant. A cell
of a variant that the sweep as declared has too is that sweep's: nothing is run twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gta.cell import weights_digest
from gta.compose.compose import sweep_files
from gta.compose.filerules import PARAMS
from gta.compose.hydra import ConfigLoaderImpl, Parser
from gta.compose.overrides import composing, given, parse, protect
from gta.compose.paths import absolute
from gta.config import Config
from gta.errors import UserError
from gta.fields import describe, result_fields
from gta.ranges import LINE

_GROUP = "sweep"
_SWEEPER = "hydra/sweeper"
_SHOWN = 3  # of more values than a text takes
# of data and weights, what the signature knows by digests; the rest of what is neutral is so in any grid
_LISTS = ("ids", "train_list", "val_list", "split", "unlabeled_root", "split_family", "split_dir")


def own_name(master: DictConfig) -> str:
    """The name of the sweep's file, where a grid is called after one; empty for a name of its own, and for none. Raises
    UserError for the name of a sweep that this grid does not begin with.
    """
    chosen = Path(str(master.hydra.runtime.choices.get(_GROUP) or "")).name
    name = str(master.sweep_name)
    if name == chosen:
        return name
    if name in sweep_files():
        raise UserError(
            f"sweep_name={name} is the name of a sweep, whose table this would replace: give a name of your own, or "
            f"say sweep={name}."
        )
    return ""


def changes(loader: ConfigLoaderImpl, master: DictConfig) -> list[Override]:
    """The overrides that may make another grid than the sweep's file declares: of one setting the last."""
    parser = Parser.create(config_loader=loader)
    task = parse(parser, given(master))
    words = [str(word).removeprefix(f"{PARAMS}.") for word in master.hydra.overrides.hydra if _of_grid(str(word))]
    found = {one.key_or_group: one for one in [*parse(parser, words), *task] if not _neutral(one.key_or_group)}
    return list(found.values())


def _of_grid(word: str) -> bool:
    """Whether one of Hydra's own settings says which cells there are."""
    return word.lstrip("+~").startswith((PARAMS, f"{_SWEEPER}=")) and word != f"{_SWEEPER}=grid"


@cache
def _neutral_settings() -> frozenset[str]:
    return frozenset(name for name, row in describe(Config).items() if row["neutral"])


def _neutral(key: str) -> bool:
    if key in (_GROUP, "site", "method.label") or key.startswith(("site.", "paths.")):
        return True
    if key.startswith("data."):  # where the data set lies; but which lists are meant tells cells apart
        return key in _neutral_settings() and key.removeprefix("data.") not in _LISTS
    return key in _neutral_settings() and not key.startswith(("model.", "method."))


def declared(loader: ConfigLoaderImpl, master: DictConfig) -> DictConfig:
    """The composed config of the sweep as its file declares it, on the same site and with the same paths."""
    parser = Parser.create(config_loader=loader)
    task = [
        one.input_line
        for one in parse(parser, given(master))
        if one.input_line is not None and _neutral(one.key_or_group)
    ]
    hydra = [str(word) for word in master.hydra.overrides.hydra]
    kept = [word for word in hydra if not word.lstrip("+~").startswith(("hydra.sweeper", _SWEEPER))]
    with composing(loader):
        return loader.load_configuration("config", [*kept, *task], RunMode.MULTIRUN)


def words(loader: ConfigLoaderImpl, changed: Sequence[Override], file: DictConfig) -> str:
    """What differs, as settings: those that the sweep's file sweeps over first, in its order, then by name. What says
    the same as the `file` does is left out.
    """
    params = OmegaConf.to_container(file.hydra.sweeper.params or {}, resolve=False)
    assert isinstance(params, dict)
    swept = parse(Parser.create(config_loader=loader), [protect(f"{name}={params[name]}") for name in map(str, params)])
    before = {one.key_or_group: _values(one) for one in swept}
    told = {}
    for one in changed:
        key, values = one.key_or_group, _values(one)
        if one.is_delete():
            told[key] = f"~{key}"
        elif sorted(values) != sorted(before.get(key) or [_composed(file, key)]):
            told[key] = f"{key}={','.join(values)}"
    places = {key: place for place, key in enumerate(before)}
    return _in_a_line([told[key] for key in sorted(told, key=lambda key: (places.get(key, len(places)), key))])


def _in_a_line(settings: Sequence[str]) -> str:
    """The settings in a text that a config takes; of too many values the first ones, how many, and their digest."""
    said = list(settings)
    while not LINE.holds(text := " ".join(said)):
        place = max(range(len(said)), key=lambda i: len(said[i]))
        name, _, values = said[place].partition("=")
        several = values.split(",")
        digest = hashlib.sha256(values.encode()).hexdigest()[:8]
        short = f"{name}={','.join(several[:_SHOWN])},...({len(several)} values, {digest})"
        if len(short) >= len(said[place]):
            break
        said[place] = short
    return text


def _values(override: Override) -> list[str]:
    if override.is_sweep_override():
        return [text.strip("'\"") for text in override.sweep_string_iterator()]
    return [override.get_value_element_as_str().strip("'\"")]


def _composed(file: DictConfig, key: str) -> str:
    """What the composed config has of a setting or a group, as an override would say it."""
    if key in file.hydra.runtime.choices:
        return str(file.hydra.runtime.choices[key])
    value = OmegaConf.select(file, key, default=None)
    return str(value).lower() if isinstance(value, bool) else str(value)


def identities(configs: Iterable[Config]) -> list[str]:
    """Of each config what makes its cell: equal for configs of one signature, as far as lists go by their names."""
    return [_identity(absolute(config)) for config in configs]


def _identity(config: Config) -> str:
    lists: dict[str, Any] = {name: getattr(config.data, name) for name in _LISTS}
    return json.dumps([result_fields(config), lists, _weights(config.model.weights)], sort_keys=True)


def _weights(weights: str) -> str:
    try:
        return weights_digest(weights)
    except (UserError, OSError):
        return weights


def marked(configs: Sequence[Config], of_file: Sequence[Config], variant: str) -> tuple[list[Config], bool]:
    """The configs, each that the sweep as declared does not have as one of the `variant`; and whether they are the
    cells of the sweep as declared, all of them and no other.
    """
    found, own = identities(configs), set(identities(of_file))
    made = [
        config if identity in own else replace(config, variant=variant)
        for config, identity in zip(configs, found, strict=True)
    ]
    return made, set(found) == own
