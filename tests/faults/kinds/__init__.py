"""The kinds of faults: each sets the world up and does its harm; that everything comes right after it is tried for all alike
(`tests.faults.drill`).
"""

from __future__ import annotations

from tests.faults.kinds import clocks, deaths, disks, launchers, records, servers, stores, writes
from tests.faults.kinds.kind import Kind, NotHere

KINDS: tuple[Kind, ...] = (
    *deaths.KINDS, *writes.KINDS, *records.KINDS, *stores.KINDS, *launchers.KINDS, *disks.KINDS, *clocks.KINDS,
    *servers.KINDS,
)  # fmt: skip

__all__ = ["KINDS", "Kind", "NotHere"]
