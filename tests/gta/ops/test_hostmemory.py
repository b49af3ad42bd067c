"""Freed memory that stays with the process: what the system is asked for, in a process whose heap is still empty."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tests.helpers.program import ROOT

PROGRAM = """
import resource
import torch
from gta.ops.hostmemory import kept

def pages():  # that the system has to make for five tensors of 40 MB, one after the other
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():  # bytes of this process in memory
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

with kept(torch.device("meta")):
    print(pages())
with kept(torch.device("cpu")):
    for _ in range(20):  # the heap grows: until the library uses a block again
        pages()
    with kept(torch.device("cpu")):
        pass
    print(pages())
    before = held()
print(before - held())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_is_made_once_while_it_is_kept_and_given_back_afterwards() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    elsewhere, inside, given_back = map(int, said.stdout.split())
    assert 4 * inside < elsewhere, "another device keeps nothing here"
    assert given_back > 30_000_000
