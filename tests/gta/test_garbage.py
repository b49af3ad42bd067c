"""How often Python looks for unreachable objects, in a process of the program and in one that only imports it."""

from __future__ import annotations

import subprocess
import sys

from tests.helpers.program import ROOT

SPARED = """
import gc
from gta import garbage
before = gc.get_threshold()
garbage.as_usual()  # nobody spared: nothing changes
assert gc.get_threshold() == before and not gc.get_freeze_count()
garbage.spare()
garbage.spare()
assert gc.get_threshold() == garbage.RARELY
garbage.as_usual()
assert gc.get_threshold() == before and gc.get_freeze_count()
class Ring:
    pass
import weakref
one = Ring()
one.itself, seen = one, weakref.ref(one)
del one
gc.collect()
assert seen() is None  # what becomes unreachable afterwards is found
"""


def test_imports_are_spared_and_what_follows_is_not() -> None:
    subprocess.run([sys.executable, "-c", SPARED], cwd=ROOT, check=True)
