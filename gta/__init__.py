"""The training core and the command line. The first import puts the program's own packages first where modules are
looked for, so that a user's own `launch/` or `analysis.py` is never taken for them.

`ROOT`: the folder of `launch`, `analysis` and `sweeps`. A checkout and a snapshot of the code have them beside `gta`;
a wheel has them in `gta/_packages`, since their names are too general for site-packages.
"""

from __future__ import annotations

import sys
from pathlib import Path

INSTALLED = "_packages"  # of a wheel; pyproject.toml names it too
_HERE = Path(__file__).resolve().parent
ROOT = _HERE / INSTALLED if (_HERE / INSTALLED).is_dir() else _HERE.parent


def _come_first() -> None:
    """`python -m` puts the working folder first. It comes last then, behind Python's own modules and the installed."""
    by_module = sys.argv[:1] == ["-m"] and not getattr(sys.flags, "safe_path", False)  # this is `python -m gta`
    working = sys.path[:1] if by_module else []
    others = [folder for folder in sys.path[len(working) :] if folder != str(ROOT)]
    sys.path[:] = [str(ROOT), *others, *(folder for folder in working if folder != str(ROOT))]


_come_first()
