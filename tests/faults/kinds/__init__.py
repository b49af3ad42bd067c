"""The kinds of faults. Each sets the world up and does its harm; what must be so after it is the same for all."""

from __future__ import annotations

from tests.faults.kinds import clocks, deaths, disks, launchers, records, servers, stores, writes
from tests.faults.kinds.kind import Kind, NotHere

KINDS: tuple[Kind, ...] = (
    *deaths.KINDS, *writes.KINDS, *records.KINDS, *stores.KINDS, *launchers.KINDS, *disks.KINDS, *clocks.KINDS,
    *servers.KINDS,
)  # fmt: skip

__all__ = ["KINDS", "Kind", "NotHere"]
