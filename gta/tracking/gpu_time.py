"""GPU time that a cell took, from its journal: every attempt counts, what was done twice after a kill included."""

from __future__ import annotations

from collections.abc import Iterable

from gta.journal import Record


def gpu_seconds(records: Iterable[Record]) -> float | None:
    """Seconds from an attempt's start to its last record, times its GPUs, summed; None without an attempt.

    0 on a CPU. What came after the last record of a killed attempt is not known, and not counted.
    """
    total, gpus, began, last, attempts = 0.0, 0, 0.0, 0.0, 0
    for record in records:
        if record["kind"] == "event" and record["event"] in ("started", "resumed"):
            total += gpus * (last - began)
            on_gpu = str(record.get("device", "")).startswith("cuda")
            gpus = int(record.get("world_size", 1)) if on_gpu else 0
            began, attempts = float(record["time"]), attempts + 1
        last = max(last, float(record["time"]))
    return total + gpus * (last - began) if attempts else None
