"""From overrides to a typed config: Hydra's schema, groups and search path, and clear words for a wrong override."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper
from omegaconf.errors import OmegaConfBaseException

from gta.config import Config
from gta.errors import UserError
from gta.fields import describe, result_fields
from gta.methods import METHODS
from gta.text import first_line, there_are

CONF = Path(__file__).parents[1] / "conf"
SWEEPS = Path(__file__).parents[2] / "sweeps"
GROUPS = ("method", "data", "model", "schedule", "site", "sweep", "hydra/launcher")


def start() -> Hydra:
    """Hydra with our schema, methods and sweeps; also a user's own `./conf` and `./sweeps`, where they exist."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for name, method in METHODS.items():
        store.store(group="method", name=name, node=method.Config)
    for path in sweep_files().values():
        store.store(group="sweep", name=path.stem, node=_sweep_node(path), package="_global_")
    GlobalHydra.instance().clear()
    search_path = create_config_search_path(str(CONF))
    if Path("conf").is_dir():
        search_path.prepend("user", f"file://{Path('conf').resolve()}", anchor="schema")
    return Hydra.create_main_hydra2("gta", search_path)


def sweep_files() -> dict[str, Path]:
    """Name -> file of every sweep: those shipped, and those in `./sweeps` (which win)."""
    return {path.stem: path for folder in (SWEEPS, Path("sweeps")) for path in sorted(folder.glob("*.yaml"))}


def _sweep_node(path: Path) -> DictConfig:
    try:
        node = OmegaConf.load(path)
    except Exception as error:  # YAML's errors have no common base that says the file
        raise UserError(f"The sweep file {path} is not valid YAML: {error}") from None
    if not isinstance(node, DictConfig):
        raise UserError(f"The sweep file {path} must hold a mapping; see {SWEEPS / 'shapes.yaml'} for one.")
    node["sweep_name"] = path.stem
    return node


class Composer:
    """Composes cells that differ in values quickly: groups are composed once, values are applied to a copy.

    That is what Hydra does inside one composition (defaults list first, value overrides after), so the outcome is
    Hydra's own; a test compares the two. Cells that differ in nothing but the seed are typed copies of one another.
    """

    def __init__(self, loader: ConfigLoaderImpl, hydra_overrides: Sequence[str] = ()):
        self.loader = loader
        self.hydra_overrides = list(hydra_overrides)
        self._bases: dict[tuple[str, ...], DictConfig] = {}
        self._unseeded: dict[tuple[str, ...], Config | None] = {}
        self._parser = OverridesParser.create(config_loader=loader)
        self._is_group = cache(lambda key: bool(loader.get_group_options(key)))  # asking copies Hydra's repository

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The composed, unresolved config of one cell, without the `hydra` node."""
        parsed = self._parser.parse_overrides(list(overrides))
        groups = tuple(str(o.input_line) for o in parsed if self._is_group(o.key_or_group))
        values = [o for o in parsed if not self._is_group(o.key_or_group)]
        if groups not in self._bases:
            base = self.loader.load_configuration("config", [*self.hydra_overrides, *groups], RunMode.RUN)
            OmegaConf.set_struct(base, False)
            del base["hydra"]
            OmegaConf.set_struct(base, True)
            self._bases[groups] = base
        config = self._bases[groups].copy()
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return config

    def cell(self, overrides: Sequence[str]) -> Config:
        """The typed config of one cell; raises what `compose` and `typed` raise."""
        seeds = [override for override in overrides if re.match(r"[+~]*seed\b", override)]
        plain = re.fullmatch(r"seed=(0|[1-9]\d*)", seeds[0]) if len(seeds) == 1 else None
        if plain is None:
            return typed(self.compose(overrides))
        others = tuple(override for override in overrides if override not in seeds)
        if others not in self._unseeded:
            composed = self.compose(overrides)
            depends = re.search(r"\$\{[^}]*seed", OmegaConf.to_yaml(composed))
            self._unseeded[others] = None if depends else typed(composed)
        same = self._unseeded[others]
        if same is None:  # something else follows from the seed
            return typed(self.compose(overrides))
        return replace(copy.deepcopy(same), seed=int(plain[1]))


def typed(config: DictConfig) -> Config:
    """A resolved, typed `Config` from a composed one.

    Raises UserError where a value is missing, has the wrong type, or where a field that can change a result depends
    on the time, the environment or Hydra's own state.
    """
    _refuse_volatile(config)
    try:
        made = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise UserError(first_line(error)) from None
    assert isinstance(made, Config)
    return made


def read(path: Path) -> Config:
    """The typed config from a frozen `config.yaml`. Raises UserError for one that this code cannot read."""
    try:
        stored = OmegaConf.load(path)
        schema = OmegaConf.structured(Config)
        schema.method = OmegaConf.structured(METHODS[stored.method.name].Config)
        return typed(OmegaConf.merge(schema, stored))  # type: ignore[arg-type]
    except (OmegaConfBaseException, KeyError, AttributeError, OSError) as error:
        raise UserError(f"{path} cannot be read as the config of a cell by this version: {first_line(error)}") from None


def dump(config: Config) -> str:
    """The resolved config as YAML, without the `hydra` node: what is frozen in a cell's folder."""
    # what OmegaConf.to_yaml writes of it, in a third of the time: the dataclasses are resolved and typed already
    dumper = get_omega_conf_dumper()
    return str(yaml.dump(asdict(config), Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=False))


