"""The named operations of which a view of a training image can be made: their parameters, and which values these may
have. What they do to pixels is in `gta.data.geometry` and `gta.data.recolour`.

One table (`OPERATIONS`) makes the check of a list, its sentence and the reference.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gta.errors import UserError
from gta.ranges import Span, Values, shown

OP = "op"  # the key that names an operation; all others are its parameters
HALVES, UNIFORM, PIXELS = "halves", "uniform", "pixels"
RANDOM, CENTRED, RIGHT_BOTTOM = "random", "centred", "right_bottom"
MEAN, BLACK = "mean", "black"
MOST_DRAWN = 100  # operations of one view

_REQUIRED = object()


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation: which values it may have, and its default; None: it may be left out."""

    what: str
    values: Values
    default: Any = _REQUIRED

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED

    def holds(self, value: Any) -> bool:
        """A pair is a range to draw from, the smaller number first."""
        return self.values.holds(value) and (not isinstance(value, list | tuple) or value[0] <= value[1])

    def plain(self, value: Any) -> Any:
        """The same value in one way of writing it: 2 and 2.0 are one number."""
        number = int if self.values.hint in (int, list[int]) else float
        if isinstance(value, list | tuple):
            return [number(item) for item in value]
        return value if isinstance(value, str) else number(value)

    def __str__(self) -> str:
        """In words, as they follow "it must be"."""
        return f"{self.values}{', the smaller first' if self.values.count else ''}"


@dataclass(frozen=True)
class Operation:
    """An operation of a view; `geometry` moves pixels, of the mask too, and is of the weak view alone."""

    what: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    geometry: bool = False


def _between(what: str, low: float, high: float, *, default: Any = _REQUIRED) -> Parameter:
    return Parameter(what, Values(list[float], Span(low, high), count=(2, 2)), default)


def _whole(what: str, low: int, high: int) -> Parameter:
    return Parameter(what, Values(list[int], Span(low, high), count=(2, 2)))


def _one_of(what: str, *choices: str) -> Parameter:
    """The first is the default."""
    return Parameter(what, Values(str, choices=choices), choices[0])


def _chance(default: float) -> Parameter:
    return Parameter("how often it is done", Values(float, Span(0, 1)), default)


def _factor(what: str, default: Any = _REQUIRED) -> Parameter:
    return _between(f"factor of the {what}, 1: none", 0, 10, default=default)


def _colour(what: str, **parameters: Parameter) -> Operation:
    return Operation(what, {**parameters, "probability": _chance(1.0)})


_HUE = "shift as a fraction of the colour circle"
OPERATIONS: dict[str, Operation] = {
    "scale": Operation(
        "Another size, both sides by one factor.",
        {
            "factor": _between("factor of the sides", 0.01, 100),
            "draw": _one_of(
                "how the factor is drawn: uniform; halves (half the draws below 1, half above, each half uniform); "
                "pixels (the long side is a whole number of pixels, each as likely)",
                UNIFORM, HALVES, PIXELS,
            ),
        },
        geometry=True,
    ),
    "long_side": Operation(
        "A long side of so many pixels, whatever the image's size (after input_scale).",
        {"pixels": _whole("whole numbers of pixels, each as likely", 1, 16_384)},
        geometry=True,
    ),
    "flip": Operation("The image mirrored, left and right.", {"probability": _chance(0.5)}, geometry=True),
    "crop": Operation(
        "The square of side crop_size at a uniform position; what is smaller is padded.",
        {
            "padding": _one_of(
                "where a smaller image lies: at a random place, centred, or with padding right and bottom only",
                RANDOM, CENTRED, RIGHT_BOTTOM,
            ),
            "colour": _one_of("of the padding: the mean of the data set, or black", MEAN, BLACK),
        },
        geometry=True,
    ),
    "identity": Operation("Nothing."),
    "brightness": _colour("Towards black (below 1) or away from it.", factor=_factor("brightness")),
    "contrast": _colour("Towards the mean gray of the crop (below 1) or away from it.", factor=_factor("contrast")),
    "saturation": _colour("Towards gray (below 1) or away from it.", factor=_factor("saturation")),
    "sharpness": _colour("Towards a smoothed image (below 1) or away from it.", factor=_factor("sharpness")),
    "hue": _colour("Colours turned on the 8-bit circle of HSV.", shift=_between(_HUE, -0.5, 0.5)),
    "jitter": _colour(
        "Those that are given of brightness, contrast, saturation and hue, in random order.",
        brightness=_factor("brightness", None),
        contrast=_factor("contrast", None),
        saturation=_factor("saturation", None),
        hue=_between(_HUE, -0.5, 0.5, default=None),
    ),
    "grayscale": _colour("Without colours."),
    "blur": _colour("Gaussian blur.", radius=_between("standard deviation in pixels", 0, 100)),
    "autocontrast": _colour("Each channel stretched to 0 to 255."),
    "equalize": _colour("The histogram of each channel made even."),
    "posterize": _colour("The lowest bits of each value cut off.", bits=_whole("whole bits that are kept", 1, 8)),
    "solarize": _colour(
        "Values from a threshold on inverted.", threshold=_whole("the lowest value that is inverted", 0, 256)
    ),
}  # fmt: skip
GEOMETRY = tuple(name for name, operation in OPERATIONS.items() if operation.geometry)
COLOUR = tuple(name for name in OPERATIONS if name not in GEOMETRY)
_SIZES = ("scale", "long_side")
_JITTERED = tuple(name for name, one in OPERATIONS["jitter"].parameters.items() if one.default is None)


