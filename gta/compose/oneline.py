"""Texts of a config stay one line wherever they are written: into a batch script, a record, a table, a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from gta.config import Config
from gta.errors import UserError

SHELL = "site.setup"  # lines of a shell, each as long as its user likes
# control characters, line and paragraph separators, and what was no UTF-8 on the command line
_NOT_PRINTED = ("Cc", "Zl", "Zp", "Cs")


def check_texts(config: Config) -> None:
    """Raises UserError for a text or a key of a config that holds a line break or another control character."""
    for name, text in _texts("", asdict(config)):
        check_text(name, text, "\n\t" if name.startswith(SHELL) else "")


def check_text(name: str, text: str, allowed: str = "") -> None:
    """Raises UserError for a text that would not stay one line; `allowed` are characters that it may hold."""
    for character in text:
        if unicodedata.category(character) in _NOT_PRINTED and character not in allowed:
            what = "a line break" if character in "\n\r" else f"the character {character!a}"
            raise UserError(f"{name} holds {what}, after {text[: text.index(character)][-20:]!r}: take it out.")


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """(dotted name, text) of all texts and keys."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield name, str(key)
            yield from _texts(f"{name}.{key}".lstrip("."), below)
    elif isinstance(value, (list, tuple)):
        for below in value:
            yield from _texts(name, below)
