"""What all benchmarks do with their command line: words NAME=VALUE, with the defaults that the script declares."""

from __future__ import annotations

import sys
from typing import Any


def parse(arguments: list[str], defaults: dict[str, Any], usage: str | None) -> dict[str, Any]:
    """The options, each of its default's type; exits with a sentence, behind the usage, for an unknown word."""
    given = dict(word.partition("=")[::2] for word in arguments)
    if unknown := set(given) - set(defaults):
        print(usage, file=sys.stderr)
        sys.exit(f"unknown: {', '.join(sorted(unknown))}")
    return {name: type(default)(given.get(name, default)) for name, default in defaults.items()}
