"""Clear words for overrides that are wrong, and what is read otherwise than it was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError

from gta.compose.hydra import ConfigLoaderImpl, Parser, group_options
from gta.compose.sources import SettingsSource
from gta.compose.unreadable import unreadable
from gta.compose.yamlfile import place
from gta.config import Config, MethodConfig
from gta.errors import UserError
from gta.fields import describe
from gta.methods import METHODS
from gta.ranges import shown
from gta.text import first_line, printable, some, there_are

_REQUIRED = ("method", "data", "model", "schedule", "site")  # groups that every cell has a file of
GROUPS = ("method", "data", "augment", "model", "schedule", "site", "sweep", "hydra/launcher")


def setting_names() -> frozenset[str]:
    """The dotted name of every setting, of every method too; of a user's own, those that are loaded."""
    return _names(tuple(METHODS.configs()))


@cache
def _names(methods: tuple[type[MethodConfig], ...]) -> frozenset[str]:
    return frozenset(describe(Config)).union(*(describe(method, "method.") for method in methods))


def protect(override: str) -> str:
    """An override as it is meant. Numbers with underscores are quoted, as Hydra reads the split `1_16` as the number
    116 without a word (where a number is wanted, 10_000 is still one), and so is what Hydra's grammar has no letters
    for (`~`, `=`, letters beyond ASCII); new keys of `site.sbatch` and `site.rates` are let in.
    """
    name, equals, value = override.partition("=")
    if name.split(".")[:2] in (["site", "sbatch"], ["site", "rates"]):
        name = f"++{name}"  # a mapping of any keys, which Hydra has closed by now
    return name + equals + _quoted(value)


# what Hydra reads without quotes, and the functions that may stand there
_PLAIN = re.compile(r"[A-Za-z0-9_/\-\\+.$%*@?|:{} \t]*")
_STRUCTURE = re.compile(r"""\s*(['"\[{]|(choice|range|interval|glob|shuffle|sort|tag|int|float|str|bool|json_str)\()""")


def _quoted(value: str) -> str:
    """A value, or values with commas between, each quoted where Hydra would read it otherwise than it is written."""
    if _PLAIN.fullmatch(value.replace(",", "")) or _STRUCTURE.match(value):
        return re.sub(r"(?<![\w'\"./:-])(\d+(?:_\d+)+)(?![\w'\"./:-])", r"'\1'", value)
    parts = value.split(",")
    return ",".join(
        _quoted(part) if _PLAIN.fullmatch(part) or _STRUCTURE.match(part) else "'" + part.replace("'", "\\'") + "'"
        for part in parts
    )


def check_overrides(loader: ConfigLoaderImpl, overrides: Sequence[str], options: Sequence[str] = ()) -> None:
    """Raises UserError for an override that names nothing, with the name that was probably meant.

    `options` are names the command itself takes (`retry`); they are only suggested.
    """
    parsed = parse(Parser.create(config_loader=loader), overrides)
    names = setting_names()
    if any(override.key_or_group.startswith("method.") for override in parsed):
        names = _with_own(names, [override.key_or_group for override in parsed])
    sections = {name.rsplit(".", 1)[0] for name in names if "." in name}
    for override in parsed:
        key = override.key_or_group
        if not key:
            raise UserError(unreadable(override.input_line or "="))
        if override.is_delete() and key in _REQUIRED:
            raise UserError(f"~{key}: there is no cell without a {key}; choose another ({key}=NAME)")
        if key == "sweep" and override.is_sweep_override():
            raise UserError(f"{override.input_line}: a table is one sweep; run the command once for each.")
        choices = group_options(loader, key)
        if choices:
            refuse_interval(override)
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


def _with_own(names: frozenset[str], keys: Sequence[str]) -> frozenset[str]:
    """Also the settings of a user's own methods, where one of those that are known does not have a key. To load them
    takes a while; one that cannot be loaded says so when it is chosen.
    """
    if all(key in names for key in keys if key.startswith("method.")):
        return names
    for method in METHODS.own_names():
        with suppress(UserError):
            METHODS.config(method)
    return setting_names()


def parse(parser: OverridesParser, overrides: Sequence[str]) -> list[Override]:
    """Hydra's overrides of these words. Raises UserError for a word that is none, or of a number without end."""
    found = []
    for word in overrides:
        try:
            found += parser.parse_overrides([word])
        except HydraException:
            raise UserError(unreadable(word)) from None
        except ValueError as error:  # a number of thousands of digits
            raise UserError(f"{word.partition('=')[0]}: {first_line(error)}.") from None
    return found


