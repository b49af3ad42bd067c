"""Words of the command line that Hydra's grammar does not take: its parser speaks of tokens, this of what is wrong."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"""'(\\.|[^'\\])*'|"(\\.|[^"\\])*\"""")


def unreadable(word: str) -> str:
    """Why a word is no setting, in a sentence without its full stop."""
    name, _, value = word.partition("=")
    plain = _QUOTED.sub("", value)
    if not value or not re.fullmatch(r"[~+]*[\w./@:-]+", name):
        why = "settings are name=value, such as seed=0,1 or method=gta"
    elif re.search("['\"]", plain):
        why = "a quotation mark in it has no second one"
    elif any(plain.count(left) != plain.count(right) for left, right in ("[]", "{}", "()")):
        why = "a bracket in it is not closed, or was never opened"
    elif re.search(r"(^|,)\s*(,|$)", value):
        why = "a value is missing beside a comma"
    else:
        why = (
            f"settings look like seed=0,1 or seed=range(0,3); text with other signs is quoted twice, {name}=\"'TEXT'\""
        )
    return f"{word}: not an override; {why}"