def parameters(operation: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an operation as a list has it, with defaults; None for what may be left out."""
    known = OPERATIONS[operation[OP]].parameters
    return {name: operation.get(name, None if one.required else one.default) for name, one in known.items()}


def described(names: Iterable[str]) -> Iterator[str]:
    """A line for each of these operations: what it does, and its parameters with their defaults."""
    for name in names:
        known = OPERATIONS[name].parameters.items()
        said = [
            f"{key}: {one}{'' if one.required or one.default is None else f' ({one.default})'}" for key, one in known
        ]
        yield " ".join([f"{name}: {OPERATIONS[name].what}", *([f"{'; '.join(said)}."] if said else [])])


def plain(operations: Sequence[Any]) -> list[Any]:
    """The same operations in one way of writing them: numbers as their parameters have them, defaults left out.

    A list that `check` refuses stays as it is.
    """
    try:
        for place, operation in enumerate(operations):
            _check_one(f"[{place}]", operation, OPERATIONS)
    except UserError:
        return list(operations)
    return [_plain(operation) for operation in operations]


def _plain(operation: Mapping[str, Any]) -> dict[str, Any]:
    known = OPERATIONS[operation[OP]].parameters
    said = {name: known[name].plain(operation[name]) for name in known if name in operation}
    return {OP: operation[OP], **{name: value for name, value in said.items() if value != known[name].default}}


def check_weak(name: str, operations: Sequence[Any]) -> None:
    """Raise UserError for a list of this name that makes no weak view: at most one new size, then exactly one crop, and
    what changes colours after it.
    """
    for place, operation in enumerate(operations):
        _check_one(f"{name}[{place}]", operation, OPERATIONS)
    named = [operation[OP] for operation in operations]
    if named and named.count("crop") != 1:
        raise UserError(f"{name} has {named.count('crop')} operations crop: a view is cut out of the image once.")
    sizes = [place for place, one in enumerate(named) if one in _SIZES]
    if len(sizes) > 1:
        raise UserError(f"{name} has {len(sizes)} operations of {' and '.join(_SIZES)}: an image is resampled once.")
    for place, one in enumerate(named):
        if one in _SIZES and place > named.index("crop"):
            raise UserError(f"{name}[{place}]: {one} comes after crop; the size is chosen before that.")
        if one in COLOUR and place < named.index("crop"):
            raise UserError(f"{name}[{place}]: {one} comes before crop; colours are changed after that.")


def check_strong(name: str, operations: Sequence[Any]) -> None:
    """Raise UserError for a list of this name that makes no strong view: its operations change colours alone."""
    for place, operation in enumerate(operations):
        where = f"{name}[{place}]"
        if isinstance(operation, Mapping) and operation.get(OP) in GEOMETRY:
            raise UserError(
                f"{where}: {operation[OP]} is of the weak view alone, whose place in the image a strong view shares; "
                f"there are {', '.join(COLOUR)}."
            )
        _check_one(where, operation, COLOUR)


def _check_one(where: str, operation: Any, known: Collection[str]) -> None:
    if not isinstance(operation, Mapping) or not isinstance(operation.get(OP), str):
        raise UserError(
            f"{where} is {shown(operation)}; an operation has a name and parameters: {{op: flip, probability: 0.5}}."
        )
    named = operation[OP]
    if named not in known:
        close = difflib.get_close_matches(named, known, n=1)
        meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
        raise UserError(f"{where}: {shown(named)} is no operation here; {meant}")
    there = OPERATIONS[named].parameters
    for key, value in operation.items():
        if key == OP:
            continue
        if key not in there:
            has = f"it has {', '.join(there)}" if there else "it has no parameters"
            raise UserError(f"{where}: {named} has no parameter {shown(key)}; {has}.")
        if not there[key].holds(value):
            raise UserError(f"{where}: {key} of {named} is {shown(value)}; it must be {there[key]}.")
    for key, parameter in there.items():
        if parameter.required and key not in operation:
            raise UserError(f"{where}: {named} has no {key}; it must be {parameter}.")
    if named == "jitter" and not any(key in operation for key in _JITTERED):
        raise UserError(f"{where}: jitter changes nothing; give it some of {', '.join(_JITTERED)}.")
