"""What the machine does while a cell trains: utilisation and memory, for the journal. Costs microseconds a sample."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import torch

MIB = 2**20


class SystemMonitor:
    """Samples this process and its machine, and the GPU where the cell trains on one.

    `system/cpu_percent`: the machine's busy share of all cores since the last sample; `system/process_cpu_percent`:
    this process alone, 100 is one core; `system/memory_mib`: its resident memory; `system/memory_percent`: the
    machine's memory in use. On CUDA also `system/gpu_memory_mib` (of the whole GPU, as nvidia-smi shows it),
    `system/gpu_memory_peak_mib` (this process's tensors) and, where the NVML bindings are installed,
    `system/gpu_percent`. What a machine does not tell is left out.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._machine = _cpu_ticks()
        self._process = time.process_time(), time.monotonic()

    def sample(self) -> dict[str, float]:
        """Name -> value, of the time since the last sample."""
        values = {**self._cpu(), **_memory()}
        if self.device.type == "cuda":
            values |= self._gpu()
        return {f"system/{name}": value for name, value in values.items()}

    def _cpu(self) -> dict[str, float]:
        values = {}
        before, self._process = self._process, (time.process_time(), time.monotonic())
        if (passed := self._process[1] - before[1]) > 0:
            values["process_cpu_percent"] = 100 * (self._process[0] - before[0]) / passed
        busy, total = self._machine
        self._machine = _cpu_ticks()
        if self._machine[1] > total:
            values["cpu_percent"] = 100 * (self._machine[0] - busy) / (self._machine[1] - total)
        return values

    def _gpu(self) -> dict[str, float]:
        free, total = torch.cuda.mem_get_info(self.device)
        peak = torch.cuda.max_memory_allocated(self.device)
        values = {"gpu_memory_mib": (total - free) / MIB, "gpu_memory_peak_mib": peak / MIB}
        with suppress(Exception):  # no NVML bindings, or a driver that does not tell
            values["gpu_percent"] = float(torch.cuda.utilization(self.device))
        return values


def _cpu_ticks() -> tuple[int, int]:
    """(busy, all) clock ticks of all cores since boot; (0, 0) where there is no /proc."""
    with suppress(OSError, ValueError):
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)  # less idle and waiting for the disk
    return 0, 0


def _memory() -> dict[str, float]:
    values = {}
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        values["memory_mib"] = pages * os.sysconf("SC_PAGE_SIZE") / MIB
    with suppress(OSError, ValueError, IndexError, KeyError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines[:5]}
        values["memory_percent"] = 100 * (1 - kib["MemAvailable"] / kib["MemTotal"])
    return values