def parsed(words: Sequence[str]) -> list[Override]:
    """Settings as they are meant (`protect`), outside of a grid. Raises what `parse` raises."""
    return parse(Parser.create(), [protect(word) for word in words])


def values(override: Override) -> list[str]:
    """The values that one word lists, or has by a range. Raises UserError for one that has no list of them."""
    if not isinstance(override.value(), ChoiceSweep | RangeSweep):  # an interval, or a pattern of names of files
        raise UserError(f"{override.input_line}: list the values one by one ({override.key_or_group}=A,B,C).")
    return list(override.sweep_string_iterator())


def given(master: DictConfig) -> list[str]:
    """The overrides that a grid was composed of, as they were written: `${...}` in them is not resolved."""
    words = OmegaConf.to_container(master.hydra.overrides.task, resolve=False)
    assert isinstance(words, list)
    return [str(word) for word in words]


def refuse_interval(override: Override) -> None:
    """Raises UserError for `interval(...)`, from which only an optimising sweeper can draw."""
    if override.is_sweep_override() and not override.is_discrete_sweep():
        key = override.key_or_group
        raise UserError(
            f"{override.input_line}: a grid has its values one by one, and an interval has no end of them; list them "
            f"({key}=A,B,C). (An optimising sweeper can draw from it: gta multirun hydra/sweeper=NAME.)"
        )


def _meant(word: str, known: Sequence[str]) -> str:
    """What was probably meant; also by the last part of a name alone: `lr` for `schedule.lr`."""
    last = word.rsplit(".", 1)[-1]
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.55)
    close.sort(key=lambda name: name.rsplit(".", 1)[-1] != last)
    close = close or [name for name in known if name.rsplit(".", 1)[-1] == last]
    begun = [name for name in known if name.startswith(word[:3])] if "." not in word and len(word) > 2 else []
    close = close or (begun if len(begun) <= 3 else [])
    close = close or difflib.get_close_matches(last, {name.rsplit(".", 1)[-1] for name in known}, n=3)
    return f"did you mean {' or '.join(close)}?" if close else there_are(sorted(known))


def explain(error: Exception, loader: ConfigLoaderImpl | None = None) -> str:
    """One sentence for what Hydra or OmegaConf refused; `loader` knows the file that it stands in."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = str(cause)
    if loader and (absent := re.search(r"Could not find '([^'\n]+)/([^/'\n]+)'", text)):
        group, name = absent.groups()
        return f"{group}={name}: there is no such {group}; {_meant(name, group_options(loader, group))}"
    found = re.search(r"full_key: (\S+)", text)
    full = found[1] if found else ""
    where = ""
    if composing := re.match(r"In '([^']+)': \w+ raised while composing config:\n", text):
        text = text[composing.end() :]
        where = f"{written_in(loader, composing[1], full)}: "
    if re.match(r"Cannot assign \w+ to Dict\[str, Any\]|.* type hint 'typing\.Dict\[str, typing\.Any\]'", text):
        said = "" if full.isdigit() else f"{full}: "  # of a text in a list OmegaConf knows the place alone
        return f"{where}{said}an operation of a view is a mapping with its name, such as {{op: flip}}"
    if found := re.match(r"Cannot merge (Dict|List)Config with (Dict|List)Config", text):
        kinds = {"Dict": "a mapping", "List": "a list"}
        return f"{where}{full and f'{full}: '}{kinds[found[1]]} stands where {kinds[found[2]]} must be"
    line = printable(text.strip().split("\n")[0].strip() if text.strip() else type(cause).__name__)
    if re.search(r"Key '(\w+)' is not in struct|Key '(\w+)' not in '(\w+)'", text) and full:
        return f"{where}{full}: the chosen method or group has no such setting; {_near(full)}"
    if "does not support deletion" in text:
        return f"{where}~{full}: a setting cannot be left out; give it another value ({full}=VALUE)"
    if full and isinstance(cause, ValidationError) and (wanted := _wanted(full)):
        return f"{where}{full} is {shown(cause.value)}; it must be {wanted}"
    if full and where and (found := re.match(r"Value '(.*)' of type '(\w+)' ", text)) and (wanted := _wanted(full)):
        value, kind = found.groups()
        several = f"; to vary it, say {full}: {value.strip('[]').replace(' ', '')} in hydra.sweeper.params"
        said = printable(value) if kind == "ListConfig" else shown(value)
        return f"{where}{full} is {said}; it must be {wanted}{several if ',' in value else ''}"
    if full and text.startswith("Invalid value assigned: ") and (wanted := _wanted(full)):  # says types of OmegaConf
        return f"{where}{full} must be {wanted}"
    return f"{where}{full}: {line}" if full and full not in line else f"{where}{line}"


def _near(name: str) -> str:
    """What was probably meant by a setting that its section does not have."""
    section, _, last = name.rpartition(".")
    if name in setting_names():
        having = [method for method in METHODS.known if name in describe(METHODS.config(method), "method.")]
        whose = (
            f"{some(having, 3)} {'has' if len(having) == 1 else 'have'} it" if having else "a method of your own has it"
        )
        return (
            f"{whose}; for some rows alone, choose a file conf/method/NAME.yaml that says it (docs/guides/own-sweep.md)"
        )
    known = sorted(one for one in setting_names() if one.rpartition(".")[0] == section)
    begun = [one for one in known if one.rpartition(".")[2].startswith(last)]
    return f"did you mean {' or '.join(begun)}?" if begun else _meant(name, known)


def _wanted(name: str) -> str:
    """What a setting, or a value in its list or mapping, may be; empty where that is not known."""
    name = name.split("[")[0]
    rows = [describe(Config), *(describe(method, "method.") for method in METHODS.configs())]
    said = {str(row[place]["values"]) for row in rows for place in (name, name.rpartition(".")[0]) if place in row}
    return said.pop() if len(said) == 1 else ""


@contextmanager
def clear_words() -> Iterator[None]:
    """While entered, what OmegaConf or Python refuse of a setting's value is a UserError."""
    try:
        yield
    except UserError:
        raise
    except RecursionError:
        raise UserError(
            "Settings refer to each other in a circle, by ${...}: give one of them a plain value."
        ) from None
    except (OmegaConfBaseException, ArithmeticError, ValueError, TypeError) as error:  # a number without end
        raise UserError(f"{explain(error)}.") from None


