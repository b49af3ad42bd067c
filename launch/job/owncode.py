"""The code that a process of ours runs, for one that it starts."""

from __future__ import annotations

import os

from gta import ROOT


def own_code_first() -> dict[str, str]:
    """The variable that has a Python process look for modules where this one's are, before all other places."""
    return {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
