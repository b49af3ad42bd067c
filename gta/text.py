"""Words for people, said one way everywhere: the name that was meant, the first line of an error, sizes; and nothing
in them that a terminal or a spreadsheet would act on.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

MOST_NAMED = 12  # names that a sentence lists
_COLOUR = "\x1b\\[[0-9;]*m"
# control characters but tab and line feed, what turns the direction of text, halves of a character
_UNSEEN = "[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
_ACTED_ON = re.compile(_UNSEEN)
_ACTED_ON_OR_COLOUR = re.compile(f"({_COLOUR})|{_UNSEEN}")
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def did_you_mean(word: str, known: Iterable[str] | Mapping[str, str], most: int = 1, cutoff: float = 0.6) -> str:
    """`did you mean X?` for the known names nearest to a wrong one; where none is near, `there are A, B.`

    A mapping says how each name is shown.
    """
    shown = known if isinstance(known, Mapping) else {name: name for name in known}
    if close := difflib.get_close_matches(word, shown, n=most, cutoff=cutoff):
        return f"did you mean {' or '.join(dict.fromkeys(shown[name] for name in close))}?"
    return there_are(dict.fromkeys(shown.values()))


def there_are(names: Iterable[str]) -> str:
    """`there are A, B.`, or the first of many, with how many more there are."""
    names = list(names)
    return f"there are {some(names, MOST_NAMED if len(names) > MOST_NAMED + 1 else len(names))}."


def some(names: Sequence[str], most: int) -> str:
    """`A, B and 3 more`."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def first_line(error: BaseException) -> str:
    """What an error says in its first line; its kind where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0].strip() if text else type(error).__name__


def printable(text: str, colours: bool = False) -> str:
    """The text with what a terminal would act on spelled out, such as `\\x1b`; line feeds and tabs stay, and escape
    sequences that only colour where `colours` are wanted.
    """
    if colours:
        return _ACTED_ON_OR_COLOUR.sub(lambda found: found[1] or _spelled(found), text)
    return _ACTED_ON.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


def no_formula(text: str) -> str:
    """A text as a cell of a CSV file: one that a spreadsheet would compute gets an apostrophe first; numbers do not."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def human_bytes(size: int) -> str:
    """Bytes for people: 812 B, 1.2 GB."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