def _refuse_volatile(config: DictConfig) -> None:
    """`${now:}`, `${oc.env:}` and `${hydra:}` may stand in result-neutral fields only, reached directly or not."""
    written = OmegaConf.to_container(config, resolve=False)
    if not re.search(r"\$\{(now|hydra|oc\.env)", str(written)):  # nowhere: the fields need no look one by one
        return
    method = METHODS[config.method.name].Config
    rows = {**describe(Config), **describe(method, "method.")}
    for name in (name for name, row in rows.items() if not row["neutral"]):
        seen: set[str] = set()
        names = [name]
        while names:
            place = names.pop()
            raw = _raw(written, place)
            found = re.search(r"\$\{(now|hydra|oc\.env):?", raw)
            if found:
                raise UserError(
                    f"{name} can change a result, so it must not depend on ${{{found[1]}:...}}: give it a plain value."
                )
            further = {_target(place, dots, rest) for dots, rest in re.findall(r"\$\{(\.*)([\w.]+)\}", raw)} - seen
            seen |= further
            names += further


def _target(place: str, dots: str, rest: str) -> str:
    """The absolute name that `${rest}`, or `${..rest}` relative to the field at `place`, stands for."""
    parents = place.split(".")[: -len(dots)] if dots else []
    return ".".join([*parents, rest])


def _raw(written: Any, name: str) -> str:
    """What is written at a dotted name, or at the parent that is an interpolation; empty where there is nothing."""
    for part in name.split("."):
        if not isinstance(written, dict):
            break
        written = written.get(part)
    return "" if written is None else str(written)


@cache
def _known_names() -> frozenset[str]:
    names = set(describe(Config))
    for method in METHODS.values():
        names |= set(describe(method.Config, "method."))
    return frozenset(names)


def protect(override: str) -> str:
    """An override as it is meant. Numbers with underscores are quoted, as Hydra reads the split `1_16` as the number
    116 without a word (where a number is wanted, 10_000 is still one); new keys of `site.sbatch` and `site.rates` are
    let in.
    """
    name, equals, value = override.partition("=")
    if name.split(".")[:2] in (["site", "sbatch"], ["site", "rates"]):
        name = f"++{name}"  # a mapping of any keys, which Hydra has closed by now
    return name + equals + re.sub(r"(?<![\w'\"./:-])(\d+(?:_\d+)+)(?![\w'\"./:-])", r"'\1'", value)


def check_overrides(loader: ConfigLoaderImpl, overrides: Sequence[str], options: Sequence[str] = ()) -> None:
    """Raises UserError for an override that names nothing, with the name that was probably meant.

    `options` are names the command itself takes (`retry`); they are only suggested.
    """
    try:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    except HydraException as error:
        raise UserError(f"Not an override: {first_line(error)}. Overrides look like seed=0,1 or method=gta.") from None
    names = _known_names()
    sections = {name.rsplit(".", 1)[0] for name in names if "." in name}
    for override in parsed:
        key = override.key_or_group
        if key == "sweep" and override.is_sweep_override():
            raise UserError(f"{override.input_line}: a table is one sweep; run the command once for each.")
        choices = loader.get_group_options(key)
        if choices and key not in sections - {"method", "data", "model", "schedule", "site"}:
            wanted = override.sweep_string_iterator() if override.is_sweep_override() else [override.value()]
            for value in (str(item) for item in wanted):
                if value not in choices and value not in ("None", "null"):
                    shown = [c for c in choices if not c.startswith("gta_")] if key == "hydra/launcher" else choices
                    raise UserError(f"{key}={value}: there is no such {key}; {_meant(value, shown)}")
            continue
        if key.startswith("hydra") or key in names or any(key.startswith(name + ".") for name in names):
            continue
        raise UserError(f"{key}: there is no such setting; {_meant(key, [*names, *GROUPS, *options])}")


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.55)
    if not close:  # also the last part alone: `lr` for `schedule.lr`, `epochs` nowhere
        last = word.rsplit(".", 1)[-1]
        close = [name for name in known if name.rsplit(".", 1)[-1] == last]
        close = close or difflib.get_close_matches(last, {name.rsplit(".", 1)[-1] for name in known}, n=3)
    else:
        last = word.rsplit(".", 1)[-1]
        close = sorted(close, key=lambda name: name.rsplit(".", 1)[-1] != last)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return there_are(sorted(known))


def explain(error: Exception) -> str:
    """One sentence for what Hydra or OmegaConf refused."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = first_line(cause)
    key = re.search(r"Key '(\w+)' is not in struct|Key '(\w+)' not in '(\w+)'", str(cause))
    full = re.search(r"full_key: (\S+)", str(cause))
    if key and full:
        return f"{full[1]}: the chosen method or group has no such setting ({text})"
    return f"{full[1]}: {text}" if full and full[1] not in text else text


def params(config: Config) -> dict[str, str]:
    """Dotted name -> text of every field that can change a result: MLflow's params."""
    flat: dict[str, str] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, below in value.items():
                walk(f"{prefix}.{key}" if prefix else key, below)
        else:
            flat[prefix] = str(value)

    walk("", result_fields(config))
    return flat
