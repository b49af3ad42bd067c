"""`gta diff`."""

from __future__ import annotations

import sys
from json import dumps
from typing import Any

from gta.cli import composing, grammar, options
from gta.cli.grammar import Words

SOURCES = {"code": "code", "environment": "environment", "result": "scores"}


@grammar.command(
    "diff",
    exit_codes="0, whether something differs or not",
    examples=["gta diff gta/92/seed0 gta/92/seed1", "gta diff 1a2b3c 4d5e6f --json"],
)
@grammar.words("CELL", 2)
@options.as_json
def command(words: Words, json: bool) -> int:
    """What differs between two cells.

    Settings, split lists, code, environment, result. With --json one object: each part with {name: [value of the first,
    value of the second]}.
    """
    from launch.grid.names import find
    from launch.show.inspect import CellDetails, compare

    cells = composing.named_cells(words.overrides)
    a, b = (CellDetails.read(find(name, cells).folder) for name in words.names)
    parts = compare(a, b)
    if json:
        print(dumps(parts, indent=1))
        return 0
    for details in (a, b):
        for problem in details.damaged:
            print(f"{details.title}: damaged: {problem}", file=sys.stderr)
    print(f"A  {a.title}\nB  {b.title}")
    if a.folder == b.folder:
        print("\nThe two names mean the same cell: nothing differs.")
        return 0
    for title, found in parts.items():
        if not found:
            unknown = title in SOURCES and not getattr(a, SOURCES[title])()
            print(f"\n{title}: {'not recorded yet of either' if unknown else 'nothing differs'}")
            continue
        print(f"\n{title}")
        width = max(map(len, found))
        for name, (left, right) in found.items():
            print(f"  {name:<{width}}  {_line(left, right)}")
    return 0


def _line(a: Any, b: Any) -> str:
    """Both values, the difference of two scores, or only what two lists do not share where they are long."""
    if isinstance(a, float) and isinstance(b, float):
        return f"{a:.6g} -> {b:.6g}  ({b - a:+.4g})"
    if isinstance(a, list) and isinstance(b, list) and len(str(a)) + len(str(b)) > 80:
        gone, new = [x for x in a if x not in b], [x for x in b if x not in a]
        if gone or new:
            return f"without {gone}, with {new}"
    return f"{_shown(a)} -> {_shown(b)}"


def _shown(value: Any) -> str:
    return "(none)" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
