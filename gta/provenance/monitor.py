"""What the machine does while a cell trains: utilisation and memory, for the journal. A sample takes 0.1 ms."""

from __future__ import annotations

from contextlib import suppress

import psutil
import torch

MIB = 2**20


class SystemMonitor:
    """Samples this process and its machine, and the GPU where the cell trains on one.

    `system/cpu_percent`: the machine's busy share of all cores since the last sample; `system/process_cpu_percent`:
    this process alone, 100 is one core; `system/memory_mib`: its resident memory; `system/memory_percent`: the
    machine's memory in use. On CUDA also `system/gpu_memory_mib` (of the whole GPU, as nvidia-smi shows it),
    `system/gpu_memory_total_mib` (what it has), `system/gpu_memory_peak_mib` (this process's tensors) and, where the
    NVML bindings are installed, `system/gpu_percent`. What a machine does not tell is left out.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._process = psutil.Process()
        self._machine()  # shares are those since the last sample: the first begins here

    def sample(self) -> dict[str, float]:
        """Name -> value, of the time since the last sample."""
        values = self._machine()
        if self.device.type == "cuda":
            values |= self._gpu()
        return {f"system/{name}": value for name, value in values.items()}

    def _machine(self) -> dict[str, float]:
        values = {}
        for name, measure in (
            ("cpu_percent", psutil.cpu_percent),
            ("process_cpu_percent", self._process.cpu_percent),
            ("memory_mib", lambda: self._process.memory_info().rss / MIB),
            ("memory_percent", lambda: psutil.virtual_memory().percent),
        ):
            with suppress(psutil.Error, OSError):
                values[name] = float(measure())
        return values

    def _gpu(self) -> dict[str, float]:
        free, total = torch.cuda.mem_get_info(self.device)
        peak = torch.cuda.max_memory_allocated(self.device)
        values = {"gpu_memory_mib": (total - free) / MIB, "gpu_memory_total_mib": total / MIB}
        values["gpu_memory_peak_mib"] = peak / MIB
        with suppress(Exception):  # no NVML bindings, or a driver that does not tell
            values["gpu_percent"] = float(torch.cuda.utilization(self.device))
        return values
