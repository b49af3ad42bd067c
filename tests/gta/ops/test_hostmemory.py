"""Freed memory that stays with the process: what the system is asked for, and what numbers do."""

from __future__ import annotations

import platform
import resource

import pytest
import torch

from gta.ops.hostmemory import kept

HOST = torch.device("cpu")


def pages_of_passes() -> int:
    """Pages that the system had to make for five tensors of 40 MB, one after the other."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_is_made_once_while_it_is_kept_and_each_time_afterwards() -> None:
    with kept(HOST):
        pages_of_passes()  # the heap grows, once
        with kept(HOST):
            pass
        inside = pages_of_passes()
    assert 4 * inside < pages_of_passes()
    with kept(torch.device("meta")):
        assert 4 * inside < pages_of_passes(), "another device keeps nothing here"
