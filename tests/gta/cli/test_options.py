"""What commands share: dashed options."""

from __future__ import annotations

import pytest

from gta.cli.options import flags
from gta.errors import UserError

KNOWN = {"json": False, "rank": "0", "watch": ("", "5")}


def test_options_are_told_from_the_words_that_are_left() -> None:
    given, rest = flags(["sweep=shapes", "--json", "--watch", "seed=0,1"], KNOWN)
    assert given == {"json": True, "rank": "0", "watch": "5"}
    assert rest == ["sweep=shapes", "seed=0,1"]
    assert flags(["--watch=0.5", "--rank", "3", "a"], KNOWN) == ({"json": False, "rank": "3", "watch": "0.5"}, ["a"])
    assert flags(["--rank=3"], KNOWN)[0]["rank"] == "3"
    assert flags(["-j"], KNOWN, {"j": "json"})[0]["json"] is True


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--jsn"], "--jsn: there is no such option; did you mean --json"),
        (["-x"], "there are --json, --rank, --watch"),
        (["--json=yes"], "--json takes no value"),
        (["--rank"], "--rank takes a value"),
    ],
)
def test_wrong_options(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        flags(words, KNOWN)