def written_in(loader: ConfigLoaderImpl | None, config: str, name: str) -> str:
    """The file of a config such as sweep/mine, with the line where the setting stands in it."""
    for source in loader.get_sources() if loader else ():
        if isinstance(source, SettingsSource) and (path := source.file(config)):
            parts = name.split(".")
            said = [place(path, ".".join(parts[start:])) for start in range(len(parts))]  # its group may go before it
            return next((one for one in said if ", line " in one), said[0])
    return config


_PLUGINS = ("hydra_plugins.", "hydra._internal.core_plugins.")  # where Hydra takes launchers and sweepers from


def check_hydra(master: DictConfig) -> None:
    """Raises UserError for what would not run cells, or run something else: only the command line may say callbacks."""
    hydra = master.hydra
    for part, known in (("launcher", "GTA"), ("sweeper", "")):
        node = hydra.get(part) if isinstance(hydra, DictConfig) else None
        target = str(node.get("_target_")) if isinstance(node, DictConfig) else "nothing"
        module, _, name = target.rpartition(".")
        if not f"{module}.".startswith(_PLUGINS) or not name.startswith(known):
            raise UserError(
                f"hydra.{part} is {target}, by which no cells are run: choose one with hydra/{part}=NAME "
                f"({'local or slurm' if known else 'grid is the default'})."
            )
    said = [str(word) for word in hydra.overrides.hydra]
    if hydra.callbacks and not any("callbacks" in word for word in said):
        raise UserError(
            f"hydra.callbacks is set by a file ({', '.join(map(str, hydra.callbacks))}): what runs beside the cells is "
            "said on the command line, or nowhere."
        )


@contextmanager
def composing(loader: ConfigLoaderImpl, said: str = "") -> Iterator[None]:
    """While entered, what Hydra cannot compose is a UserError with its reason and place, and with what is `said`."""
    try:
        yield
    except UserError:
        raise
    except RecursionError:
        reason = "Files of settings name each other in a circle, in their defaults"
    except (HydraException, OmegaConfBaseException, ArithmeticError) as error:
        reason = explain(error, loader)
    except (ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:  # Hydra meets them unprepared
        reason = f"Hydra cannot compose this: {first_line(error)}"
    else:
        return
    raise UserError(f"{reason} ({said})" if said else reason)
