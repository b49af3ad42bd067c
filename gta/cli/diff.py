"""usage: python -m gta diff A B [--json] [sweep=NAME ...] [paths.runs=runs]

What differs between two cells, by name: settings, split lists, code, environment, result. A and B are signatures or
their beginnings, or words such as gta/92/seed0.

--json  one object: each part with {name: [value of A, value of B]}

exit code: 0, whether something differs or not
"""

from __future__ import annotations

import json
import sys
from typing import Any

from gta.cli import options as common
from gta.errors import UserError

SOURCES = {"code": "code", "environment": "environment", "result": "scores"}


def run(arguments: list[str]) -> int:
    given, rest = common.flags(arguments, {"json": False})
    names, words = common.names_and_words(rest)
    if len(names) != 2:
        raise UserError("diff takes two cells: python -m gta diff gta/92/seed0 gta/92/seed1.")
    from launch.grid.names import find
    from launch.show.inspect import CellDetails, compare

    cells = common.named_cells(words)
    a, b = (CellDetails.read(find(name, cells).folder) for name in names)
    parts = compare(a, b)
    if given["json"]:
        print(json.dumps(parts, indent=1))
        return 0
    for problem in [*a.broken, *b.broken]:
        print(f"broken: {problem}", file=sys.stderr)
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
