"""How a config field declares what it is, whether it can change a result, and which values it may have.

Identity is declared where the field lives: the signature of a cell (`gta.cell`) is made of the fields that
can change a result, so a new field has to say on which side it stands. A test refuses a field that does not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, field, fields, is_dataclass
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar, get_type_hints

from gta.errors import UserError
from gta.ranges import LINE, MISSING, WORD, Span, Text, Values, shown

Range = Span | tuple[float, float]
Given = ParamSpec("Given")
Answer = TypeVar("Answer")
_MOST_KEPT = 10_000  # answers of one function


def result(default: Any, help: str, **values: Any) -> Any:
    """A field that can change a result; it is part of the signature and an MLflow param.

    `values` say which ones it may have (`check_values` holds a config to them): `within`, the smallest and the largest
    number, or a `Span`; `choices`, all that it may be; `text`, the kind of text; `count`, how long a list may be. Of a
    list or a mapping, `within` and `text` are of each value in it, and `keys` of a mapping's keys; `items` says what
    mappings of anything are, whose check is elsewhere.

    `later`: the field came when there were cells already. At its default, which must then never change, it is no part
    of the signature: a cell of before, which could not say it, stays the same cell. Any other value is in.
    """
    return _declare(default, help, False, **values)


def neutral(default: Any, help: str, **values: Any) -> Any:
    """A field that cannot change a result (workers, paths, logging, the site); left out of the signature. `values`: as
    for `result`.
    """
    return _declare(default, help, True, **values)


def _declare(
    default: Any,
    help: str,
    neutral: bool,
    *,
    within: Range | None = None,
    choices: Iterable[Any] = (),
    text: Text = LINE,
    keys: Text = WORD,
    count: tuple[int, int] | None = None,
    items: str = "",
    later: bool = False,
) -> Any:
    span = Span(*within) if isinstance(within, tuple) else within
    metadata = {
        "help": help, "neutral": neutral, "within": span, "choices": tuple(choices), "text": text, "keys": keys,
        "count": count, "items": items, "later": later,
    }  # fmt: skip
    if isinstance(default, type) and is_dataclass(default):
        return field(default_factory=default, metadata=metadata)
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def by_object(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """A function of settings that is asked once of the same ones: cells of a grid share most of their sections.

    The same means the same objects, which are kept so that no other has their place, and equal texts and numbers. For
    functions whose answer follows from their arguments alone, none of which is changed afterwards, nor is the answer.
    An error is not kept.
    """
    known: dict[tuple[Any, ...], tuple[tuple[Any, ...], Answer]] = {}

    @wraps(function)
    def asked(*given: Given.args, **named: Given.kwargs) -> Answer:
        if named:
            return function(*given, **named)
        key = tuple([one if isinstance(one, str | int) else id(one) for one in given])
        if (found := known.get(key)) is None:
            if len(known) >= _MOST_KEPT:
                known.clear()
            found = known[key] = (given, function(*given, **named))
        return found[1]

    return asked


_VALUES = ("within", "text", "keys", "count", "choices", "items")


@cache
def values_of(schema: type) -> dict[str, Values]:
    """Name -> what it may hold, for every field of a dataclass."""
    hints = get_type_hints(schema)
    return {
        item.name: Values(hints[item.name], **{name: item.metadata[name] for name in _VALUES})
        for item in fields(schema)
    }


def check_values(config: Any, prefix: str = "") -> None:
    """Raise UserError for a value that its field does not declare, by its dotted name. What is not given (`???`) is
    passed over.
    """
    kind: type = type(config)
    for name, values in values_of(kind).items():
        value = getattr(config, name)
        if is_dataclass(value) and not isinstance(value, type) and values.holds(value):
            _check_section(value, f"{prefix}{name}.")
        elif value != MISSING:
            check_value(values, prefix + name, value)


_check_section = by_object(check_values)


def check_value(values: Values, name: str, value: Any) -> None:
    """Raise UserError, with the name of the field, for a value that is none of these."""
    if not values.holds(value):
        raise UserError(f"{name} is {shown(value)}; it must be {values}.")


def result_fields(config: Any) -> dict[str, Any]:
    """Nested dict of the fields of a dataclass instance that can change a result.

    A nested dataclass is descended into with its own declarations; everything below a neutral field is neutral. A field
    that came later is left out at its default (`result`). Whoever is given the dict leaves it as it is.
    """
    return {name: _result_fields(value) if is_dataclass(value) else value for name, value in _kept(config)}


_result_fields = by_object(result_fields)


def _kept(config: Any) -> Iterable[tuple[str, Any]]:
    """Name and value of the fields of a dataclass instance, not of those in it, that can change a result."""
    for item in fields(config):
        value = getattr(config, item.name)
        if not (item.metadata["neutral"] or (item.metadata["later"] and value == default_of(item))):
            yield item.name, value


def default_of(item: Field[Any]) -> Any:
    """The default of a declared field."""
    return item.default_factory() if item.default_factory is not NO_DEFAULT else item.default


def describe(schema: type, prefix: str = "") -> dict[str, dict[str, Any]]:
    """Dotted name -> {"help", "neutral", "default", "choices", "values": `Values`} for every leaf field of a
    dataclass type.
    """
    rows: dict[str, dict[str, Any]] = {}
    hints = get_type_hints(schema)
    for item in fields(schema):
        name = prefix + item.name
        inner = next(
            (t for t in (hints[item.name], *getattr(hints[item.name], "__args__", ())) if is_dataclass(t)), None
        )
        if inner is not None:
            below = describe(inner, name + ".")  # type: ignore[arg-type]
            if item.metadata["neutral"]:
                below = {key: {**row, "neutral": True} for key, row in below.items()}
            rows.update(below)
            continue
        rows[name] = {**item.metadata, "default": default_of(item), "values": values_of(schema)[item.name]}
    return rows


def params(config: Any) -> dict[str, str]:
    """Dotted name -> text of every field that can change a result: MLflow's params."""
    flat: dict[str, str] = {}
    for name, value in _kept(config):
        flat |= _section_params(value, name) if is_dataclass(value) else _flat(value, name)
    return flat


@by_object
def _section_params(section: Any, prefix: str) -> dict[str, str]:
    return _flat(result_fields(section), prefix)


def _flat(value: Any, prefix: str) -> dict[str, str]:
    """Dotted name -> text of a value, or of each one in a mapping of mappings."""
    if not isinstance(value, dict):
        return {prefix: str(value)}
    return {name: text for key, below in value.items() for name, text in _flat(below, f"{prefix}.{key}").items()}
