"""A data set that was asked for without a model or a schedule for it: said, lest those of another are trained with
unseen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.default_element import ConfigDefault, GroupDefault
from omegaconf import DictConfig, OmegaConf

from gta.compose.hydra import ConfigLoaderImpl, group_options
from gta.compose.overrides import given
from gta.errors import UserError

PARTS = {"model": ("encoder",), "schedule": ("iterations", "epochs")}  # group -> settings that choose as much
_PARAMS = "hydra.sweeper.params"


def unfitting(loader: ConfigLoaderImpl, master: DictConfig) -> list[str]:
    """A sentence for each data set of a composed grid that goes with a model or a schedule which nobody chose for it:
    not on the command line, nor in a sweep that is about this data set.
    """
    choices = {str(key): str(value) for key, value in master.hydra.runtime.choices.items()}
    words = [word.lstrip("+~") for word in given(master)]
    typed = {name: value for name, _, value in (word.partition("=") for word in words)}
    named = choices.get("sweep", "None")
    sweep = _Said.of(loader, f"sweep/{named}") if named != "None" else _Said({}, {})
    shipped = _Said.of(loader, "config")
    swept = typed.get("data") or sweep.swept.get("data")
    told = []
    for data in swept.replace(" ", "").split(",") if swept else [choices["data"]]:
        names = {data, _name(loader, data)}
        own = "data" not in typed or sweep.chosen.get("data") in names
        left = [
            part
            for part in PARTS
            if part in choices
            and not _names(typed, part)
            and not (own and sweep.names(part))
            and choices[part] == sweep.chosen.get(part, shipped.chosen[part])  # else the schedule's file chose it
            and not (shipped.chosen["data"] in names and choices[part] == shipped.chosen[part])
        ]
        if "model" in left and _sets_encoder(loader, choices["schedule"]):
            left.remove("model")
        if left and (found := _sentence(loader, data, names, left, choices)):
            told.append(found)
    return told


class _Said:
    """What a file of settings says of groups and settings: `chosen` by its defaults, `swept` by its parameters."""

    def __init__(self, chosen: dict[str, str], swept: dict[str, str], own: dict[str, Any] | None = None):
        self.chosen = chosen
        self.swept = swept
        self.own = own or {}

    @classmethod
    def of(cls, loader: ConfigLoaderImpl, name: str) -> _Said:
        found = loader.repository.load_config(name)
        if found is None:
            return cls({}, {})
        items = [item for item in found.defaults_list or () if isinstance(item, GroupDefault)]
        chosen = {str(item.group).strip("/"): str(item.value) for item in items}
        assert isinstance(found.config, DictConfig)
        own = {str(key): value for key, value in found.config.items()}
        params = OmegaConf.to_container(_below(found.config, _PARAMS), resolve=False)
        assert isinstance(params, dict)
        return cls(chosen, {str(key): str(value) for key, value in params.items()}, own)

    def names(self, part: str) -> bool:
        section = self.own.get(part)
        settings = {f"{part}.{name!s}": "" for name in section} if isinstance(section, DictConfig) else {}
        return part in self.chosen or _names({**self.swept, **settings}, part)


def _names(said: dict[str, str], part: str) -> bool:
    """Whether words choose a model, or a length of training."""
    return part in said or any(f"{part}.{name}" in said for name in PARTS[part])


def _below(node: Any, name: str) -> DictConfig:
    for key in name.split("."):
        node = node.get(key) if isinstance(node, DictConfig) else None
    return node if isinstance(node, DictConfig) else OmegaConf.create({})


def _name(loader: ConfigLoaderImpl, data: str) -> str:
    """The data set's own name, or that of the one which its file begins with."""
    found = loader.repository.load_config(f"data/{data}")
    if found is None:
        return data
    if isinstance(found.config, DictConfig) and (name := found.config.get("name")):
        return str(name)
    others = [item.path for item in found.defaults_list or () if isinstance(item, ConfigDefault)]
    return next((str(path) for path in others if path not in ("_self_", None)), data)


def _sets_encoder(loader: ConfigLoaderImpl, schedule: str) -> bool:
    """Whether a schedule comes with a network of its own (dry does)."""
    found = loader.repository.load_config(f"schedule/{schedule}")
    return found is not None and bool({"encoder", "dry"} & set(_below(found.config, "model")))


def _sentence(
    loader: ConfigLoaderImpl, data: str, names: set[str], left: Sequence[str], choices: dict[str, str]
) -> str:
    """What is said of a data set; empty where a sweep trains it with what was chosen."""
    have = {part: choices[part] for part in left}
    begun = f"data={data} is asked for without a {' or '.join(left)} for it, so it goes with {_words(have)}"
    trained = {name: {part: said[part] for part in left if part in said} for name, said in _sweeps(loader, names)}
    if have in trained.values():
        return ""
    for sweep, fitting in trained.items():
        if fitting.keys() == have.keys():
            return f"{begun}; the sweep {sweep} trains it with {_words(fitting)}."
    groups = "; ".join(f"of {part}, {', '.join(group_options(loader, part))}" for part in left)
    return f"{begun}. There are {groups}. Choose with {_words(dict.fromkeys(left, 'NAME'))}."


def _words(chosen: dict[str, str]) -> str:
    return " ".join(f"{part}={name}" for part, name in chosen.items())


def _sweeps(loader: ConfigLoaderImpl, names: set[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(name, chosen groups) of the sweeps that are about a data set of these names; one that is broken is of none."""
    for sweep in group_options(loader, "sweep"):
        try:
            said = _Said.of(loader, f"sweep/{sweep}")
        except UserError:
            continue
        if said.chosen.get("data", "") in names:
            yield sweep, said.chosen
