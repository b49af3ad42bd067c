"""Which values a setting may have: its type, and the range, the kind of text or the choices that its field declares.

One description (`Values`) serves the check of a config, the sentence of its refusal, and the generated reference.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

# ranges that several settings have
COUNTS, STEPS = (0, 1_000_000_000), (1, 1_000_000_000)
SEEDS = (0, 2**32 - 1)  # torch's generator on the CPU looks at 32 bits
BYTES = (0, 255)
SIDES = (16, 16_384)  # of what a network sees, in pixels; below 16 the encoders leave nothing to pool
WEIGHTS = (0, 10_000)  # factors of losses and learning rates

MISSING = "???"  # OmegaConf's mark for a value that must be given
_LONGEST = 4000  # characters of a text, bytes of a path: what file systems and Slurm take
_LONGEST_PART = 200  # bytes of a file's name; file systems take 255, and temporary names are longer
_SHOWN = 60  # characters of a value in a sentence


@dataclass(frozen=True)
class Span:
    """Numbers from `low` to `high`, both among them where nothing else is said. NaN is in none, infinity neither."""

    low: float
    high: float
    above: bool = False  # low itself is not among them
    below: bool = False  # high itself is not
    or_zero: bool = False  # 0 is among them, too

    def holds(self, value: float) -> bool:
        if self.or_zero and value == 0:
            return True
        return (self.low < value if self.above else self.low <= value) and (
            value < self.high if self.below else value <= self.high
        )

    def __str__(self) -> str:
        text = f"{'above ' * self.above}{_number(self.low)} to {'below ' * self.below}{_number(self.high)}"
        return f"0, or {text}" if self.or_zero else text


_ANY_NUMBER = Span(-sys.float_info.max, sys.float_info.max)
_ANY_INTEGER = Span(-(2**63), 2**63 - 1)


@dataclass(frozen=True)
class Text:
    """A kind of text, in words, and whether a text is of it."""

    what: str
    holds: Callable[[str], bool]


# not printed: control characters, what breaks lines elsewhere, halves of a character (of bytes that are no UTF-8)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _line(text: str) -> bool:
    return len(text) <= _LONGEST and not _CONTROL.search(text) and text != MISSING


def _path(text: str) -> bool:
    parts = text.split("/")
    return (
        bool(text.strip())
        and _line(text)
        and len(text.encode()) <= _LONGEST
        and all(len(part.encode()) <= _LONGEST_PART for part in parts)
    )


def _inside(text: str) -> bool:
    return _path(text) and not text.startswith(("/", "~")) and ".." not in text.split("/")


def _name(text: str) -> bool:
    return _inside(text) and text != "." and "/" not in text


def _word(text: str) -> bool:
    return _line(text) and bool(re.fullmatch(r"[^\s\"'`\\]+", text))


LINE = Text("one line of text without control characters", _line)
WORDS = Text("one line of text without control characters, not empty", lambda text: bool(text.strip()) and _line(text))
WORD = Text("a word: text without spaces, quotes and control characters, not empty", _word)
NAME = Text("a name as a folder may have it: not empty, without / and control characters", _name)
_WHICH = f"of one line without control characters, no name in it longer than {_LONGEST_PART} bytes"
PATH = Text(f"a path {_WHICH}, not empty", _path)
PATH_OR_EMPTY = Text(f"a path {_WHICH}, or empty", lambda text: not text or _path(text))
INSIDE = Text("a path below a folder: not empty, without .. and without / or ~ before it", _inside)
SCRIPT = Text("lines of text without other control characters", lambda text: _line(re.sub(r"[\n\t]", "", text)))


@dataclass(frozen=True)
class Values:
    """What a field may hold. Of lists and mappings: what each value in them may be; `keys`: what those of mappings."""

    hint: Any
    within: Span | None = None
    text: Text = LINE
    keys: Text = WORD
    count: tuple[int, int] | None = None  # how long a list may be
    choices: tuple[Any, ...] = ()
    items: str = ""  # what mappings of anything are, in words

    def holds(self, value: Any) -> bool:
        """Whether a value is one of these."""
        return self._is(self.hint, value) and (not self.choices or value is None or value in self.choices)

    def _is(self, hint: Any, value: Any, outermost: bool = True) -> bool:
        if get_origin(hint) in (Union, UnionType):
            return any(self._is(one, value, outermost) for one in get_args(hint))
        if hint in (None, type(None)):
            return value is None
        if hint is Any:
            return True
        if hint is bool:
            return isinstance(value, bool)
        if hint is int:
            return _is_integer(value) and (self.within or _ANY_INTEGER).holds(value)
        if hint is float:
            finite = _is_integer(value) or (isinstance(value, float) and math.isfinite(value))
            return finite and (self.within or _ANY_NUMBER).holds(value)
        if hint is str:
            return isinstance(value, str) and self.text.holds(value)
        if get_origin(hint) is list:
            fits = isinstance(value, list | tuple) and (not outermost or self._counts(len(value)))
            return fits and all(self._is(get_args(hint)[0], item, False) for item in value)
        if get_origin(hint) is dict:
            return isinstance(value, dict) and all(
                isinstance(key, str) and self.keys.holds(key) and self._is(get_args(hint)[1], item, False)
                for key, item in value.items()
            )
        return isinstance(value, hint) if isinstance(hint, type) else True

    def _counts(self, length: int) -> bool:
        return self.count is None or self.count[0] <= length <= self.count[1]

    def __str__(self) -> str:
        """In words, as they follow "it must be"."""
        if self.choices:
            *others, last = map(str, self.choices)
            return f"{', '.join(others)} or {last}" if others else last
        return self._words(self.hint)

    def _words(self, hint: Any, many: bool = False, outermost: bool = True) -> str:
        if get_origin(hint) in (Union, UnionType):
            kinds = [one for one in get_args(hint) if one is not type(None)]
            return " or ".join(self._words(one, many, outermost) for one in kinds) + ", or null"
        if hint is bool:
            return "true or false"
        if hint in (int, float):
            kind = ("whole number" if hint is int else "number") + "s" * many
            return f"{'' if many else 'a '}{kind}{f', {self.within}' if self.within else ''}"
        if hint is str:
            return f"texts, each {self.text.what}" if many else self.text.what
        if get_origin(hint) is list:
            inner = self._words(get_args(hint)[0], True, False)
            return f"{'' if many else 'a list of '}{self._many() if outermost else 'lists of '}{inner}"
        if get_origin(hint) is dict and self.items:
            return self.items
        if get_origin(hint) is dict:
            return f"a mapping of words to {self._words(get_args(hint)[1], True, False)}"
        return f"settings ({hint.__name__})" if isinstance(hint, type) else str(hint)

    def _many(self) -> str:
        if self.count is None:
            return ""
        low, high = self.count
        return f"{low} " if low == high else f"{low} to {high} "


def shown(value: Any) -> str:
    """A value in a sentence, with control characters spelled out, and not more than a line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
